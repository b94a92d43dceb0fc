package pusher

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

const (
	// handshakeTimeout is how long a peer may take to accept the 101.
	handshakeTimeout = 10 * time.Second

	// The subprotocols that are spoken. Without one messages are raw as well.
	protocolRaw    = "raw.v1"
	protocolResume = "resume.v1"
)

// newUpgrader makes gorilla/websocket's side of the handshake. Its buffers live
// as long as that.
func (h *Hub) newUpgrader(compression bool) websocket.Upgrader {
	return websocket.Upgrader{
		ReadBufferSize:    256,
		WriteBufferPool:   &sync.Pool{},
		EnableCompression: compression,
		CheckOrigin:       func(*http.Request) bool { return true }, // endpoint.ServeHTTP has checked it
		Error: func(w http.ResponseWriter, r *http.Request, status int, reason error) {
			w.Header().Set("Sec-WebSocket-Version", "13") // RFC 6455 §4.4
			if status == http.StatusMethodNotAllowed {
				w.Header().Set("Allow", http.MethodGet)
			}
			text := strings.TrimPrefix(reason.Error(), "websocket: ")
			h.refuse(w, r, status, "bad WebSocket handshake", text)
		},
	}
}

// protocolOf chooses a subprotocol among those that r offers. A token that is
// offered as one is no choice: the answer would repeat it.
func protocolOf(r *http.Request) string {
	offered := websocket.Subprotocols(r)
	for _, known := range []string{protocolResume, protocolRaw} {
		if slices.Contains(offered, known) {
			return known
		}
	}
	return ""
}

// serveSocket answers the handshake of a client that may listen. When it returns
// the connection is on its own: what the HTTP server had for it is given back.
func (e *endpoint) serveSocket(w http.ResponseWriter, r *http.Request, a *arrival) {
	protocol := protocolOf(r)
	header := http.Header{}
	if protocol != "" {
		header.Set("Sec-Websocket-Protocol", protocol)
	}
	f, upgrader := form(0), &e.hub.plain
	if protocol == protocolResume {
		f = formToken
	}
	if e.hub.cfg.compresses() && acceptDeflate(r.Header) {
		f, upgrader = f|formDeflate, &e.hub.packing
	}
	// Joined before the client can know: whatever is published once it has
	// connected reaches it.
	c, how, at, ok := e.join(w, r, a, f)
	if !ok {
		return
	}
	header.Set("Resume", string(how)+" "+at.String())
	wire := &wire{}
	defer wire.release()
	defer e.hub.spare(c)
	_, err := upgrader.Upgrade(&takeover{ResponseWriter: w, wire: wire}, r, header)
	if err != nil {
		c.cut(ending{code: websocket.CloseAbnormalClosure, reason: "handshake: " + err.Error()})
		return
	}
	_ = wire.Conn.SetDeadline(time.Time{})
	e.begin(c, a, how, at)
	e.hub.log.LogAttrs(context.Background(), slog.LevelDebug, EventOpen, c.attrs()...)
	if how == resumeGap && f&formToken == 0 {
		c.tellGap()
	}
	conn := wire.Conn
	wire.Conn = nil
	e.hub.carry(c, conn)
}

// begin queues what a client gets before all messages.
func (e *endpoint) begin(c *client, a *arrival, how continuation, at Position) {
	c.seen = at.Seq
	if a.status && c.form == formEvent {
		c.queue(fmt.Appendf(nil, "event: status\nid: %s\ndata: %s\n\n", at, how))
	} else {
		c.queue(statusOf(c.form, at, how))
	}
	if a.admission.Greeting != "" {
		c.queue(c.greeting(a.admission.Greeting))
	}
}

// tellGap ends a raw client that has asked to go on from a position and cannot:
// it has no other way to learn it.
func (c *client) tellGap() {
	c.close(ending{code: closeGap, reason: "gap: messages since from are gone; load the page anew"})
}

// Close codes of our own (RFC 6455 §7.4.2).
const (
	// closeGap: a raw client has asked for messages that are not there any more.
	closeGap = 4410
	// closeExpired: what the client was admitted by does not hold any longer.
	closeExpired = 4401
)

