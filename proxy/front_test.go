package proxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"wsfront/proxy/http1"
	"wsfront/proxy/record"
)

// patience is how long a test waits for what is to happen at once.
const patience = 10 * time.Second

// front is a Server with one listener, for plain HTTP unless its first site has
// TLS, with its logs in memory.
type front struct {
	*Server
	t         *testing.T
	addr      string
	clientTLS *tls.Config // of clients; nil where the front serves plain HTTP
	log       *lines
	access    *lines
	stop      func() // ends Run and waits for it
}

// serveFront serves one site, by every name and without TLS, on a port of its
// own.
func serveFront(t *testing.T, routes ...Route) *front {
	t.Helper()
	return serveConfig(t, Config{Sites: []Site{{Hosts: []string{"*"}, TLS: TLS{Mode: TLSOff}, Routes: routes}}})
}

func serveConfig(t *testing.T, cfg Config) *front {
	t.Helper()
	f := newFront(t, cfg)
	f.run()
	return f
}

// newFront listens, and serves nothing until run.
func newFront(t *testing.T, cfg Config) *front {
	t.Helper()
	cfg.Listen, cfg.HTTPListen = Addresses{}, Addresses{"127.0.0.1:0"}
	if cfg.Sites[0].TLS.mode() != TLSOff {
		cfg.Listen, cfg.HTTPListen, cfg.State = cfg.HTTPListen, cfg.Listen, t.TempDir()
	}
	if cfg.AccessLog.Format == "" {
		cfg.AccessLog.Format = AccessJSON
	}
	f := &front{t: t, log: newLines(), access: newLines()}
	var err error
	if f.Server, err = New(cfg, slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug})), f.access); err != nil {
		t.Fatal(err)
	}
	if err := f.Listen(); err != nil {
		t.Fatal(err)
	}
	f.addr = f.listeners[0].Addr().String()
	if cfg.Sites[0].TLS.mode() == TLSOff {
		f.addSecure()
	}
	return f
}

func (f *front) run() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { // ended by cancel, awaited by stop
		defer close(ended)
		_ = f.Run(ctx) // that requests had to be cut is what some tests want
	}()
	f.stop = func() { cancel(); <-ended }
	f.t.Cleanup(f.stop)
}

// addSecure has a front without TLS serve another port with it, by a certificate
// that no site has.
func (f *front) addSecure() {
	certPEM, keyPEM := pemPair(f.t, time.Now().Add(time.Hour), "front.test")
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		f.t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.t.Fatal(err)
	}
	f.accepter = record.NewAccepter(&tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2", "http/1.1"}})
	f.listeners = append(f.listeners, f.newListener(l, true))
}

// served is what a client needs to know of a server.
type served struct {
	URL, addr string
	client    *http.Client
}

func (s served) Client() *http.Client { return s.client }

// secure is the front's port with TLS, for a client that speaks HTTP/2 unless
// major is 1.
func (f *front) secure(major int) served {
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: major == 2}
	f.t.Cleanup(transport.CloseIdleConnections)
	addr := f.listeners[1].Addr().String()
	return served{"https://" + addr, addr, &http.Client{Transport: transport}}
}

// plain is the front's port without TLS.
func (f *front) plain() served {
	transport := &http.Transport{}
	f.t.Cleanup(transport.CloseIdleConnections)
	return served{"http://" + f.addr, f.addr, &http.Client{Transport: transport}}
}

// dial connects to the front and sends text.
func (f *front) dial(text string) (net.Conn, *bufio.Reader) {
	f.t.Helper()
	if f.clientTLS == nil {
		return sendTo(f.t, f.addr, text)
	}
	conn, err := tls.Dial("tcp", f.addr, f.clientTLS)
	if err != nil {
		f.t.Fatal(err)
	}
	return sendOn(f.t, conn, text)
}

func sendTo(t *testing.T, addr, text string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return sendOn(t, conn, text)
}

func sendOn(t *testing.T, conn net.Conn, text string) (net.Conn, *bufio.Reader) {
	t.Helper()
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	return conn, bufio.NewReader(conn)
}

// ask sends one request, with the end of its head added, and reads the answer
// whole.
func (f *front) ask(head string) (*http.Response, string) {
	f.t.Helper()
	_, r := f.dial(crlf(head))
	return readAnswer(f.t, r, strings.Fields(head)[0])
}

func readAnswer(t *testing.T, r *bufio.Reader, method string) (*http.Response, string) {
	t.Helper()
	res, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("body of the answer: %v", err)
	}
	return res, string(body)
}

// parsed is the head of a request as our own reader takes it.
func parsed(t testing.TB, head string) *http1.Request {
	t.Helper()
	r := &http1.Request{}
	text := []byte(crlf(head))
	if n, err := r.Parse(text, http1.Limits{}); err != nil || n != len(text) {
		t.Fatalf("%q: read %d bytes, %v", head, n, err)
	}
	return r
}

