package publishd

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const patience = 20 * time.Second

// testConnections is the limit of connections where a test does not reach it.
const testConnections = 100

// start serves api until the test ends, and returns its address and what ends it.
func start(t *testing.T, address string, api http.Handler) (at string, stop func()) {
	t.Helper()
	l, err := Listen(address)
	if err != nil {
		t.Fatal(err)
	}
	s := New(l, api, testConnections, &Counts{}, slog.New(slog.NewTextHandler(t.Output(), nil)))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }() // ended by stop
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return s.Address(), stop
}

// talk sends what a publisher says and returns all that it is answered.
func talk(t *testing.T, network, at, say string) string {
	t.Helper()
	conn, err := net.Dial(network, at)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	for _, part := range strings.SplitAfter(say, "|") { // one packet each
		if _, err := io.WriteString(conn, strings.TrimSuffix(part, "|")); err != nil {
			t.Fatal(err)
		}
	}
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	all, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(all)
}

// echo answers with what it has seen of a request.
func echo(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(r.Body)
	if r.Header.Get("X-Api-Key") == "refuse" {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "refused", http.StatusServiceUnavailable)
		return
	}
	w.Header()["Content-Type"] = []string{"text/plain"}
	fmt.Fprintln(w, r.Method, r.URL.Path, r.URL.RawQuery, r.ContentLength, string(text), err, r.Host, r.RemoteAddr != "",
		r.Header["Authorization"], r.Header["X-Api-Key"], r.Header["Content-Type"], r.Header["Idempotency-Key"], r.Header["Ttl"])
}

func post(path, fields, body string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: a.test\r\n%sContent-Length: %d\r\n\r\n%s", path, fields, len(body), body)
}

// Whatever the way, the answer is the one that net/http gives.
func TestServer_AnswersAsNetHTTPDoes(t *testing.T) {
	at, _ := start(t, "127.0.0.1:0", http.HandlerFunc(echo))
	plain := httptest.NewServer(http.HandlerFunc(echo))
	defer plain.Close()
	for name, say := range map[string]string{
		"one":              post("/channels/board", "authorization: Bearer x\r\nContent-Type: text/plain\r\n", "hello"),
		"other fields":     post("/channels/board", "x-api-key: k\r\nIdempotency-Key: 1\r\nTTL: 9\r\nCookie: a=b\r\n", "hello"),
		"nothing":          post("/channels/board", "", ""),
		"no length":        "POST /channels/board HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"three at once":    post("/channels/a", "", "1") + post("/channels/b", "X-API-Key: k\r\n", "22") + post("/channels/c", "", "333"),
		"in pieces":        "POST /chan|nels/a HT|TP/1.1\r\nHost: a.test\r\nContent-Le|ngth: 5\r\n\r\nhe|l|lo" + post("/channels/b", "", "x"),
		"refused":          post("/channels/a", "X-API-Key: refuse\r\n", "hello") + post("/channels/a", "", "next"),
		"a field twice":    post("/channels/a", "X-API-Key: a\r\nX-API-Key: b\r\n", "hello"),
		"GET":              "GET /channels/a HTTP/1.1\r\nHost: a.test\r\n\r\n" + post("/channels/a", "", "next"),
		"a query":          post("/channels/a?b=c", "", "hello"),
		"an escape":        post("/channels/a%20b", "", "hello"),
		"another path":     post("/publish", "", "{}\n"),
		"chunks":           "POST /channels/a HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" + post("/channels/a", "", "next"),
		"close":            post("/channels/a", "Connection: close\r\n", "hello"),
		"HTTP/1.0":         "POST /channels/a HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello",
		"garbage":          "hello\r\n\r\n",
		"then garbage":     post("/channels/a", "", "hello") + "hello\r\n\r\n",
		"long":             post("/channels/a", "", strings.Repeat("x", 300_000)) + post("/channels/b", "", "next"),
		"nobody speaks":    "",
		"two publish ways": post("/channels/a", "", "1") + "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n" + post("/channels/b", "", "2"),
	} {
		got := answers(t, talk(t, "tcp", at, say))
		want := answers(t, talk(t, "tcp", strings.TrimPrefix(plain.URL, "http://"), say))
		if got != want {
			t.Errorf("%s:\ngot  %.600s\nwant %.600s", name, got, want)
		}
	}
}