// takeover gives gorilla, which looks for an http.Hijacker, the connection of
// any ResponseWriter that leads to one by Unwrap.
type takeover struct {
	http.ResponseWriter
	wire *wire
}

// Hijack takes the connection over.
func (t *takeover) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(t.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, fmt.Errorf("cannot take over the connection (%w): "+
			"the request must be HTTP/1.1, and a ResponseWriter put in between needs an Unwrap method", err)
	}
	// In place of the deadlines that the HTTP server has set.
	_ = conn.SetDeadline(time.Now().Add(handshakeTimeout))
	t.wire.Conn = conn
	// A client that speaks before it was answered breaks RFC 6455 §4.1, and
	// gorilla refuses it by what is buffered.
	return t.wire, buffered, nil
}

// wire is the connection as gorilla sees it: it writes the 101, and nothing else.
type wire struct{ net.Conn }

// release closes the connection if it is still here.
func (w *wire) release() {
	if w.Conn != nil {
		_ = w.Conn.Close()
	}
}

// carry leaves the client's connection to the poller, or where that cannot have
// it, to goroutines of its own.
func (h *Hub) carry(c *client, conn net.Conn) {
	if !h.poller.carry(c, conn) {
		h.carryPiped(c, conn)
	}
}

// conversation is a WebSocket from the side that listens to the client. All of
// it belongs to client.mu.
type conversation struct {
	*client
	frames     frameReader
	sent       time.Duration // when what it sent would be over at the rate it may have; see inboundrate.go
	unfinished int64         // what is counted of frames
	deaf       bool          // nothing that follows counts
	peerClosed bool          // the peer has said Close
}

// received takes what has come from the peer. b is changed.
func (v *conversation) received(b []byte) {
	v.heard = v.hub.ticks.Load()
	if v.deaf || v.state == gone {
		return
	}
	err := v.frames.feed(b, v.hub.cfg.MaxInbound, v.form&formDeflate != 0, v)
	if broken, ok := err.(*frameError); ok {
		if broken.code == websocket.CloseMessageTooBig {
			v.hub.hits.add(limitInbound)
		}
		v.violated(broken.code, broken.reason)
	}
	v.keepUnfinished()
}

// greeting is what the app has the client alone be told first.
func (c *client) greeting(text string) []byte {
	m := newMessage(&Entry{Text: true, Data: []byte(text)})
	return m.appendForm(nil, c.form.unpacked(), c.hub.epoch)
}

// message is that of frameHandler, as is control.
func (v *conversation) message(text bool, data []byte) {
	if v.state == open && v.paced() {
		v.hub.counts.inbound.Add(1)
		v.client.receive(text, data)
	}
}

func (v *conversation) control(op byte, payload []byte) {
	if op != opClose && (v.state != open || !v.paced()) {
		return
	}
	switch op {
	case opPing:
		v.add(appendFrame(nil, opPong, payload))
	case opClose:
		v.deaf, v.peerClosed = true, true
		code, reason := parseClose(payload)
		answer := appendFrame(nil, opClose, payload[:min(len(payload), 2)])
		v.finish(answer, ending{code: code, reason: cmp.Or(reason, "closed by the client"), cause: causeClosed}, true)
		if v.shut { // ours was written before: this is the answer
			v.end(ending{}, false)
		}
	}
}

// ended is told that nothing more comes from the peer. What was written may
// still be under way to it if it only stopped sending, but without its Close
// there is no good end. With it, our answer is still to be written.
func (v *conversation) ended(err error) {
	if err == io.EOF && v.peerClosed && v.state == closing && !v.shut {
		v.line.pause(true)
		return
	}
	reset := err != io.EOF
	if v.state == open {
		reset = true
	}
	v.end(ending{code: websocket.CloseAbnormalClosure, reason: "client gone: " + err.Error(), cause: causeClosed}, reset)
}

// wroteLast is told that our Close was written. A peer that has said its own
// does not expect more; else the rest of what it was sending is read until it
// has seen ours, or closeTimeout is over: closing a connection that has unread
// input makes the kernel send a reset, upon which the peer may lose what it has
// not read. It reports whether our side is to be ended.
func (v *conversation) wroteLast() (half bool) {
	if v.peerClosed {
		v.end(ending{}, false)
		return false
	}
	return true
}