// fieldList makes fields of names and values in turn.
func fieldList(pairs ...string) (list []http1.Field) {
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, http1.Field{Known: http1.Lookup(pairs[i]), Name: []byte(pairs[i]), Value: []byte(pairs[i+1])})
	}
	return list
}

// testID is the id of exchanges that no Server made.
var testID = [16]byte([]byte("testtesttesttest"))

// crlf is a head of several lines as it goes out.
func crlf(head string) string {
	return strings.ReplaceAll(strings.TrimSpace(head), "\n", "\r\n") + "\r\n\r\n"
}

// rawBackend serves each connection by a function over plain TCP.
func rawBackend(t *testing.T, serve func(conn net.Conn, r *bufio.Reader)) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serveRaw(t, l, serve)
	return l.Addr().String()
}

func serveRaw(t *testing.T, l net.Listener, serve func(conn net.Conn, r *bufio.Reader)) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	wg.Go(func() { // ended by the listener's Close, awaited in Cleanup
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, conn)
			mu.Unlock()
			wg.Go(func() { // ended by serve or the conn's Close
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(patience))
				serve(conn, bufio.NewReader(conn))
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, conn := range open {
			conn.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
}

// answering is a backend that records each request's head and body as they
// came, and gives the same answer to all.
func answering(t *testing.T, answer string) (url string, requests <-chan string) {
	t.Helper()
	seen := make(chan string, 100)
	addr := rawBackend(t, func(conn net.Conn, r *bufio.Reader) {
		for {
			text, err := readRequest(r)
			if err != nil {
				return
			}
			seen <- text
			if _, err := io.WriteString(conn, answer); err != nil || !strings.Contains(answer, "Content-Length") {
				return
			}
		}
	})
	return "http://" + addr, seen
}

const okAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// readRequest reads a request byte for byte, a chunked body undecoded.
func readRequest(r *bufio.Reader) (string, error) {
	var text strings.Builder
	length, chunked := 0, false
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return "", err
		}
		text.WriteString(line)
		_, _ = fmt.Sscanf(line, "Content-Length: %d", &length)
		chunked = chunked || line == "Transfer-Encoding: chunked\r\n"
		if line == "\r\n" {
			break
		}
	}
	if !chunked {
		_, err := io.CopyN(&text, r, int64(length))
		return text.String(), err
	}
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return "", err
		}
		text.WriteString(line)
		if line != "0\r\n" {
			continue
		}
		for line != "\r\n" { // trailer fields, then the end
			if line, err = r.ReadString('\n'); err != nil {
				return "", err
			}
			text.WriteString(line)
		}
		return text.String(), nil
	}
}

// field is the value of a field in a head as readRequest records it, or "-".
func field(request, name string) string {
	head, _, _ := strings.Cut(request, "\r\n\r\n")
	for line := range strings.SplitSeq(head, "\r\n") {
		if n, v, ok := strings.Cut(line, ": "); ok && strings.EqualFold(n, name) {
			return v
		}
	}
	return "-"
}

// until waits for what another goroutine brings about.
func until(t testing.TB, what string, is func() bool) {
	t.Helper()
	for late := time.Now().Add(patience); !is(); {
		if time.Now().After(late) {
			t.Fatalf("not in time: %s", what)
		}
		time.Sleep(time.Millisecond) // between two looks
	}
}

func receive[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came in time")
		panic("unreachable")
	}
}

const simpleRequest = "GET / HTTP/1.1\r\nHost: app.test\r\n\r\n"

// askAgain sends a request and reads its answer, whatever it is.
func askAgain(t *testing.T, conn net.Conn, r *bufio.Reader) {
	t.Helper()
	if _, err := io.WriteString(conn, simpleRequest); err != nil {
		t.Fatal(err)
	}
	readAnswer(t, r, "GET")
}

// lines gathers log lines that tests wait for.
type lines struct {
	mu    sync.Mutex
	text  bytes.Buffer
	added chan struct{} // closed and renewed at each write
}

func newLines() *lines { return &lines{added: make(chan struct{})} }

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(p)
	close(l.added)
	l.added = make(chan struct{})
	return len(p), nil
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// reset forgets what was written.
func (l *lines) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Reset()
}

// await returns the first line that holds all parts, once it is there.
func (l *lines) await(t *testing.T, parts ...string) string {
	t.Helper()
	late := time.After(patience)
	for {
		l.mu.Lock()
		text, added := l.text.String(), l.added
		l.mu.Unlock()
	next:
		for line := range strings.Lines(text) {
			for _, part := range parts {
				if !strings.Contains(line, part) {
					continue next
				}
			}
			return line
		}
		select {
		case <-added:
		case <-late:
			t.Fatalf("no line with %q in:\n%s", parts, text)
		}
	}
}

func loopback() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} }
