package proxy

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
	"github.com/koding/websocketproxy"

	"wsfront/proxy/frame"
	"wsfront/proxy/relay"
	"wsfront/proxy/tally"
)

// Mode message: the client's WebSocket ends here, and another one of ours leads
// to the backend. koding/websocketproxy, with gorilla/websocket below it, takes
// whole messages from the one and writes them to the other. This file calls it,
// wsmessageconn.go and wsmessageframe.go stand between it and the sockets; it is
// imported nowhere else.
//
// The library gets no request and no socket of a peer. Both handshakes are made
// before it is called, as for a raw tunnel (tunnel.go); it is called with a
// handshake made up here, and with connections (messageEnd) through which its
// bytes pass on their way to and from the true ones. So these faults of its
// never come to bear:
//
//   - Of a client's fields only Origin, Cookie, Host and the subprotocols reach
//     the backend, and the client's X-Forwarded-For is believed.
//   - Of the backend's 101 only the first Set-Cookie reaches the client; an
//     interim answer (103) is taken for a refusal, and a refusal's body is cut
//     at 1024 bytes.
//   - The backend is asked before the client's handshake is looked at, and then
//     a page of another origin is refused, whatever the backend has said.
//   - Nothing limits what the peers are waited for: there are no deadlines.
//   - Its messages go to the standard logger. It writes one when a dial, an
//     upgrade, a read or a write fails otherwise than by a Close frame. None of
//     these four happens any more: see messageEnd.Read and Write.
//
// messageEnd repairs what happens once messages flow:
//
//   - 1006 on the wire when a side vanishes, which RFC 6455 §7.4.1 forbids, and
//     1000 with an error's text in place of a Close without a code: every Close
//     frame on the wire is ours, with what the other side truly said.
//   - A Close frame may be lost, as the connections are closed at the first
//     error: here they are closed when both sides have been told and have
//     answered, or had their time to.
//   - No limit of a message's length, none of their rate, no deadline for a peer
//     that does not read, no pings of its own, none of a tunnel's age.
//   - Text is not checked to be UTF-8 (RFC 6455 §8.1), and what a compressed
//     message unpacks to is not limited.
//   - A panic in either of its two goroutines would end the process.
//
// What cannot be repaired from outside: a message is held in memory whole, and
// taken anew from the heap each time; both ends keep a read buffer and a
// goroutine while idle; pings of a peer are answered here and do not reach the
// other one, which is what ending a WebSocket means; a half-closed connection
// is a closed one; every message is compressed where compression was agreed
// upon, however short; one longer than messageBuffer reaches the backend in
// several frames; a panic of gorilla's outside of our Read and Write ends the
// process (it has two, for a thousand reads after an error and for two writers
// at once, and the library does neither).

const (
	// defaultMaxMessage is the limit of a message's length where the route has
	// none, since messages are held in memory whole.
	defaultMaxMessage = 1 << 20
	// messageBuffer is the size of a buffer for writing, held during a write.
	messageBuffer = 16 << 10
	// messageReadBuffer is the size of a buffer for reading; each end has one.
	messageReadBuffer = 4 << 10
	// stallTimeout is how long a peer may take to make room for 64 KiB.
	stallTimeout = 30 * time.Second
	// farewellTimeout is how long the Close frames and their answers may take.
	farewellTimeout = 3 * time.Second
)

// deflateAnswer accepts permessage-deflate (RFC 7692) as gorilla speaks it.
const deflateAnswer = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

// offersDeflate reports whether a client's Sec-WebSocket-Extensions hold an
// offer that deflateAnswer accepts (RFC 7692 §7.1). One that limits our window
// is none: compress/flate knows one size only.
func offersDeflate(fields []string) bool {
	for offer := range strings.SplitSeq(strings.Join(fields, ","), ",") {
		name, rest, _ := strings.Cut(offer, ";")
		if strings.EqualFold(strings.TrimSpace(name), "permessage-deflate") && acceptableDeflate(rest) {
			return true
		}
	}
	return false
}

