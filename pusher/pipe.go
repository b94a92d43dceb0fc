package pusher

import (
	"net"
	"sync"
	"time"
)

// pipeBuffer is what reading from a piped client takes.
const pipeBuffer = 4 << 10

// piped is a WebSocket client whose connection the poller cannot have: one over
// TLS 1.2, or anything that is no socket. It costs a goroutine that reads, and
// another one while there is something to write.
type piped struct {
	conversation
	conn   net.Conn
	resume sync.Cond // of client.mu: paused or state has changed
	paused bool
}

func (h *Hub) carryPiped(c *client, conn net.Conn) {
	p := &piped{conversation: conversation{client: c}, conn: conn}
	p.resume.L = &c.mu
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == gone {
		_ = conn.Close()
		return
	}
	c.start(p)
	h.running.Go(p.read) // ends when hangUp closes the connection
}

func (p *piped) read() {
	defer p.hub.spare(p.client)
	buf := make([]byte, pipeBuffer)
	for {
		n, err := p.conn.Read(buf)
		if p.came(buf[:n], err) {
			return
		}
	}
}

// came takes what was read, waits while it is too much, and reports whether the
// connection is over.
func (p *piped) came(b []byte, err error) (over bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	func() {
		defer p.hub.contain(p.client)
		p.received(b)
		if err != nil {
			p.ended(err)
		}
	}()
	for p.paused && p.state != gone {
		p.resume.Wait()
	}
	return p.state == gone
}

func (p *piped) send(b []byte) (rest int, keeps bool, err error) {
	p.hub.running.Go(func() { // ends with the write, or when hangUp closes the connection
		defer p.hub.spare(p.client)
		_, err := p.conn.Write(b)
		p.mu.Lock()
		defer p.mu.Unlock()
		if err != nil {
			p.cutLocked(writeEnding(err))
			return
		}
		p.free()
	})
	return len(b), true, nil
}

// shut ends our half as far as the connection can.
func (p *piped) shut() {
	if !p.wroteLast() {
		return
	}
	if half, ok := p.conn.(interface{ CloseWrite() error }); ok {
		_ = p.conn.SetWriteDeadline(time.Now().Add(closeTimeout))
		p.hub.running.Go(func() { _ = half.CloseWrite() }) // it may have to write
	}
}

func (p *piped) pause(on bool) {
	p.paused = on
	p.resume.Broadcast()
}

func (p *piped) hangUp(reset bool) {
	p.forget()
	p.resume.Broadcast()
	if reset {
		abort(p.conn)
		return
	}
	// Under TLS it writes a goodbye.
	p.hub.running.Go(func() { _ = p.conn.Close() })
}

// abort closes a connection that is cut. What the kernel still holds for a peer
// that does not read, several MB, is dropped instead of kept until it does. The
// inner connection is closed under TLS, which would wait to write its goodbye.
func abort(conn net.Conn) {
	for {
		outer, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		conn = outer.NetConn()
	}
	if tcp, ok := conn.(interface{ SetLinger(sec int) error }); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
