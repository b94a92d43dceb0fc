package proxy

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"wsfront/proxy/http1"
)

const (
	// maxWatchedBuffer is the largest buffer for the answer that is kept while the
	// client is watched: an event stream has little to write at once, and thousands
	// of them wait.
	maxWatchedBuffer = 4 << 10
	// sendfilePiece is how much of a file the system is asked to send at once.
	sendfilePiece = 1 << 20
)

// watch reads what the client sends meanwhile, which is another request at
// best: until it goes away, or the buffer is full.
func (t *turn) watch(gone func()) func() {
	t.keepHead()
	t.c.reader.Release()
	t.c.allowWatch()
	t.watched.Store(true)
	var stopped atomic.Bool
	done := make(chan struct{})
	go func() { // ended by the deadline that stop sets, and awaited there
		defer close(done)
		defer t.contain(gone)
		for {
			switch err := t.c.reader.Fill(); {
			case err == nil:
			case stopped.Load() && isTimeout(err), errors.Is(err, http1.ErrFull):
				return
			default:
				gone()
				return
			}
		}
	}()
	return func() {
		stopped.Store(true)
		_ = t.c.SetReadDeadline(aLongTimeAgo)
		<-done
		t.c.until = aLongTimeAgo
		t.watched.Store(false)
	}
}

func (t *turn) takeOver() (*takenConn, error) {
	t.keepHead() // the log lines tell of it when its buffer is another connection's
	c := t.c
	t.taken, c.gone = true, true
	if t.route != nil && t.route.Handler != nil { // ACME's challenge has no route
		c.carries(carriesPush)
	}
	conn := c.Conn
	if w, ok := conn.(interface{ NetConn() net.Conn }); ok && !t.secure {
		conn = w.NetConn() // the relay wants the socket itself
	}
	taken := &takenConn{Conn: conn, leftover: append([]byte(nil), c.reader.Buffered()...)}
	c.reader.Reset(nil)
	_ = c.SetDeadline(noDeadline)
	return taken, nil
}

func (t *turn) setReadDeadline(until time.Time) error {
	t.c.limits.Lock()
	defer t.c.limits.Unlock()
	t.c.theirRead = true
	return t.c.SetReadDeadline(until)
}

func (t *turn) setWriteDeadline(until time.Time) error {
	t.c.limits.Lock()
	defer t.c.limits.Unlock()
	t.c.theirWrite = true
	return t.c.SetWriteDeadline(until)
}

// sendFrom is that of sourceSender. What remains of a large file the system sends
// by itself where nothing is sealed; all else is read straight into the buffer
// that is written.
func (t *turn) sendFrom(src *io.LimitedReader) (sent int64, err error) {
	to, direct := t.c.Conn.(io.ReaderFrom)
	direct = direct && src.N > answerBuffer && isRegular(src.R)
	for src.N > 0 && err == nil && t.failure == nil {
		if direct && src.N > answerBuffer {
			n, err := t.sendFile(to, src)
			return sent + n, err
		}
		if len(t.out) >= answerBuffer {
			t.flush()
			continue
		}
		room := int(min(src.N, int64(answerBuffer-len(t.out))))
		t.out = slices.Grow(t.out, room)
		var n int
		n, err = src.Read(t.out[len(t.out) : len(t.out)+room])
		t.out = t.out[:len(t.out)+n]
		sent += int64(n)
	}
	if err == nil || err == io.EOF {
		err = t.failure
	}
	return sent, err
}

// isRegular reports whether the system can send what r reads, and go on behind what
// it has sent when it meets a deadline. Of a pipe or a socket it may have taken more.
func isRegular(r io.Reader) bool {
	f, ok := r.(interface {
		syscall.Conn
		Stat() (fs.FileInfo, error)
	})
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode().IsRegular()
}

// sendFile has the system send a file: in pieces, so that a client that takes it
// slowly is not cut while there is progress.
func (t *turn) sendFile(to io.ReaderFrom, src *io.LimitedReader) (sent int64, err error) {
	t.flush()
	for src.N > 0 && t.failure == nil {
		t.c.beginWrite()
		piece := io.LimitedReader{R: src.R, N: min(src.N, sendfilePiece)}
		n, err := to.ReadFrom(&piece)
		for step := n; isTimeout(err) && t.c.takes(int(step)); n += step {
			step, err = to.ReadFrom(&piece)
		}
		t.c.wrote(err)
		src.N -= n
		sent += n
		switch {
		case isTimeout(err), errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNRESET), errors.Is(err, net.ErrClosed):
			t.failure = err
		case err != nil:
			return sent, err // the file's
		case n == 0:
			return sent, nil // it has become shorter
		}
	}
	return sent, t.failure
}
