package pusher

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"
)

const (
	// handshakeTimeout is how long a peer may take to accept the 101.
	handshakeTimeout = 10 * time.Second
	// readBufferBytes is what every idle client costs for reading. It holds a
	// control frame; the payload of a longer frame is read past it.
	readBufferBytes = 256
)

// socket is a WebSocket client. gorilla/websocket makes the handshake and reads;
// frames are written here, as they are shared by all clients.
type socket struct {
	client
	hub     *Hub
	inbound Inbound
	conn    net.Conn
	ws      *websocket.Conn
	pinger  *time.Timer    // set once, with client.mu held
	writer  sync.WaitGroup // the writer, while there is something to write
}

// newUpgrader sets buffer sizes, so that gorilla does not keep the HTTP server's
// own of 4 KiB each for every client. Its write buffers are never used.
func (h *Hub) newUpgrader() websocket.Upgrader {
	return websocket.Upgrader{
		ReadBufferSize:  readBufferBytes,
		WriteBufferPool: &sync.Pool{},
		CheckOrigin:     func(*http.Request) bool { return true }, // endpoint.ServeHTTP has checked it
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

// serveSocket answers the handshake. When it returns the connection is on its
// own: the goroutine of the HTTP server and its buffers, more than twice of what
// an idle client needs, are given back.
func (e *endpoint) serveSocket(w http.ResponseWriter, r *http.Request, channel string) {
	s := &socket{hub: e.hub, inbound: e.inbound}
	s.client = e.hub.newClient(channel, r.RemoteAddr, s)
	// No frame may go out before the 101: to the queue it looks as if the
	// writer were awake already.
	s.writing = true
	wire := &wire{socket: s}
	ws, err := e.hub.upgrader.Upgrade(&takeover{ResponseWriter: w, wire: wire}, r, nil)
	if err != nil {
		if wire.Conn != nil { // the 101 could not be written
			s.cut(ending{code: websocket.CloseAbnormalClosure, reason: "handshake: " + err.Error()})
			s.hangUp(err)
		}
		e.hub.exit()
		return
	}
	ws.SetReadLimit(e.hub.cfg.MaxInbound)
	s.ws, wire.upgraded = ws, true
	// Ended by its own connection, which Shutdown closes; Shutdown waits for
	// the exit that is its last act.
	go s.run()
}

// takeover gives gorilla, which looks for an http.Hijacker, the connection of
// any ResponseWriter that leads to one by Unwrap.
type takeover struct {
	http.ResponseWriter
	wire *wire
}

// Hijack also joins the client to its channel: it is subscribed before it reads
// the 101, and whatever is published once it has connected reaches it.
func (t *takeover) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(t.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, fmt.Errorf("cannot take over the connection (%w): "+
			"the request must be HTTP/1.1, and a ResponseWriter put in between needs an Unwrap method", err)
	}
	// In place of the deadlines that the HTTP server has set.
	_ = conn.SetDeadline(time.Now().Add(handshakeTimeout))
	s := t.wire.socket
	s.conn, t.wire.Conn = conn, conn
	s.hub.join(&s.client)
	return t.wire, buffered, nil
}

// wire is the connection as gorilla sees it. What gorilla writes by itself after
// the handshake (pongs, and Close in answer to Close or to a broken protocol)
// joins the queue, so that one goroutine alone writes: frames never mix, none
// follows a Close, and a peer that makes us answer without reading is cut off
// like any other.
type wire struct {
	net.Conn
	socket   *socket
	upgraded bool
}

func (w *wire) Write(b []byte) (int, error) {
	if !w.upgraded {
		return w.Conn.Write(b)
	}
	s, frame := w.socket, append([]byte(nil), b...)
	if frame[0] == finBit|opClose {
		code, reason := parseClose(frame)
		s.finish(frame, ending{code: code, reason: reason}, true)
		return len(b), nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.add(frame) && s.state == gone {
		return 0, net.ErrClosed
	}
	return len(b), nil
}

// Read takes whatever the peer sends for a sign of life, pongs among it.
func (w *wire) Read(b []byte) (int, error) {
	s := w.socket
	s.mu.Lock()
	if s.state == open {
		_ = s.conn.SetReadDeadline(time.Now().Add(s.hub.silence()))
	}
	s.mu.Unlock()
	return w.Conn.Read(b)
}

// Deadlines are set by the client's state, not by gorilla.
func (w *wire) SetDeadline(time.Time) error      { return nil }
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

func (s *socket) transport() string        { return "websocket" }
func (s *socket) encode(m *message) []byte { return m.frame }

func (s *socket) farewell(reason string) []byte {
	return closeFrame(websocket.CloseServiceRestart, reason)
}

// wake starts the writer, which lives only while there is something to write: an
// idle client costs one goroutine. It ends with the queue, or when its write
// fails; hangUp waits for it.
func (s *socket) wake() {
	s.writer.Go(func() { s.hub.guard(&s.client, s.write) })
}

func (s *socket) allow() {
	_ = s.conn.SetWriteDeadline(time.Now().Add(s.hub.silence()))
}

func (s *socket) hurry(by time.Time) {
	_ = s.conn.SetDeadline(by)
}

// write empties the queue.
func (s *socket) write() {
	var batch [][]byte
	for {
		if batch = s.take(batch); batch == nil {
			return
		}
		if err := s.hub.writeBatch(s.conn, batch); err != nil {
			s.cut(writeEnding(err))
			return
		}
	}
}

// writeEnding tells a peer that stopped reading from one that is gone.
func writeEnding(err error) ending {
	e := ending{code: websocket.CloseAbnormalClosure, reason: "client gone: " + err.Error()}
	if isTimeout(err) {
		e.reason, e.slow = "write timed out: the client does not read", true
	}
	return e
}

func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}

// run is the client's life after the handshake.
func (s *socket) run() {
	defer s.hub.exit()
	var end error
	s.hub.guard(&s.client, func() {
		s.hub.log.LogAttrs(context.Background(), slog.LevelDebug, EventOpen, s.attrs()...)
		s.mu.Lock()
		s.pinger = time.AfterFunc(s.hub.cfg.PingInterval, s.ping)
		s.wake() // for what was queued since the client joined
		s.mu.Unlock()
		end = s.read()
	})
	s.hub.guard(&s.client, func() { s.hangUp(end) })
}

// ping queues a ping and sets itself for the next. hangUp stops it.
func (s *socket) ping() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.add([]byte{finBit | opPing, 0}) {
		s.pinger.Reset(s.hub.cfg.PingInterval)
	}
}

