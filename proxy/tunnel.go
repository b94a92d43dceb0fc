package proxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"wsfront/proxy/relay"
)

const (
	// maxHandshakeAnswer is the longest head of a backend's answer to a
	// handshake, interim answers included, in bytes.
	maxHandshakeAnswer = 32 << 10
	// switchTimeout is how long a client may take to accept our 101, which
	// fits into any socket buffer.
	switchTimeout = 10 * time.Second
)

// tunnel sends a WebSocket handshake to the route's backend and, after a true
// 101, lets bytes flow both ways until either side ends.
func (s *Server) tunnel(x *exchange, r *http.Request) {
	if status, mistake := checkHandshake(r); status != 0 {
		x.refuseHandshake(r, status, mistake)
		return
	}
	if !x.checkTarget(r) {
		return
	}
	// The client that goes away ends the attempt, and so does shutdown.
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.tunnels, cancel)()
	b, err := x.askForTunnel(ctx, r)
	if err != nil {
		s.handshakeFailed(x, r, err)
		return
	}
	defer b.conn.Close()
	if b.answer.StatusCode != http.StatusSwitchingProtocols {
		// Not a tunnel: what the client sends from here on is a request to us.
		// The connection is closed so that nobody in front of us takes it for
		// one either.
		x.reason = refusalReason(x.route.backend, b.answer)
		x.Header().Set("Connection", "close")
		x.pass(r, b.answer, make([]byte, copySize))
		return
	}
	mistake := checkSwitch(r, b.answer)
	if mistake == "" && x.route.messages != nil && len(b.answer.Header["Sec-Websocket-Extensions"]) > 0 {
		mistake = "with an extension that it was not offered"
	}
	if mistake != "" {
		x.fail(r, http.StatusBadGateway, fmt.Sprintf("backend %s answered 101, but %s", x.route.backend.written, mistake), hint(http.StatusBadGateway))
		return
	}
	s.open(x, r, b)
}

// open hands both connections to the relay, or to what carries whole messages,
// once the client has its 101.
func (s *Server) open(x *exchange, r *http.Request, b *backendTunnel) {
	if !s.beginTunnel(x) {
		s.handshakeFailed(x, r, context.Canceled)
		return
	}
	deflate := x.route.messages != nil && offersDeflate(r.Header["Sec-Websocket-Extensions"])
	if deflate {
		b.answer.Header["Sec-Websocket-Extensions"] = []string{deflateAnswer}
	}
	head := x.switchHead(b.answer)
	client, buffered, err := x.Hijack()
	if err != nil {
		x.fail(r, http.StatusInternalServerError, "take the client's connection over: "+err.Error(), "This connection cannot carry a WebSocket.")
		return
	}
	defer client.Close()
	// net/http leaves its own deadlines on a hijacked connection.
	_ = client.SetDeadline(time.Time{})
	_ = client.SetWriteDeadline(time.Now().Add(switchTimeout))
	if _, err := client.Write(head); err != nil {
		return // the client went away between its request and the answer
	}
	_ = client.SetDeadline(time.Time{})
	b.keep() // from here on the relay says how either connection ends
	log := s.log.With("id", x.id, "client", x.client, "site", x.site.name, "route", x.route.name, "backend", x.route.backend.written)
	log.Info(eventTunnelOpen)
	if x.route.messages != nil {
		s.carryMessages(x, log, messagePeer{client, leftover(buffered.Reader)}, messagePeer{b.conn, leftover(b.reader)}, deflate)
		return
	}
	// Keep-alive probes need no word here: the net package sends them on
	// connections it accepts and dials, and so finds peers that vanished.
	result := relay.Run(s.tunnels, client, b.conn, relay.Options{
		IdleTimeout:     x.route.IdleTimeout,
		ClientLeftover:  leftover(buffered.Reader),
		BackendLeftover: leftover(b.reader),
	})
	x.received, x.sent = result.FromClient, result.FromBackend
	reason := string(result.Reason)
	if result.Err != nil {
		reason += ": " + result.Err.Error()
	}
	log.Info(eventTunnelClose, "bytes_in", x.received, "bytes_out", x.sent, "duration", result.Duration, "reason", reason)
}

// carryMessages is the life of a tunnel of mode message.
func (s *Server) carryMessages(x *exchange, log *slog.Logger, client, backend messagePeer, deflate bool) {
	result := x.route.messages.carry(s.tunnels, client, backend, deflate)
	x.received, x.sent = result.FromClient, result.ToClient
	if result.Panic != "" {
		log.Error(eventPanic, "panic", result.Panic, "stack", result.Stack)
	}
	log.Info(eventTunnelClose, "bytes_in", x.received, "bytes_out", x.sent, "messages_in", result.MessagesIn, "messages_out", result.MessagesOut,
		"duration", result.Duration, "reason", result.Reason, "closed_by", result.ClosedBy, "close_code", result.Code)
}

// beginTunnel counts a tunnel until the exchange is over, unless tunnels are
// being cut: drain waits for those that are counted, and no other may come once
// it does.
func (s *Server) beginTunnel(x *exchange) bool {
	s.tunnelsMu.Lock()
	defer s.tunnelsMu.Unlock()
	if s.tunnels.Err() != nil {
		return false
	}
	s.tunnelsWG.Add(1)
	x.over = s.tunnelsWG.Done
	return true
}

