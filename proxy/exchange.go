package proxy

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"wsfront/proxy/diagnosis"
	"wsfront/proxy/http1"
)

// exchange is one request and its answer on the way through the front. It is
// the same whether the client speaks HTTP/1.1 (turn.go) or HTTP/2 (stream.go):
// what differs between them is behind downstream. Only the exchange's own goroutine uses it, but for what says
// otherwise.
//
// Byte slices in it, those of the request included, belong to buffers that are
// reused when the exchange is over: whatever outlasts it is copied.
type exchange struct {
	server *Server
	down   downstream
	req    *http1.Request
	secure bool   // came by TLS of ours
	proto  string // of the request, for the log
	tls    uint16 // version, 0 for none

	id     [16]byte
	begun  traceparent // of a trace that begins here; zero for none
	begin  time.Time
	client netip.Addr // who asks, trusted proxies seen through
	peer   netip.Addr // who is connected
	port   uint16     // of peer
	// hops are the client and the trusted proxies between it and us, the peer
	// last: what X-Forwarded-For may honestly say.
	hops    []netip.Addr
	trusted bool   // the peer is a trusted proxy
	scheme  string // http or https, as the client wrote it
	host    []byte // Host as the client wrote it
	upgrade bool   // asks for a WebSocket: see isHandshake
	path    []byte // the clean path, in escaped form: see cleanPath
	target  []byte // the path that a route with a template sends on; nil for others
	site    *site
	route   *route
	user    string // whose password the route has asked for, or ""
	choice  choice // of the backend that is asked
	// ends lists the options of the Connection field that name other fields,
	// which end here as well; nil for most requests.
	ends []string

	status   int    // of the answer; 0 until its head is begun
	sent     int64  // bytes of the answer's body, or through the tunnel to the client
	received int64  // bytes through the tunnel from the client
	reason   string // why it failed or was cut, in words for the log
	refusal  string // why a Handler has refused a handshake, which logs it itself
	// cause is why a handshake failed, for the log and for who sent it.
	cause diagnosis.Cause
	// aborted says that the answer cannot be ended well: the connection, or the
	// stream of HTTP/2, is cut, so that it never looks whole.
	aborted bool
	// ownError says that the answer is an error of our own.
	ownError bool
	// switched says that the connection has become a tunnel, which writes the
	// log lines when it ends.
	switched bool

	payload requestBody   // on its way to the backend
	attempt attempt       // under way, or the last one that failed
	fields  []http1.Field // of the answer
	scratch []byte        // values that are written anew
	noted   [][]byte      // of the answer, for the access log: see noteAnswer
	small   []byte        // a small request body, whole
}

// downstream is the client's side of an exchange. A write that fails makes all
// that follow fail; err tells.
type downstream interface {
	// readBody returns the next piece of the request's body, valid until the
	// next call, and io.EOF behind it. It may be called by another goroutine
	// than the methods that write.
	readBody() ([]byte, error)
	// trailer is what stood behind the body, once readBody returned io.EOF.
	trailer() []http1.Field
	// duplex is called before another goroutine reads the body, while the answer
	// may begin. Unless that one reads it to its end, closeAfter is called too.
	duplex()
	// stopBody makes a readBody under way, and each later one, fail.
	stopBody()
	// proceed asks the client for the body that it waits to be asked for (100
	// Continue, RFC 9110 §10.1.1).
	proceed()
	// interim sends an interim answer.
	interim(status int, fields []http1.Field)
	// start begins the answer with its head, which may wait for the first bytes
	// of the body. length is the length of the body; lengthUnknown if it is not
	// known before its end.
	start(status int, reason []byte, fields []http1.Field, length int64)
	// write sends a piece of the body, or keeps it until flush.
	write(p []byte)
	flush()
	// end ends the answer; its last bytes may wait for finish.
	end(trailer []http1.Field)
	finish()
	// err is the first failure to write to the client.
	err() error
	// watch calls gone, from another goroutine, if the client goes away. It is
	// for backends that take their time, and works until stop is called. Nobody
	// may read the body meanwhile.
	watch(gone func()) (stop func())
	// setReadDeadline and setWriteDeadline are a handler's, in place of our own
	// limits for the body and the answer, until the exchange is over. They may be
	// called concurrently.
	setReadDeadline(t time.Time) error
	setWriteDeadline(t time.Time) error
	// takeOver gives the connection out for a tunnel, and what the client sent
	// behind its request.
	takeOver() (*takenConn, error)
	// closeAfter has the connection closed when the answer is over: nobody knows
	// what the client will send on it. HTTP/2 has no need of that.
	closeAfter()
}

// lengthUnknown stands for the length of a body that nobody announced;
// lengthNone for an answer without one.
const (
	lengthUnknown = -1
	lengthNone    = -2
)

// reset prepares an exchange that may have served another request before.
func (x *exchange) reset() {
	*x = exchange{hops: x.hops[:0], fields: x.fields[:0], scratch: x.scratch[:0], noted: x.noted[:0], small: x.small[:0]}
}

// arrived fills in what is known once the request's head is there.
func (x *exchange) arrived(trusted []netip.Prefix) {
	x.begin = time.Now()
	newID(&x.id)
	x.site = nowhere
	x.upgrade = isHandshake(x.req)
	x.noteConnection()
	x.identify(trusted)
}

// newID makes an id: 80 random bits in the letters of base32. The generator is
// the runtime's own ChaCha8; an id identifies, and protects nothing.
func newID(id *[16]byte) {
	const letters = "abcdefghijklmnopqrstuvwxyz234567"
	high, low := rand.Uint64(), rand.Uint64()
	for i := range 8 {
		id[i], id[i+8] = letters[high&31], letters[low&31]
		high, low = high>>5, low>>5
	}
}

// abort ends the exchange so that no answer looks whole.
func (x *exchange) abort() { x.aborted = true }

// https reports whether the client reached us by TLS, ours or that of a
// trusted proxy.
func (x *exchange) https() bool { return x.scheme == "https" }

// isHead reports whether the answer has no body because of the method.
func (x *exchange) isHead() bool { return string(x.req.Method) == "HEAD" }

// values are the values of a field of the request, for what is rare enough to
// work on strings.
func (x *exchange) values(known http1.Known) []string { return values(x.req.Fields, known) }

func values(fields []http1.Field, known http1.Known) []string {
	var list []string
	for _, f := range fields {
		if f.Known == known {
			list = append(list, string(f.Value))
		}
	}
	return list
}

// start begins the answer; its fields are changed as site and route say, and the
// site's own are added.
func (x *exchange) start(status int, reason []byte, length int64) {
	x.status = status
	x.applyHeaders()
	x.decorate()
	if x.server != nil {
		x.server.access.noteAnswer(x)
	}
	x.down.start(status, reason, x.fields, length)
}

// keepText copies text into the exchange's own memory.
func (x *exchange) keepText(text string) []byte {
	from := len(x.scratch)
	x.scratch = append(x.scratch, text...)
	return x.scratch[from:len(x.scratch):len(x.scratch)]
}

// addField adds a field to the answer.
func (x *exchange) addField(name, value string) {
	x.fields = append(x.fields, http1.Field{Known: http1.Lookup(name), Name: x.keepText(name), Value: x.keepText(value)})
}

// answer sends a whole answer of our own.
func (x *exchange) answer(status int, body []byte) {
	x.start(status, nil, int64(len(body)))
	if len(body) > 0 && !x.isHead() {
		x.sent = int64(len(body))
		x.gave(x.sent)
		x.down.write(body)
	}
	x.down.end(nil)
	x.down.finish()
}