// read reads until the connection or the conversation has ended and says why.
func (s *socket) read() error {
	for {
		kind, r, err := s.ws.NextReader()
		if err != nil {
			return s.ended(err)
		}
		buf := make([]byte, headroom, headroom+readBufferBytes)
		if buf, err = readAll(buf, r); err != nil {
			return s.ended(err)
		}
		text := kind == websocket.TextMessage
		// gorilla leaves this to its user. The whole message is looked at, since
		// a fragment may end within a character (RFC 6455 §5.6).
		if text && !utf8.Valid(buf[headroom:]) {
			s.fail(websocket.CloseInvalidFramePayloadData, "text is not UTF-8")
			return nil
		}
		s.receive(text, buf)
	}
}

// receive does with a message what the endpoint says. The conversation's end
// shows in the next read.
func (s *socket) receive(text bool, buf []byte) {
	switch s.inbound {
	case InboundEcho:
		s.push(newMessage(text, buf))
	case InboundPublish:
		// MaxInbound is at most MaxMessage and the text has been checked: there
		// is no error that the client could be told of.
		_, _ = s.hub.publish(s.channel, text, buf)
	}
}

// readAll appends what r has to buf.
func readAll(buf []byte, r io.Reader) ([]byte, error) {
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if err == io.EOF {
			return buf, nil
		}
		if err != nil {
			return buf, err
		}
	}
}

// fail ends the conversation over something the peer has sent.
func (s *socket) fail(code int, reason string) {
	s.finish(closeFrame(code, reason), ending{code: code, reason: reason}, true)
}

// ended sorts the end of reading. For most of what is wrong with a frame gorilla
// has queued a Close already (see wire.Write), and what is done here comes to
// nothing. It returns the peer's own Close, if that was the end.
func (s *socket) ended(err error) error {
	var peer *websocket.CloseError
	switch {
	case errors.As(err, &peer) && peer.Code != websocket.CloseAbnormalClosure:
		return peer
	case errors.Is(err, websocket.ErrReadLimit):
		// Not always sent by gorilla: a length beyond 63 bits has none.
		s.fail(websocket.CloseMessageTooBig, "message too long")
	case isTimeout(err):
		s.end(ending{code: websocket.CloseAbnormalClosure, reason: "client gone: no answer to pings"})
	default:
		s.end(ending{code: websocket.CloseAbnormalClosure, reason: "client gone: " + err.Error()})
	}
	return nil
}

// end cuts the connection unless a Close is on its way out.
func (s *socket) end(e ending) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == open {
		s.cutLocked(e)
	}
}

// hangUp closes the connection once the writer has written what it may. end is
// how reading ended.
func (s *socket) hangUp(end error) {
	s.mu.Lock()
	if s.pinger != nil {
		s.pinger.Stop()
	}
	s.mu.Unlock()
	s.writer.Wait()

	var peer *websocket.CloseError
	byPeer := errors.As(end, &peer)
	if !byPeer {
		s.linger()
	}
	s.hub.leave(&s.client)
	s.mu.Lock()
	cut := s.state == gone
	s.state = gone // from here on nobody touches the connection
	s.mu.Unlock()
	if cut {
		abort(s.conn)
	} else {
		_ = s.conn.Close() // all that mattered has been written
	}
	if byPeer && s.ending.reason == "" {
		s.ending.reason = "closed by the client"
	}
	s.hub.logClosed(&s.client)
}

// linger lets our Close arrive. Closing a connection that has unread input makes
// the kernel send a reset, upon which the peer may lose what it has not read:
// so only our side is closed, and the rest of what the peer was sending is read
// until it has seen the Close, or closeTimeout is over (see client.finish).
func (s *socket) linger() {
	half, ok := s.conn.(interface{ CloseWrite() error })
	s.mu.Lock()
	ok = ok && s.state == closing
	s.mu.Unlock()
	if !ok || half.CloseWrite() != nil {
		return
	}
	_, _ = io.Copy(io.Discard, s.conn) // how it ends does not matter
}

// abort closes a connection that is cut. What the kernel still holds for a peer
// that does not read, several MB, is dropped instead of kept until it does. The
// inner connection is closed under TLS, which would wait to write its goodbye.
func abort(conn net.Conn) {
	if outer, ok := conn.(*tls.Conn); ok {
		conn = outer.NetConn()
	}
	if tcp, ok := conn.(interface{ SetLinger(sec int) error }); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