// handshakeFailed answers a handshake that the backend gave no answer to.
func (s *Server) handshakeFailed(x *exchange, r *http.Request, err error) {
	switch {
	case s.tunnels.Err() != nil:
		x.fail(r, http.StatusServiceUnavailable, "the server is shutting down", "The server is restarting. Try again shortly.")
	case r.Context().Err() != nil:
		x.gone()
	default:
		status, reason := x.route.backend.explain(err)
		x.fail(r, status, reason, hint(status))
	}
}

// backendTunnel is the backend's side of a handshake that was answered.
type backendTunnel struct {
	conn   net.Conn
	reader *bufio.Reader // may hold what came behind the answer's head
	answer *http.Response
	keep   func() bool // ends the watch that closes conn when the client goes away
}

// askForTunnel sends the handshake and reads the answer's head. ctx cuts the
// attempt, but not what follows.
func (x *exchange) askForTunnel(ctx context.Context, r *http.Request) (*backendTunnel, error) {
	conn, err := x.route.backend.dial(ctx)
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(x.route.ResponseTimeout))
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	b, err := x.exchangeHandshake(conn, r)
	if !stop() && err == nil {
		err = ctx.Err() // its deadline may still be about to be set
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	// A plain answer may take its time from here on, but not outlast the
	// client.
	_ = conn.SetDeadline(time.Time{})
	b.keep = context.AfterFunc(ctx, func() { conn.Close() })
	return b, nil
}

func (x *exchange) exchangeHandshake(conn net.Conn, r *http.Request) (*backendTunnel, error) {
	if _, err := conn.Write(x.handshake(r)); err != nil {
		return nil, fmt.Errorf("send the handshake: %w", err)
	}
	limited := &headReader{conn: conn, left: maxHandshakeAnswer}
	b := &backendTunnel{conn: conn, reader: bufio.NewReader(limited)}
	for range maxInterim + 1 {
		answer, err := http.ReadResponse(b.reader, r)
		if err != nil {
			return nil, fmt.Errorf("read the answer to the handshake: %w", err)
		}
		if answer.StatusCode == http.StatusSwitchingProtocols || answer.StatusCode >= 200 {
			limited.left = math.MaxInt64
			b.answer = answer
			return b, nil
		}
	}
	return nil, errTooManyInterim
}

// handshake is the client's handshake as the backend gets it: what it says end
// to end, extensions and subprotocols included, with its field names in the
// spelling of RFC 6455, as old servers compare them letter by letter.
func (x *exchange) handshake(r *http.Request) []byte {
	target := x.route.backendPath(x.path)
	if r.URL.RawQuery != "" || r.URL.ForceQuery {
		target += "?" + r.URL.RawQuery
	}
	h := x.requestFields(r)
	for _, name := range []string{"Content-Length", "Expect"} { // there is no body
		delete(h, name)
	}
	if x.route.messages != nil {
		delete(h, "Sec-Websocket-Extensions") // they are for us to accept
	}
	var b strings.Builder
	fmt.Fprintf(&b, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n", target, x.backendHost())
	writeFields(&b, h)
	return []byte(b.String())
}

// switchHead is the 101 for the client. It is written in one piece, as some
// clients read a handshake's answer by a single call.
func (x *exchange) switchHead(answer *http.Response) []byte {
	endToEnd(answer.Header)
	x.rewrite(answer.Header)
	h := x.Header()
	for name, values := range answer.Header {
		h[name] = values
	}
	delete(h, "Content-Length") // a 101 has none (RFC 9110 §8.6)
	x.site.decorate(x)
	var b strings.Builder
	b.WriteString("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")
	writeFields(&b, h)
	return []byte(b.String())
}

// writeFields writes a head's fields and its end. The values were checked when
// they were read: none holds a line's end.
func writeFields(b *strings.Builder, h http.Header) {
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		spelled := name
		if rest, ok := strings.CutPrefix(name, "Sec-Websocket-"); ok {
			spelled = "Sec-WebSocket-" + rest
		}
		for _, value := range h[name] {
			b.WriteString(spelled)
			b.WriteString(": ")
			b.WriteString(value)
			b.WriteString("\r\n")
		}
	}
	b.WriteString("\r\n")
}

// headReader ends an answer's head that is too long.
type headReader struct {
	conn net.Conn
	left int64
}

var errHeadTooLong = errors.New("the head of the answer is too long")

func (h *headReader) Read(p []byte) (int, error) {
	if h.left <= 0 {
		return 0, errHeadTooLong
	}
	if int64(len(p)) > h.left {
		p = p[:h.left]
	}
	n, err := h.conn.Read(p)
	h.left -= int64(n)
	return n, err
}

// leftover is what was read together with a head, and belongs behind it.
func leftover(r *bufio.Reader) []byte {
	p, _ := r.Peek(r.Buffered())
	return slices.Clone(p)
}

// refuseHandshake answers a handshake with a mistake of the client's. The
// connection is closed, as nobody knows what the client takes it for now.
func (x *exchange) refuseHandshake(r *http.Request, status int, mistake string) {
	h := x.Header()
	h.Set("Connection", "close")
	switch status {
	case http.StatusUpgradeRequired: // RFC 6455 §4.4, RFC 9110 §15.5.22
		h.Set("Sec-WebSocket-Version", "13")
		h.Set("Upgrade", "websocket")
		h.Set("Connection", "close, Upgrade")
	case http.StatusMethodNotAllowed:
		h.Set("Allow", http.MethodGet)
	}
	x.fail(r, status, mistake, mistake)
}