// answers are the parts of answers in which the two ways are to agree.
func answers(t *testing.T, all string) string {
	t.Helper()
	var b strings.Builder
	r := bufio.NewReader(strings.NewReader(all))
	for {
		answer, err := http.ReadResponse(r, nil)
		if err != nil {
			break
		}
		body, _ := io.ReadAll(answer.Body)
		if answer.StatusCode == http.StatusOK && answer.Header.Get("Date") == "" {
			t.Error("no Date")
		}
		fmt.Fprintf(&b, "%d %s %q %q close=%t\n%s", answer.StatusCode, answer.Header.Get("Content-Type"), answer.Header.Get("Retry-After"),
			answer.Header.Get("X-Content-Type-Options"), answer.Close, body)
	}
	return b.String()
}

// net/http answers a head that ends too soon, and leaves the connection open
// behind a body that does: neither is of use.
func TestServer_WhoEndsTooSoonIsClosed(t *testing.T) {
	at, _ := start(t, "127.0.0.1:0", http.HandlerFunc(echo))
	if got := talk(t, "tcp", at, "POST /channels/a HTTP/1.1\r\nHost: a.t"); got != "" {
		t.Errorf("within the head: %q", got)
	}
	got := talk(t, "tcp", at, "POST /channels/a HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhel")
	if !strings.Contains(got, "unexpected EOF") || !strings.Contains(got, "Connection: close\r\n") {
		t.Errorf("within the body: %q", got)
	}
}

// Whoever sends a head byte by byte has no more time for it than others.
func TestServer_AHeadHasItsTimeAsAWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		s := &Server{api: http.HandlerFunc(echo), conns: map[*quick]struct{}{}}
		s.begin(near)
		began := time.Now()
		for _, err := io.WriteString(far, "P"); err == nil; _, err = io.WriteString(far, "O") {
			time.Sleep(time.Second)
		}
		if took := time.Since(began); took < headerTimeout || took > headerTimeout+2*time.Second {
			t.Errorf("it ended after %s", took)
		}
		s.wg.Wait()
	})
}

func TestServer_UnixSocket(t *testing.T) {
	at, _ := start(t, "unix:"+filepath.Join(t.TempDir(), "s"), http.HandlerFunc(echo))
	if got := talk(t, "unix", at, post("/channels/a", "", "hello")); !strings.Contains(got, "POST /channels/a  5 hello <nil>") {
		t.Errorf("got %q", got)
	}
}

func TestServer_EndsIdleConnectionsAtOnceAndOthersWhenAnswered(t *testing.T) {
	release, asked := make(chan struct{}), make(chan struct{})
	at, stop := start(t, "127.0.0.1:0", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/channels/slow" {
			close(asked)
			<-release
		}
		echo(w, r)
	}))
	idle, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	_ = idle.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(idle, post("/channels/a", "", "hello"))
	first := make([]byte, 4096)
	if _, err := idle.Read(first); err != nil {
		t.Fatal(err)
	}
	busy := make(chan string)
	go func() {
		busy <- talk(t, "tcp", at, post("/channels/slow", "", "hello")+post("/channels/a", "", "late"))
	}() // ends with the answer
	<-asked
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }() // awaited below
	if n, err := idle.Read(first); err != io.EOF {
		t.Errorf("the idle connection gave %q, %v", first[:n], err)
	}
	select {
	case <-stopped:
		t.Fatal("did not wait for what is under way")
	default:
	}
	close(release)
	if got := <-busy; !strings.Contains(got, "Connection: close") || !strings.Contains(got, "/channels/slow") || strings.Contains(got, "late") {
		t.Errorf("the busy connection got %q", got)
	}
	<-stopped
}

func TestServer_FaultEndsOneConnection(t *testing.T) {
	at, _ := start(t, "127.0.0.1:0", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/channels/fault" {
			panic(http.ErrAbortHandler)
		}
		echo(w, r)
	}))
	if got := talk(t, "tcp", at, post("/channels/fault", "", "hello")); got != "" {
		t.Errorf("got %q", got)
	}
	if got := talk(t, "tcp", at, post("/channels/a", "", "hello")); !strings.Contains(got, "200 OK") {
		t.Errorf("got %q", got)
	}
}

func BenchmarkPublish(b *testing.B) {
	l, err := Listen("127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	s := New(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header()["Content-Type"] = []string{"application/json"}
		_, _ = io.WriteString(w, `{"channel":"board","subscribers":1,"position":"abcdefgh.1"}`)
	}), testConnections, &Counts{}, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	conn, err := net.Dial("tcp", s.Address())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	say, got := []byte(post("/channels/board", "Authorization: Bearer key\r\nContent-Type: text/plain\r\n", strings.Repeat("x", 128))), make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = conn.Write(say)
		if _, err := conn.Read(got); err != nil {
			b.Fatal(err)
		}
	}
}
