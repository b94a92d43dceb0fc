package record

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// closeTimeout bounds how long a last record may wait for a peer that does not
// read. crypto/tls waits as long.
const closeTimeout = 5 * time.Second

var errShutdown = errors.New("write after the TLS connection's end was sent")

// Conn is a TLS 1.3 connection after its handshake. Like any net.Conn it may be
// used concurrently: one Read or Await runs at a time, and one Write. Between
// calls it holds a buffer only while there is received data that was not read.
//
// An error of Read other than a deadline's is final for reading, and any error
// of Write for writing, since the peer would miss a part of the stream.
type Conn struct {
	sock *socket
	keys *Keys

	readMu sync.Mutex
	plain  []byte // opened and not read yet, in the socket's buffer

	writeMu  sync.Mutex
	writeErr error // the first, returned from then on
	sizes    recordSizes
}

// Read reads data, of at most one record. The error is io.EOF after the peer's
// close_notify, and, as with crypto/tls, after an end of the connection between
// two records; io.ErrUnexpectedEOF after one within a record; *AlertError if
// the peer sent an alert; *ProtocolError if it broke the protocol or the data
// was changed, of which it has been told by an alert then, if that could be
// sent at once.
//
// It uses all of p as scratch space, and a record that fits costs no copy.
func (c *Conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	c.readMu.Lock()
	defer c.readMu.Unlock()
	for len(c.plain) == 0 {
		plain, err := c.next(p)
		if err != nil {
			return 0, err
		}
		if len(plain) > 0 && &plain[0] == &p[0] {
			c.sock.release()
			return len(plain), nil
		}
		c.plain = plain
	}
	n := copy(p, c.plain)
	c.plain = c.plain[n:]
	if len(c.plain) == 0 {
		c.plain = nil
		c.sock.release()
	}
	return n, nil
}

// Await blocks until Read will not block, and holds no buffer until the first
// byte of a record has come. Its errors, the read deadline's included, are
// those that Read would return. On systems other than Unix, and over
// connections that are no sockets, it does hold a buffer.
func (c *Conn) Await() error {
	c.readMu.Lock()
	defer c.readMu.Unlock()
	for len(c.plain) == 0 {
		plain, err := c.next(nil)
		if err != nil {
			return err
		}
		c.plain = plain
	}
	return nil
}

// Empty reports whether nothing that was received waits to be read, not even a
// part of a record, so that only the socket can tell when there is more. It must
// not be called while a Read or Await may run, which it would wait for.
func (c *Conn) Empty() bool {
	c.readMu.Lock()
	defer c.readMu.Unlock()
	return len(c.plain) == 0 && len(c.sock.bytes()) == 0
}

// Rest gives up what an idle connection can do without for long: see
// (*Keys).Rest. Reading and writing go on as before. It waits for a Read, Await
// or Write under way.
func (c *Conn) Rest() {
	c.readMu.Lock()
	defer c.readMu.Unlock()
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	c.keys.Rest()
}