func acceptableDeflate(parameters string) bool {
	seen := map[string]bool{}
	for parameter := range strings.SplitSeq(parameters, ";") {
		name, value, valued := strings.Cut(strings.TrimSpace(parameter), "=")
		bits, err := strconv.Atoi(strings.Trim(value, `"`))
		switch {
		case name == "" && parameters == "":
		case seen[name]:
			return false
		case !valued && (name == "server_no_context_takeover" || name == "client_no_context_takeover" || name == "client_max_window_bits"):
		case name == "client_max_window_bits" && err == nil && 8 <= bits && bits <= 15:
		default:
			return false
		}
		seen[name] = true
	}
	return true
}

// messageTunnel carries the tunnels of one route. Its methods may be called
// concurrently.
type messageTunnel struct {
	maxMessage           int64
	idle, lifetime, ping time.Duration
	stall, farewell      time.Duration

	rules   [2]frame.Rules // of what comes from the client and the backend
	deflate frame.Rules    // of what comes from a client with which compression was agreed upon
	free    frame.Rules    // of what goes out

	writers   sync.Pool // gorilla's buffers, held during a write
	buffers   sync.Pool // of *[]byte: messages that are compressed, or are being read aside
	inflaters sync.Pool // of io.ReadCloser that are flate.Resetter
}

func newMessageTunnel(r Route) *messageTunnel {
	m := &messageTunnel{maxMessage: r.MaxMessage, idle: r.IdleTimeout, lifetime: r.MaxLifetime, ping: r.Ping, stall: stallTimeout, farewell: farewellTimeout}
	if m.maxMessage == 0 {
		m.maxMessage = defaultMaxMessage
	}
	m.rules[frame.FromBackend].Validate = true
	m.rules[frame.FromClient] = frame.Rules{Validate: true, MessageRate: float64(r.MessageRate), Burst: r.MessageRate}
	m.deflate = m.rules[frame.FromClient]
	m.deflate.Compression = true
	m.free.AnyReserved = true
	return m
}

// messagePeer is one side, past its handshake.
type messagePeer struct {
	conn  net.Conn
	early []byte // what came together with the handshake
}

// messageRun is one tunnel.
type messageRun struct {
	*messageTunnel
	begin      time.Time
	compressed bool             // deflateAnswer is in the client's 101
	ends       [2]messageEnd    // by whose frames are read there
	moved      atomic.Int64     // when a byte of a peer's own was last read, after begin
	nonce      [8]byte          // payload of our pings
	pings      *tally.Histogram // gets how long the client takes to answer them
	over       error            // what the library reads once the tunnel has ended

	ending atomic.Pointer[messageEnding]
	mu     sync.Mutex // held while the tunnel ends, and while the clock is set
	clock  *time.Timer
	final  *relay.Stats // once both sides are closed
}

// messageEnding is why a tunnel ends.
type messageEnding struct {
	reason relay.Reason
	err    error // what is behind it, or nil
	by     string
	code   uint16      // of the Close that ended it; 1005 and 1006 as in RFC 6455 §7.1.5
	text   string      // its reason
	words  [2]lastWord // for the client and the backend
	until  time.Time   // when waiting for the peers has an end
}

// lastWord is a Close frame's content, or none for a peer that is gone.
type lastWord struct {
	say  bool
	code uint16
	text string
}

// frontEnds is the end of a tunnel by no fault of either side.
func frontEnds(reason relay.Reason, code uint16) messageEnding {
	word := lastWord{true, code, string(reason)}
	return messageEnding{reason: reason, by: "front", code: code, text: word.text, words: [2]lastWord{word, word}}
}

