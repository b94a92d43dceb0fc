package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"wsfront/proxy/diagnosis"
	"wsfront/proxy/frame"
	"wsfront/proxy/http1"
	"wsfront/proxy/relay"
)

// switchTimeout is how long a client may take to accept our 101, which fits
// into any socket buffer.
const switchTimeout = 10 * time.Second

// What is said of a request that came too late.
const (
	shuttingDown = "the server is shutting down"
	restartHint  = "The server is restarting. Try again shortly."
)

// errAnswered says that the backend answered a handshake otherwise than by 101,
// and that the client has that answer.
var errAnswered = errors.New("the backend answered without a tunnel")

// takenConn is a client's connection that became a tunnel, and what the client
// sent behind its handshake.
type takenConn struct {
	net.Conn
	leftover []byte
}

// tunnel sends a WebSocket handshake to the route's backend and, after a true
// 101, lets bytes flow both ways until either side ends.
func (s *Server) tunnel(x *exchange) {
	// Unless it becomes a tunnel, the connection ends with the answer: what the
	// client sends behind a handshake may be frames, which are not to be read
	// as a request, by us or by a proxy in front of us.
	x.down.closeAfter()
	if status, mistake := checkHandshake(x.req); status != 0 {
		x.refuseHandshake(status, mistake)
		return
	}
	place, ok := s.tunnels.admit(x)
	if !ok {
		return
	}
	defer func() { place.leave() }() // unless the tunnel has it by then
	defer x.choice.leave()           // likewise
	b, err := s.askForTunnel(x)
	if err != nil {
		s.handshakeFailed(x, err)
		return
	}
	cause, mistake := checkSwitch(x.req, &b.answer)
	if _, n := http1.Get(b.answer.Fields, http1.SecWebSocketExtensions); mistake == "" && n > 0 && x.route.messages != nil {
		cause, mistake = diagnosis.FramesBroken, "with an extension that it was not offered"
	}
	if mistake != "" {
		b.close()
		x.failFor(cause, http.StatusBadGateway, fmt.Sprintf("backend %s answered 101, but %s", x.choice.member.backend.written, mistake), hint(http.StatusBadGateway))
		return
	}
	if s.open(x, b, place) {
		place = tunnelPlace{}
	}
}

// askForTunnel sends the handshake and returns the connection on which the
// backend answered 101.
func (s *Server) askForTunnel(x *exchange) (*backendConn, error) {
	b, err := x.connect(s.stopping, true)
	if err != nil {
		return nil, err
	}
	x.payload = requestBody{x: x, length: lengthNone}
	t := &x.attempt
	*t = attempt{x: x, b: b, body: &x.payload, tunnel: true}
	stop := context.AfterFunc(s.stopping, b.clientGone) // shutdown ends the attempt as well
	err = t.ask()
	t.end()
	if !stop() && err == nil {
		err = errClientGone
	}
	switch {
	case err != nil:
		b.close()
		return nil, err
	case b.answer.Status != http.StatusSwitchingProtocols:
		t.diagnose()
		t.pass()
		t.end()
		b.close()
		if !x.aborted {
			x.down.finish()
		}
		return nil, errAnswered
	}
	b.out = nil
	*t = attempt{}
	return b, nil
}

// handshakeFailed answers a handshake that the backend gave no answer to.
func (s *Server) handshakeFailed(x *exchange, err error) {
	switch {
	case err == errAnswered:
	case s.stopping.Err() != nil:
		x.failFor(diagnosis.Restarting, http.StatusServiceUnavailable, shuttingDown, restartHint)
	case err == errClientGone:
		x.abort()
	default:
		x.cause = x.choice.member.backend.cause(err)
		x.backendFailed(err)
	}
}