// next waits for a record and opens it, into dst if it fits. readMu is held,
// and plain is empty.
func (c *Conn) next(dst []byte) ([]byte, error) {
	for {
		plain, n, err := c.keys.open(dst, c.sock.bytes())
		if err != nil {
			c.sock.drop()
			c.refuse(err)
			return nil, err
		}
		if n > 0 {
			c.sock.use(n)
			return plain, nil
		}
		if err := c.sock.fill(); err != nil {
			if err == io.EOF && len(c.sock.bytes()) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
}

// refuse tells the peer what was wrong with a record, unless a Write is under
// way: that one may wait for the peer, and Read must not wait for it.
func (c *Conn) refuse(err error) {
	if _, ok := errors.AsType[*ProtocolError](err); !ok || !c.writeMu.TryLock() {
		return
	}
	defer c.writeMu.Unlock()
	if c.writeErr == nil {
		c.writeErr = err
		c.writeNow(c.keys.Alert(nil, err))
	}
}

// Write seals p and writes it, with one system call for as many records as fit
// into 64 KiB. It holds a buffer until the connection has taken them.
func (c *Conn) Write(p []byte) (int, error) { return c.WriteWhile(p, nil) }

// WriteWhile is Write, but asks goOn at the write deadline, with the number of
// bytes that the connection has taken since it was called or asked. If goOn
// moves the deadline and returns true, writing goes on where it was: so a peer
// that reads slowly can be told from one that does not read. goOn may be nil.
func (c *Conn) WriteWhile(p []byte, goOn func(taken int) bool) (int, error) {
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	if c.writeErr != nil {
		return 0, c.writeErr
	}
	written := 0
	for written < len(p) {
		n, err := c.writeSome(p[written:], goOn)
		if err != nil {
			c.writeErr = err
			return written, err
		}
		written += n
	}
	return written, nil
}

// writeSome writes as many records of p as go into one buffer.
func (c *Conn) writeSome(p []byte, goOn func(int) bool) (int, error) {
	size := c.sizes.next()
	records := (len(p) + size - 1) / size
	// The second term is a KeyUpdate that may be due.
	buf := getBuffer(len(p) + records*Overhead + Overhead + 5)
	defer buf.free()
	out, n := buf.b[:0], 0
	for n < len(p) {
		m := min(size, len(p)-n)
		if n > 0 && len(out)+m+Overhead > len(buf.b) {
			break
		}
		out = c.keys.sealData(out, p[n:n+m])
		n += m
		size = c.sizes.sent(m)
	}
	for {
		taken, err := c.sock.Conn.Write(out)
		if err == nil {
			return n, nil
		}
		if goOn == nil || !errors.Is(err, os.ErrDeadlineExceeded) || !goOn(taken) {
			return 0, err
		}
		out = out[taken:]
	}
}

// CloseWrite tells the peer that nothing more will come, by close_notify and,
// like crypto/tls, nothing else; Read goes on. It waits for a Write under way,
// and up to 5 s for the peer to make room.
func (c *Conn) CloseWrite() error {
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	if c.writeErr != nil {
		if c.writeErr == errShutdown {
			return nil
		}
		return c.writeErr
	}
	c.writeErr = errShutdown
	if err := c.sock.SetWriteDeadline(time.Now().Add(closeTimeout)); err != nil {
		return err
	}
	_, err := c.sock.Conn.Write(c.keys.CloseNotify(nil))
	return err
}

// Close closes the connection, and first sends close_notify if that goes
// without waiting and no Write is under way; that Write, and a Read, end with
// an error.
func (c *Conn) Close() error {
	if c.writeMu.TryLock() {
		if c.writeErr == nil {
			// A deadline that has passed must not keep the peer from knowing
			// that the stream is whole. An error means closed, as below.
			_ = c.sock.SetWriteDeadline(time.Time{})
			c.writeErr = net.ErrClosed
			c.writeNow(c.keys.CloseNotify(nil))
		}
		c.writeMu.Unlock()
	}
	return c.sock.Conn.Close()
}

// writeNow writes a last record if it can be done without waiting; over a
// connection that is no socket, it may wait. writeMu is held.
func (c *Conn) writeNow(p []byte) {
	// An error needs no answer: the connection ends with this record anyhow.
	if c.sock.raw != nil {
		_ = c.sock.raw.Write(func(fd uintptr) bool {
			writeFD(fd, p)
			return true
		})
		return
	}
	_ = c.sock.SetWriteDeadline(time.Now().Add(closeTimeout))
	_, _ = c.sock.Conn.Write(p)
}

// Detach gives away the connection's parts, for an event loop: the socket,
// which is open, the keys, the data that was received and not read, and
// behind that the bytes of records not opened yet. The slices are the
// caller's, and nil if there is nothing. Nothing may use c at the same time, or
// afterwards.
func (c *Conn) Detach() (nc net.Conn, k *Keys, plain, cipher []byte) {
	if len(c.plain) > 0 {
		plain = append(plain, c.plain...)
		c.plain = nil
	}
	cipher = append(cipher, c.sock.bytes()...)
	c.sock.drop()
	return c.sock.Conn, c.keys, plain, cipher
}

// Release is Detach for whoever is not to know this package: keys are *Keys.
func (c *Conn) Release() (nc net.Conn, keys any, plain, cipher []byte) { return c.Detach() }

// NetConn returns the connection below, for its options. Reading or writing it
// would break the stream.
func (c *Conn) NetConn() net.Conn { return c.sock.Conn }

// LocalAddr is that of the connection below.
func (c *Conn) LocalAddr() net.Addr { return c.sock.LocalAddr() }

// RemoteAddr is that of the connection below.
func (c *Conn) RemoteAddr() net.Addr { return c.sock.RemoteAddr() }

// SetDeadline sets both deadlines. A zero t means none.
func (c *Conn) SetDeadline(t time.Time) error { return c.sock.SetDeadline(t) }

// SetReadDeadline sets the deadline of Read and Await. After it, reading can go
// on where it was.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.sock.SetReadDeadline(t) }

// SetWriteDeadline sets the deadline of Write. After it, nothing can be written.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.sock.SetWriteDeadline(t) }
