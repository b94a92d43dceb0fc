package record

import (
	"io"
	"net"
)

// A feed is the connection below a *tls.Conn. It gives out its input record by
// record, never a byte of the following one, for which it costs no system call
// more: what was read ahead waits in the feed. So crypto/tls holds nothing of
// what follows the handshake, nor of what follows a record whose data was read.
//
// During the handshake it also watches what crypto/tls writes.
type feed struct {
	*socket
	left int // what the record that is being given out still lacks

	secrets  secrets
	watching bool
	sealed   int    // protected records written
	last     []byte // the last record written, if it was protected
	torn     bool   // crypto/tls wrote something else than whole records
}

func newFeed(nc net.Conn) *feed { return &feed{socket: newSocket(nc), watching: true} }

// Read gives out what has come of a record.
func (f *feed) Read(p []byte) (int, error) {
	for f.left == 0 {
		if len(f.bytes()) >= headerLen {
			f.left = f.wanted()
			break
		}
		if err := f.fill(); err != nil {
			if err == io.EOF && len(f.bytes()) > 0 {
				// crypto/tls tells an end within a header from one before it.
				break
			}
			return 0, err
		}
	}
	if len(f.bytes()) == 0 {
		if err := f.fill(); err != nil {
			return 0, err
		}
	}
	b := f.bytes()
	if f.left > 0 {
		b = b[:min(len(b), f.left)]
	}
	n := copy(p, b)
	f.left = max(f.left-n, 0)
	f.use(n)
	f.release()
	return n, nil
}

// Await blocks until a whole record, or the end, can be read without blocking,
// and holds no buffer until its first byte. It is reached by
// (*tls.Conn).NetConn, and says something about the *tls.Conn only while that
// holds no data itself: after a Read that filled less than it was given. It
// obeys the read deadline, and must not run together with a Read.
func (f *feed) Await() error {
	if f.left > 0 { // a Read has met its deadline within a record
		if len(f.bytes()) > 0 {
			return nil
		}
		return f.fill()
	}
	for len(f.bytes()) < f.wanted() && f.wanted() <= recordBuffer {
		if err := f.fill(); err != nil {
			if err == io.EOF && len(f.bytes()) > 0 {
				return nil // crypto/tls will say what it lacks
			}
			return err
		}
	}
	return nil
}

// Empty reports whether nothing of a record was received that the *tls.Conn has
// not read. It is reached, and says something about the *tls.Conn, as Await
// does.
func (f *feed) Empty() bool { return f.left == 0 && len(f.bytes()) == 0 }

// NetConn returns the connection below, for its options.
func (f *feed) NetConn() net.Conn { return f.Conn }

// Write passes on what crypto/tls writes.
func (f *feed) Write(p []byte) (int, error) {
	if f.watching {
		f.watch(p)
	}
	return f.Conn.Write(p)
}

// watch goes through written records.
func (f *feed) watch(p []byte) {
	for len(p) > 0 {
		if len(p) < headerLen {
			f.torn = true
			return
		}
		n := headerLen + int(p[3])<<8 + int(p[4])
		if len(p) < n {
			f.torn = true
			return
		}
		f.last = f.last[:0]
		if p[0] == protected {
			f.sealed++
			f.last = append(f.last, p[:n]...)
		}
		p = p[n:]
	}
}

// settle ends the watch and forgets what it has seen.
func (f *feed) settle() {
	f.watching = false
	f.last = nil
	f.secrets.erase()
}