// open makes a tunnel of two peers, which carry is to be called for. deflate tells
// that deflateAnswer is in the client's 101.
func (m *messageTunnel) open(client, backend messagePeer, deflate bool, pings *tally.Histogram) *messageRun {
	r := &messageRun{messageTunnel: m, begin: time.Now(), compressed: deflate, pings: pings, over: &websocket.CloseError{Code: websocket.CloseGoingAway}}
	for i := range r.nonce {
		r.nonce[i] = byte(rand.Uint32()) // no secret: a pong with these bytes is one nobody else asked for
	}
	r.ends[frame.FromClient].init(r, frame.FromClient, client, deflate)
	r.ends[frame.FromBackend].init(r, frame.FromBackend, backend, false)
	return r
}

// carry lets messages flow both ways until either side ends, ctx is done, which
// says 1001 to both, or a limit is reached, and then closes both connections.
// It uses the caller's goroutine, and two of the library's that read from the
// two ends.
func (r *messageRun) carry(ctx context.Context) relay.Result {
	// Whatever happens, a panic in ServeHTTP included, no connection is left
	// open, and so no goroutine of the library that reads from it.
	defer r.cut()
	// Neither callback needs to be waited for: once the tunnel has ended it
	// finds nothing to do.
	defer context.AfterFunc(ctx, func() {
		reason := relay.Drained
		if cause := context.Cause(ctx); cause == errRouteRemoved {
			reason = relay.Reason(cause.Error())
		}
		r.end(frontEnds(reason, websocket.CloseGoingAway))
	})()
	r.setClock()
	r.library().ServeHTTP(&madeUpAnswer{conn: &r.ends[frame.FromClient]}, madeUpRequest(r.compressed))
	// The library returns when one of its goroutines has ended. Each ends when
	// a read tells it so, passes that on to the other side and is gone; so does
	// the other one, as a tunnel that ends wakes both readers.
	r.end(frontEnds(relay.Failed, websocket.CloseInternalServerErr))
	r.takeLeave()
	return r.result()
}

// library is the proxy of one tunnel, whose connections are made already.
func (r *messageRun) library() *websocketproxy.WebsocketProxy {
	return &websocketproxy.WebsocketProxy{
		Backend: func(*http.Request) *url.URL { return &url.URL{Scheme: "ws", Host: "backend", Path: "/"} },
		Upgrader: &websocket.Upgrader{
			ReadBufferSize: messageReadBuffer, WriteBufferSize: messageBuffer, WriteBufferPool: &r.writers,
			CheckOrigin:       func(*http.Request) bool { return true }, // the backend has judged it
			EnableCompression: r.compressed,
		},
		Dialer: &websocket.Dialer{
			ReadBufferSize: messageReadBuffer, WriteBufferSize: messageBuffer, WriteBufferPool: &r.writers,
			NetDialContext: func(context.Context, string, string) (net.Conn, error) { return &r.ends[frame.FromBackend], nil },
		},
	}
}

// madeUpRequest is a handshake that the library finds nothing to object to. No
// RemoteAddr, so that it says nothing about one.
func madeUpRequest(deflate bool) *http.Request {
	h := http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {madeUpKey}}
	if deflate {
		h["Sec-Websocket-Extensions"] = []string{"permessage-deflate"}
	}
	return &http.Request{Method: http.MethodGet, Header: h, URL: &url.URL{Path: "/"}}
}

const madeUpKey = "AAAAAAAAAAAAAAAAAAAAAA=="

// madeUpAnswer hands the library the client's end. What it answers goes
// nowhere: the client has its 101.
type madeUpAnswer struct {
	conn   net.Conn
	header http.Header
}

func (a *madeUpAnswer) Header() http.Header {
	if a.header == nil {
		a.header = http.Header{}
	}
	return a.header
}
func (a *madeUpAnswer) Write(p []byte) (int, error) { return len(p), nil }
func (a *madeUpAnswer) WriteHeader(int)             {}
func (a *madeUpAnswer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return a.conn, bufio.NewReadWriter(bufio.NewReaderSize(a.conn, 16), bufio.NewWriterSize(a.conn, 16)), nil
}