// open gives the client its 101, and both connections to the relay.
func (s *Server) open(x *exchange, b *backendConn, place tunnelPlace) bool {
	x.answerFields(&b.answer)
	x.stick()
	deflate := x.route.messages != nil && offersDeflate(x.values(http1.SecWebSocketExtensions))
	if deflate {
		x.addField("Sec-WebSocket-Extensions", deflateAnswer)
	}
	x.status = http.StatusSwitchingProtocols
	x.decorate()
	s.access.noteAnswer(x)
	head := appendSwitchHead(nil, x.fields)
	early := relay.Early{FromBackend: append([]byte(nil), b.reader.Buffered()...)}
	terms := x.route.tunnel.terms(&b.answer)
	b.reader.Reset(nil)
	client, err := x.down.takeOver()
	if err != nil {
		_ = b.Conn.Close()
		x.status, x.fields = 0, x.fields[:0]
		x.failFor(diagnosis.HandshakeWrong, http.StatusInternalServerError, "take the client's connection over: "+err.Error(), "This connection cannot carry a WebSocket.")
		return false
	}
	_ = client.SetWriteDeadline(time.Now().Add(switchTimeout))
	if _, err := client.Write(head); err != nil {
		_ = b.Conn.Close()
		_ = client.Conn.Close()
		return false // the client went away between its request and the answer
	}
	early.FromClient = client.leftover
	x.switched, x.choice.open = true, false
	t := &tunnelEntry{
		server: s, site: x.site, route: x.route, member: x.choice.member, id: x.id, client: x.client, took: time.Since(x.begin),
		userAgent: userAgent(x.req.Fields), names: x.traceNames(), access: s.access.keep(x), place: place,
	}
	s.log.Info(eventTunnelOpen, t.attributes()...)
	// Keep-alive probes need no word here: the net package sends them on
	// connections it accepts and dials, and so finds peers that vanished.
	if x.route.messages != nil {
		run := x.route.messages.open(messagePeer{client.Conn, early.FromClient}, messagePeer{b.Conn, early.FromBackend}, deflate, s.relay.PingRoundTrip())
		s.accounts.begin(t, run)
		s.messages.Go(func() { t.carryMessages(run) }) // ended by the peers, or with the tenure, awaited by drain
		return true
	}
	s.accounts.begin(t, nil)
	s.relay.Start(client.Conn, b.Conn, terms, early, t)
	return true
}

// tunnelTerms are the relay's options for the tunnels of one route. There is one
// for each use of the frames' reserved bits that client and backend may agree
// on: all tunnels share them.
type tunnelTerms struct{ plain, compressed, unknown *relay.Options }

func newTunnelTerms(r *Route, group *relay.Group) tunnelTerms {
	terms := func(compressed, unknown bool) *relay.Options {
		rules := frame.Rules{
			Compression: compressed, AnyReserved: unknown,
			Validate: r.Validate, MaxMessage: r.MaxMessage, MaxFragments: r.MaxFragments,
		}
		f := &relay.Frames{FromClient: rules, FromBackend: rules}
		f.FromClient.MessageRate, f.FromClient.Burst = float64(r.MessageRate), r.MessageRate
		return &relay.Options{IdleTimeout: r.IdleTimeout, MaxLifetime: r.MaxLifetime, Ping: r.Ping, Frames: f, Group: group}
	}
	return tunnelTerms{plain: terms(false, false), compressed: terms(true, false), unknown: terms(true, true)}
}

// terms chooses by the extensions in the backend's 101.
func (t *tunnelTerms) terms(answer *http1.Response) *relay.Options {
	compressed, unknown := frame.Reserved(strings.Join(values(answer.Fields, http1.SecWebSocketExtensions), ","))
	switch {
	case unknown:
		return t.unknown
	case compressed:
		return t.compressed
	}
	return t.plain
}

// appendHandshake is the client's handshake as the backend gets it: what it says
// end to end, extensions and subprotocols included, with the names of RFC 6455
// in the spelling that it has there, as old servers compare them letter by
// letter.
func (x *exchange) appendHandshake(b []byte) []byte {
	b = append(b, "GET "...)
	b = x.appendBackendPath(b)
	b = x.appendQuery(b)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = x.appendBackendHost(b)
	b = append(b, "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"...)
	b = x.appendFields(b, false)
	return append(b, "\r\n"...)
}

// appendSwitchHead is the 101 for the client. It is written in one piece, as
// some clients read a handshake's answer by a single call.
func appendSwitchHead(b []byte, fields []http1.Field) []byte {
	b = append(b, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"...)
	for i := range fields {
		b = appendFieldLine(b, spelling(&fields[i]), fields[i].Value)
	}
	return append(b, "\r\n"...)
}

// spelling is a field's name, that of a handshake's as RFC 6455 writes it.
func spelling(f *http1.Field) []byte {
	switch f.Known {
	case http1.SecWebSocketKey, http1.SecWebSocketVersion, http1.SecWebSocketAccept, http1.SecWebSocketProtocol, http1.SecWebSocketExtensions:
		return []byte(f.Known.String())
	}
	return f.Name
}

// refuseHandshake answers a handshake with a mistake of the client's.
func (x *exchange) refuseHandshake(status int, mistake string) {
	switch status {
	case http.StatusUpgradeRequired: // RFC 6455 §4.4, RFC 9110 §15.5.22
		x.addField("Sec-WebSocket-Version", "13")
		if x.req.Minor > 0 {
			x.addField("Upgrade", "websocket")
		}
	case http.StatusMethodNotAllowed:
		x.addField("Allow", http.MethodGet)
	}
	x.failFor(diagnosis.HandshakeWrong, status, mistake, mistake)
}
