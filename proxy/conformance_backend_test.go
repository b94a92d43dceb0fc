package proxy

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// script is what a client and the backends behind the front do.
type script struct {
	config  scriptConfig
	client  []step
	replies [][]step // to the requests as they come, over all connections
	methods []string // of the requests that get a final answer

	patience time.Duration // how long the client waits; 0 for the usual
}

// scriptConfig is what a script needs of the front.
type scriptConfig struct{ trusted, anyHost bool }

// step is one thing that a client or a backend does.
type step struct {
	do   string // send, or a word in angle brackets
	text string
	n    int
}

// defaultReply answers where a script says nothing.
const defaultReply = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// probeTarget is asked for to see whether a connection is still good. It is
// not counted.
const (
	probeTarget = "/conformance-probe"
	probeBody   = "probe"
)

// seenRequest is a request as a backend saw it.
type seenRequest struct {
	push           bool
	method, target string
	fields         []seenField
	body           string
	trailer        []seenField
	whole          bool   // its body ended
	reused         bool   // its connection had a request before
	raw            string // what came through the tunnel
	malformed      string // how it broke the grammar: never, through a good front
}

type seenField struct{ name, value string }

// scriptedBackend is the app and the push service: it records what it sees and
// answers by the script.
type scriptedBackend struct {
	app, push net.Listener
	script    script
	wg        sync.WaitGroup

	noticeBoard // of what follows
	seen        []*seenRequest
	open        map[net.Conn]bool
	busy        int // replies under way
	closed      bool
}

// noticeBoard guards what several goroutines see, and wakes who waits for it.
type noticeBoard struct {
	mu      sync.Mutex
	changed chan struct{} // closed and renewed by each update
}

func newScriptedBackend(s script) (*scriptedBackend, error) {
	b := &scriptedBackend{script: s, noticeBoard: noticeBoard{changed: make(chan struct{})}, open: map[net.Conn]bool{}}
	var err error
	if b.app, err = listenApart(); err != nil {
		return nil, err
	}
	if b.push, err = listenApart(); err != nil {
		b.app.Close()
		return nil, err
	}
	b.wg.Go(func() { b.accept(b.app, false) }) // both ended by close, awaited there
	b.wg.Go(func() { b.accept(b.push, true) })
	return b, nil
}

// listenApart listens at a loopback address that no other test uses, where
// there is more than one: at 127.0.0.1 somebody may still ask for whoever had
// the port before, and every request counts here.
func listenApart() (net.Listener, error) {
	if l, err := net.Listen("tcp", "127.83.17.1:0"); err == nil {
		return l, nil
	}
	return net.Listen("tcp", "127.0.0.1:0")
}

// close waits until the replies under way are done, then ends everything.
func (b *scriptedBackend) close() error {
	err := b.await("the backend's replies are done", func() bool { return b.busy == 0 })
	b.app.Close()
	b.push.Close()
	b.mu.Lock()
	b.closed = true
	for conn := range b.open {
		conn.Close()
	}
	b.mu.Unlock()
	b.wg.Wait()
	return err
}

// await waits for a condition on what mu guards.
func (b *noticeBoard) await(what string, condition func() bool) error {
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		b.mu.Lock()
		changed, ok := b.changed, condition()
		b.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-late.C:
			return fmt.Errorf("waited %v until %s", patience, what)
		}
	}
}

// update changes what mu guards.
func (b *noticeBoard) update(change func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change()
	close(b.changed)
	b.changed = make(chan struct{})
}

func (b *scriptedBackend) accept(l net.Listener, push bool) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		b.mu.Lock()
		if b.closed {
			conn.Close()
		}
		b.open[conn] = true
		b.mu.Unlock()
		b.wg.Go(func() { // ended by close, awaited there
			defer func() { b.update(func() { delete(b.open, conn) }); conn.Close() }()
			_ = conn.SetDeadline(time.Now().Add(patience))
			r := bufio.NewReader(conn)
			for reused := false; b.serve(conn, r, push, reused); reused = true {
			}
		})
	}
}

// serve takes one request and answers it.
func (b *scriptedBackend) serve(conn net.Conn, r *bufio.Reader, push, reused bool) (again bool) {
	if _, err := r.Peek(1); err != nil {
		return false // a connection that ends without a request
	}
	q := &seenRequest{push: push, reused: reused}
	framing, err := q.readHead(r)
	if q.target == probeTarget && err == nil {
		_, err = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(probeBody), probeBody)
		return err == nil
	}
	reply := []step{{do: "send", text: defaultReply}}
	b.update(func() {
		if n := len(b.seen); n < len(b.script.replies) {
			reply = b.script.replies[n]
		}
		b.seen = append(b.seen, q)
		b.busy++
	})
	defer b.update(func() { b.busy-- })
	if err != nil {
		return false
	}
	x := &backendExchange{b: b, conn: conn, r: r, q: q, framing: framing}
	return x.play(reply) && x.readBody()
}

// backendExchange is one request and the reply to it.
type backendExchange struct {
	b       *scriptedBackend
	conn    net.Conn
	r       *bufio.Reader
	q       *seenRequest
	framing bodyFraming
	read    bool // the request's body
}