// greet takes the library's handshake in place of the peer, and answers the
// one that is for the backend.
func (e *messageEnd) greet(p []byte) {
	e.greeted = true
	if e.side == frame.FromBackend {
		_, key, _ := bytes.Cut(p, []byte("Sec-WebSocket-Key: "))
		key, _, _ = bytes.Cut(key, []byte("\r\n"))
		e.greeting = fmt.Appendf(nil, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", acceptKey(key))
	}
}

func (r *messageRun) now() int64 { return int64(time.Since(r.begin)) }

// end ends the tunnel, unless it has ended: both readers are woken, and from
// now on the peers have until farewell is over.
func (r *messageRun) end(e messageEnding) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ending.Load() != nil {
		return
	}
	e.until = time.Now().Add(r.farewell)
	r.ending.Store(&e)
	if r.clock != nil {
		r.clock.Stop()
	}
	for i := range r.ends {
		_ = r.ends[i].Conn.SetWriteDeadline(e.until)
		_ = r.ends[i].Conn.SetReadDeadline(time.Unix(1, 0))
	}
}

// takeLeave waits until each peer has got its Close frame and answered it, but
// not for longer than the ending says, and closes the connections: first that
// of a side with which all is said (RFC 6455 §7.1.1: the server closes first).
func (r *messageRun) takeLeave() {
	r.mu.Lock() // end may still be setting deadlines
	ending := r.ending.Load()
	r.mu.Unlock()
	ctx, cancel := context.WithDeadline(context.Background(), ending.until)
	defer cancel()
	for i := range r.ends {
		await(ctx, r.ends[i].said)
		await(ctx, r.ends[i].readOver)
	}
	if ctx.Err() != nil {
		return // cut closes what hangs
	}
	for i := range r.ends {
		if e := &r.ends[i]; e.reader.closed || !ending.words[i].say {
			e.Conn.Close()
		}
	}
	for i := range r.ends {
		r.ends[i].awaitClose(ending.until)
	}
}

func await(ctx context.Context, done <-chan struct{}) {
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// cut closes what is still open without waiting: to close a TLS connection
// would wait for a peer that does not read.
func (r *messageRun) cut() {
	r.end(frontEnds(relay.Failed, websocket.CloseInternalServerErr))
	for i := range r.ends {
		conn := r.ends[i].Conn
		for w, ok := conn.(interface{ NetConn() net.Conn }); ok; w, ok = conn.(interface{ NetConn() net.Conn }) {
			conn = w.NetConn()
		}
		_ = conn.Close() // mostly it is closed already
	}
}

// setClock sets the clock to when the next of the tunnel's times may be over.
func (r *messageRun) setClock() {
	next := int64(math.MaxInt64)
	if r.lifetime > 0 {
		next = int64(r.lifetime)
	}
	if r.idle > 0 {
		next = min(next, r.moved.Load()+int64(r.idle))
	}
	for i := range r.ends {
		if r.ping > 0 {
			next = min(next, r.ends[i].nextProbe())
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch left := time.Duration(next - r.now()); {
	case next == math.MaxInt64 || r.ending.Load() != nil:
	case r.clock == nil:
		r.clock = time.AfterFunc(left, r.tick)
	default:
		r.clock.Reset(left)
	}
}

// tick is called by the clock.
func (r *messageRun) tick() {
	now := r.now()
	switch {
	case r.lifetime > 0 && now >= int64(r.lifetime):
		r.end(frontEnds(relay.LifetimeOver, websocket.CloseGoingAway))
	case r.idle > 0 && now-r.moved.Load() >= int64(r.idle):
		r.end(frontEnds(relay.IdleTimedOut, websocket.CloseGoingAway))
	case r.ping > 0:
		for i := range r.ends {
			r.ends[i].probe(now)
		}
	}
	r.setClock()
}
