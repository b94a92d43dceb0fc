package relay

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// outbox is an empty one for what goes to s.
func (l *loop) outbox(lt *looped, s side) outbox { return outbox{buf: l.out, keys: lt.ends[s].keys} }

// deliver passes on p, which s has said.
func (l *loop) deliver(lt *looped, s side, p []byte, now int64) {
	out := l.outbox(lt, s.other())
	lt.pass(s, p, now, &out)
	l.send(lt, s, &out)
}

// receive reads from s once, and passes that on. more tells that there may be
// something behind what one read gives.
func (l *loop) receive(lt *looped, s side, more bool, now int64) {
	d, have := &lt.ends[s], 0
	if d.partial != nil {
		have = copy(l.in, d.partial.buf)
	}
	n, err := read(d.fd, l.in[have:have+readSize])
	switch {
	case err == unix.EAGAIN:
		return
	case err != nil:
		lt.cut(s.aborted(), fmt.Errorf("read from %s: %w", s, os.NewSyscallError("read", err)))
		return
	case n == 0 && have > 0:
		lt.cut(s.aborted(), fmt.Errorf("read from %s: %w", s, io.ErrUnexpectedEOF))
		return
	case n == 0:
		l.sourceEnded(lt, s, now)
		return
	case more || n == readSize:
		l.left = true // it is another tunnel's turn now
	}
	if d.partial != nil {
		d.partial.drop()
		d.partial = nil
	}
	if d.keys == nil {
		l.deliver(lt, s, l.in[:n], now)
		return
	}
	l.unseal(lt, s, l.in[:have+n], now)
}

// unseal opens the records in b, in place, passes on what is in them, and keeps
// the beginning of the last one if it is not whole.
func (l *loop) unseal(lt *looped, s side, b []byte, now int64) {
	d := &lt.ends[s]
	out := l.outbox(lt, s.other())
	var err error
	for {
		var plain []byte
		var n int
		plain, n, err = d.keys.Open(b)
		if len(plain) > 0 {
			lt.pass(s, plain, now, &out)
		}
		if n == 0 || err != nil {
			break
		}
		b = b[n:]
	}
	l.send(lt, s, &out)
	switch {
	case err == io.EOF:
		l.sourceEnded(lt, s, now)
	case err != nil:
		l.alert(lt, s, err)
	case len(b) > 0:
		d.partial = keep(b)
	}
}

// alert ends a tunnel one of whose sides has sent what is no valid record, and
// tells it so if that goes at once.
func (l *loop) alert(lt *looped, s side, err error) {
	d := &lt.ends[s]
	if p := d.keys.Alert(l.out, err); len(p) > 0 && d.kept == nil {
		_, failed := write(d.fd, p)
		d.alerted = failed == nil
	}
	lt.cut(s.aborted(), fmt.Errorf("read from %s: %w", s, err))
}

func (l *loop) sourceEnded(lt *looped, s side, now int64) {
	lt.sourceEnded(s, now)
	out := l.outbox(lt, s.other())
	lt.last(s, &out)
	l.send(lt, s, &out)
	l.passEnd(lt, s)
}

// passEnd tells the other side that s has ended, as nothing more will come.
func (l *loop) passEnd(lt *looped, s side) {
	w, to := &lt.ways[s], &lt.ends[s.other()]
	// A tunnel that is closing ends whole.
	if !w.ended || w.shut || w.owing || lt.closing != nil {
		return
	}
	w.shut = true
	if to.keys != nil {
		l.write(lt, s, to.keys.CloseNotify(l.out), 0)
		return
	}
	// It fails if the peer is gone, which reading from it will tell.
	_ = unix.Shutdown(int(to.fd), unix.SHUT_WR)
}

// send writes what s has said to the other side.
func (l *loop) send(lt *looped, s side, out *outbox) {
	if p := out.bytes(); len(p) > 0 {
		l.write(lt, s, p, out.plain)
	}
}

// write writes p to the side that s speaks to, and keeps what that does not
// take.
func (l *loop) write(lt *looped, s side, p []byte, plain int) {
	to, w := &lt.ends[s.other()], &lt.ways[s]
	if to.kept != nil { // what arrived early, or the last of a side that has ended
		to.kept = to.kept.more(p, plain)
		return
	}
	n, err := write(to.fd, p)
	if err != nil && err != unix.EAGAIN {
		w.owing = true
		lt.cut(s.other().aborted(), fmt.Errorf("write to %s: %w", s.other(), os.NewSyscallError("write", err)))
		return
	}
	if n > 0 {
		w.bytes += int64(plain)
		plain = 0
	}
	if n < len(p) {
		w.owing = true
		to.kept = keep(p[n:])
		to.kept.plain = plain
	}
}

// flush writes what was kept for s.
func (l *loop) flush(lt *looped, s side, now int64) {
	to, w := &lt.ends[s], &lt.ways[s.other()]
	n, err := write(to.fd, to.kept.buf)
	switch {
	case err == unix.EAGAIN:
		return
	case err != nil:
		lt.cut(s.aborted(), fmt.Errorf("write to %s: %w", s, os.NewSyscallError("write", err)))
		return
	}
	lt.moved = now
	w.bytes += int64(to.kept.plain)
	to.kept.plain = 0
	to.kept.buf = to.kept.buf[n:]
	if len(to.kept.buf) > 0 {
		return
	}
	to.kept.drop()
	to.kept = nil
	lt.taken(s.other(), now)
	l.passEnd(lt, s.other())
}