// play does the steps of a reply. The body is read before the first byte is
// sent, unless the reply says when.
func (x *backendExchange) play(steps []step) (again bool) {
	timed := slices.ContainsFunc(steps, func(s step) bool { return s.do == "body" || s.do == "early" })
	for _, s := range steps {
		if !timed && !x.readBody() {
			return false
		}
		switch s.do {
		case "send":
			if _, err := io.WriteString(x.conn, s.text); err != nil {
				return false
			}
		case "answer": // to HEAD as well, which has no body
			text := s.text
			if x.q.method == "HEAD" {
				head, _, _ := strings.Cut(text, "\r\n\r\n")
				text = head + "\r\n\r\n"
			}
			if _, err := io.WriteString(x.conn, text); err != nil {
				return false
			}
		case "body":
			if !x.readBody() {
				return false
			}
		case "raw":
			p := make([]byte, s.n)
			n, err := io.ReadFull(x.r, p)
			x.b.update(func() { x.q.raw += string(p[:n]) })
			if err != nil {
				return false
			}
		case "silent":
			_, _ = io.Copy(io.Discard, x.r)
			return false
		case "end":
			_ = x.conn.(*net.TCPConn).CloseWrite()
		case "reset":
			_ = x.conn.(*net.TCPConn).SetLinger(0)
			return false
		case "close":
			return false
		}
	}
	return true
}

// readBody takes the body if it was not taken yet. False: it broke off.
func (x *backendExchange) readBody() bool {
	if x.read {
		return true
	}
	x.read = true
	body, trailer, err := x.framing.read(x.r)
	x.b.update(func() {
		x.q.body, x.q.trailer, x.q.whole = body, trailer, err == nil
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !isReset(err) {
			x.q.malformed = err.Error()
		}
	})
	return err == nil
}

func isReset(err error) bool {
	var op *net.OpError
	return errors.As(err, &op)
}

// bodyFraming is where a message's body ends.
type bodyFraming struct {
	length     int
	chunked    bool
	extensions bool // chunk extensions are skipped: a front sends none
}

// readHead reads a request's head by the grammar, and takes no liberties: a
// backend that did would hide what the front let through.
func (q *seenRequest) readHead(r *bufio.Reader) (bodyFraming, error) {
	line, err := readLine(r)
	if err != nil {
		return bodyFraming{}, q.broken(err)
	}
	words := strings.Split(line, " ")
	if len(words) != 3 || words[2] != "HTTP/1.1" {
		return bodyFraming{}, q.broken(fmt.Errorf("request line %q", line))
	}
	q.method, q.target = words[0], words[1]
	if q.fields, err = readFields(r); err != nil {
		return bodyFraming{}, q.broken(err)
	}
	if hosts := valuesOf(q.fields, "host"); len(hosts) != 1 {
		return bodyFraming{}, q.broken(fmt.Errorf("%d Host fields", len(hosts)))
	}
	framing, err := q.framing()
	if err != nil {
		return bodyFraming{}, q.broken(err)
	}
	return framing, nil
}

// framing is how the request's fields say that its body ends: in one way.
func (q *seenRequest) framing() (bodyFraming, error) {
	lengths, codings := valuesOf(q.fields, "content-length"), valuesOf(q.fields, "transfer-encoding")
	switch {
	case len(lengths)+len(codings) > 1:
		return bodyFraming{}, fmt.Errorf("more than one framing: %q %q", lengths, codings)
	case len(codings) == 1 && codings[0] != "chunked":
		return bodyFraming{}, fmt.Errorf("transfer coding %q", codings)
	case len(lengths) == 1:
		n, err := strconv.ParseUint(lengths[0], 10, 31)
		return bodyFraming{length: int(n)}, err
	}
	return bodyFraming{chunked: len(codings) == 1}, nil
}

func (q *seenRequest) broken(err error) error {
	if !errors.Is(err, io.EOF) && !isReset(err) {
		q.malformed = err.Error()
	}
	return err
}

func (f bodyFraming) read(r *bufio.Reader) (body string, trailer []seenField, err error) {
	var b strings.Builder
	if !f.chunked {
		_, err := io.CopyN(&b, r, int64(f.length))
		return b.String(), nil, err
	}
	for {
		line, err := readLine(r)
		if err != nil {
			return b.String(), nil, err
		}
		if f.extensions {
			line, _, _ = strings.Cut(line, ";")
		}
		n, err := strconv.ParseUint(line, 16, 31)
		if err != nil {
			return b.String(), nil, err
		}
		if n == 0 {
			trailer, err := readFields(r)
			return b.String(), trailer, err
		}
		if _, err := io.CopyN(&b, r, int64(n)); err != nil {
			return b.String(), nil, err
		}
		if line, err = readLine(r); err != nil || line != "" {
			return b.String(), nil, cmpError(err, fmt.Errorf("chunk followed by %q", line))
		}
	}
}

func cmpError(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

// readLine reads a line that ends in CRLF, without it.
func readLine(r *bufio.Reader) (string, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return "", err
	}
	text, ok := strings.CutSuffix(line, "\r\n")
	if !ok || strings.ContainsAny(text, "\r\n\x00") {
		return "", fmt.Errorf("line %q", line)
	}
	return text, nil
}

func readFields(r *bufio.Reader) ([]seenField, error) {
	var fields []seenField
	for {
		line, err := readLine(r)
		if err != nil || line == "" {
			return fields, err
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || name == "" || strings.ContainsAny(name, " \t") {
			return fields, fmt.Errorf("field %q", line)
		}
		fields = append(fields, seenField{strings.ToLower(name), strings.Trim(value, " \t")})
	}
}

func valuesOf(fields []seenField, name string) (values []string) {
	for _, f := range fields {
		if f.name == name {
			values = append(values, f.value)
		}
	}
	return values
}
