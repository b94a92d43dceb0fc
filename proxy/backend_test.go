package proxy

import (
	"bufio"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// tlsBackend is an https backend that speaks HTTP/2 as well and says what it
// was asked by.
func tlsBackend(t *testing.T) *httptest.Server {
	t.Helper()
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto, " ", r.Host) }))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.EnableHTTP2 = true
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv
}

// writeCA writes the server's self-signed certificate as a PEM file.
func writeCA(t *testing.T, srv *httptest.Server) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestForward_RetriesOnlyWhatIsSafe(t *testing.T) {
	// The first request of a connection is answered; the second is read, and
	// the connection closed without an answer.
	for _, c := range []struct {
		name, request string
		status        int
		reached       int32 // how often the second one reached the backend
	}{
		{"GET", crlf("GET /second HTTP/1.1\nHost: a"), 200, 2},
		{"POST", crlf("POST /second HTTP/1.1\nHost: a\nContent-Length: 1") + "x", 502, 1},
		{"POST without a body", crlf("POST /second HTTP/1.1\nHost: a\nContent-Length: 0"), 502, 1},
		{"POST held", crlf("POST /second HTTP/1.1\nHost: a\nTransfer-Encoding: chunked") + "1\r\nx\r\n0\r\n\r\n", 502, 1},
		{"POST with a key", crlf("POST /second HTTP/1.1\nHost: a\nIdempotency-Key: 1\nContent-Length: 0"), 502, 1},
		{"GET with a body", crlf("GET /second HTTP/1.1\nHost: a\nContent-Length: 5") + "hello", 200, 2},
		{"GET with a body held in a file", crlf("GET /second HTTP/1.1\nHost: a\nTransfer-Encoding: chunked") +
			"200000\r\n" + strings.Repeat("x", 2<<20) + "\r\n0\r\n\r\n", 200, 2},
		{"GET with a body that comes once only", crlf("GET /second HTTP/1.1\nHost: a\nContent-Length: 100000") + strings.Repeat("x", 100000), 502, 1},
		{"DELETE", crlf("DELETE /second HTTP/1.1\nHost: a"), 502, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			var reached atomic.Int32
			addr := rawBackend(t, func(conn net.Conn, r *bufio.Reader) {
				for n := 0; ; n++ {
					text, err := readRequest(r)
					if err != nil {
						return
					}
					if strings.Contains(text, "/second") {
						reached.Add(1)
						if n > 0 {
							return
						}
					}
					_, _ = io.WriteString(conn, okAnswer)
				}
			})
			f := serveFront(t, Route{Path: "/", App: "http://" + addr})
			f.ask("GET /first HTTP/1.1\nHost: a")
			f.access.await(t, "/first") // by now its connection is kept
			_, r := f.dial(c.request)
			res, _ := readAnswer(t, r, "GET")
			if res.StatusCode != c.status || reached.Load() != c.reached {
				t.Errorf("%s after %d times, want %d after %d", res.Status, reached.Load(), c.status, c.reached)
			}
		})
	}
}

func TestForward_KeptConnectionThatClosedCostsNothing(t *testing.T) {
	var conns atomic.Int32
	closed := make(chan struct{}, 10)
	addr := rawBackend(t, func(conn net.Conn, r *bufio.Reader) {
		conns.Add(1)
		if _, err := readRequest(r); err == nil {
			_, _ = io.WriteString(conn, okAnswer) // says nothing of the close
		}
		conn.Close()
		closed <- struct{}{}
	})
	f := serveFront(t, Route{Path: "/", App: "http://" + addr})
	for range 10 {
		_, r := f.dial(crlf("GET / HTTP/1.1\nHost: a"))
		if res, _ := readAnswer(t, r, "GET"); res.StatusCode != 200 {
			t.Fatal(res.Status)
		}
		receive(t, closed)
	}
	if conns.Load() < 10 {
		t.Error("the backend closed each connection, and yet one served twice")
	}
}

func TestForward_BackendFailures(t *testing.T) {
	// The client's end of a connection: nobody listens there, and as long as it
	// is open, nobody else is given its port.
	taken, _ := sendTo(t, rawBackend(t, func(conn net.Conn, r *bufio.Reader) { _, _ = io.Copy(io.Discard, r) }), "")
	refused := taken.LocalAddr().String()
	says := func(text string) string {
		return rawBackend(t, func(conn net.Conn, r *bufio.Reader) {
			if _, err := readRequest(r); err == nil {
				_, _ = io.WriteString(conn, text)
			}
		})
	}
	silent := rawBackend(t, func(conn net.Conn, r *bufio.Reader) { _, _ = io.Copy(io.Discard, r) })
	plain := says(okAnswer)
	for _, c := range []struct {
		name, app string
		status    int
		reason    string
	}{
		{"refused", "http://" + refused, 502, "dial backend http://" + refused + ": connection refused; is the application running"},
		{"no socket", "unix:" + filepath.Join(t.TempDir(), "none.sock"), 502, "there is no such socket"},
		{"silent", "http://" + silent, 504, "did not begin to answer in time"},
		{"closed", "http://" + says(""), 502, "closed the connection without an answer"},
		{"not HTTP", "http://" + says("220 mail.test ESMTP\r\n"), 502, "does it speak HTTP"},
		{"TLS alert", "http://" + says("\x15\x03\x01\x00\x02\x02\x46"), 502, "answered with TLS; write https://"},
		{"no TLS", "https://" + plainTLSAnswer(t), 502, "it answered without TLS; write http://"},
		{"101 for nothing", "http://" + says("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"), 502, "which nobody asked for"},
		{"status 99", "http://" + says("HTTP/1.1 099 What\r\nContent-Length: 0\r\n\r\n"), 502, "a status outside 100 to 599"},
		{"long head", "http://" + says("HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", answerLimits.Head)+"\r\n\r\n"), 502, "head of the answer is too long"},
		{"works", "http://" + plain, 200, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := serveFront(t, Route{Path: "/", App: c.app, ResponseTimeout: 300 * time.Millisecond})
			res, body := f.ask("GET / HTTP/1.1\nHost: a\nAccept: text/plain")
			if res.StatusCode != c.status {
				t.Errorf("%s, want %d\n%s", res.Status, c.status, f.log)
			}
			if c.reason == "" {
				return
			}
			line := f.log.await(t, "request.failed", c.reason, fmt.Sprintf("status=%d", c.status))
			if strings.Contains(body, c.app) || !strings.Contains(body, "application") {
				t.Errorf("the visitor reads %q; the log %s", body, line)
			}
		})
	}
}

// plainTLSAnswer is a server that answers whatever it gets with plain HTTP, as
// Apache does on port 80.
func plainTLSAnswer(t *testing.T) string {
	return rawBackend(t, func(conn net.Conn, r *bufio.Reader) {
		_, _ = r.Peek(1)
		_, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n")
	})
}

func TestForward_UnixBackend(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	hosts := make(chan string, 1)
	serveRaw(t, l, func(conn net.Conn, r *bufio.Reader) {
		text, err := readRequest(r)
		if err != nil {
			return
		}
		hosts <- field(text, "Host")
		_, _ = io.WriteString(conn, okAnswer)
	})
	f := serveFront(t, Route{Path: "/", App: "unix:" + path})
	if res, _ := f.ask("GET / HTTP/1.1\nHost: app.test"); res.StatusCode != 200 {
		t.Error(res.Status)
	}
	if got := receive(t, hosts); got != "app.test" {
		t.Errorf("Host: %s", got)
	}
}

func TestForward_TLSBackendIsVerified(t *testing.T) {
	backend := tlsBackend(t)
	ca := writeCA(t, backend)
	for _, c := range []struct {
		name   string
		tls    BackendTLS
		status int
	}{
		{"unknown CA", BackendTLS{}, 502},
		{"own CA", BackendTLS{CA: ca}, 200},
		{"own CA, other name", BackendTLS{CA: ca, ServerName: "other.test"}, 502},
		{"own CA, its name", BackendTLS{CA: ca, ServerName: "example.com"}, 200},
		{"not verified", BackendTLS{InsecureSkipVerify: true}, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := serveFront(t, Route{Path: "/", App: backend.URL, BackendTLS: c.tls})
			res, body := f.ask("GET / HTTP/1.1\nHost: app.test")
			if res.StatusCode != c.status {
				t.Fatalf("%s, want %d: %s", res.Status, c.status, f.log)
			}
			if c.status == 502 {
				f.log.await(t, "request.failed", "backend_tls.ca", "server_name", "insecure_skip_verify")
			} else if body != "HTTP/1.1 app.test" {
				t.Errorf("the backend saw %q", body)
			}
		})
	}
}

func TestForward_TLSBackendConnectionIsKept(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			var conns atomic.Int32
			backend := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "ok") }))
			backend.TLS = &tls.Config{MaxVersion: version}
			backend.Config.ConnState = func(_ net.Conn, state http.ConnState) {
				if state == http.StateNew {
					conns.Add(1)
				}
			}
			backend.StartTLS()
			t.Cleanup(backend.Close)
			f := serveFront(t, Route{Path: "/", App: backend.URL, BackendTLS: BackendTLS{InsecureSkipVerify: true}})
			for range 3 {
				if res, body := f.ask("GET / HTTP/1.1\nHost: app.test"); res.StatusCode != 200 || body != "ok" {
					t.Fatal(res.Status, body)
				}
				// A POST is sent once only: a connection that looks closed would cost it.
				if res, _ := f.ask("POST / HTTP/1.1\nHost: app.test\nContent-Length: 0"); res.StatusCode != 200 {
					t.Fatal(res.Status)
				}
			}
			if n := conns.Load(); n != 1 {
				t.Errorf("%d connections for six requests, want 1", n)
			}
		})
	}
}

// Apache says 408 on a connection that was idle for too long. Taken for the
// answer to the next request, it would put every later answer one place off.
func TestForward_WordsOnAKeptConnectionAreNobodysAnswer(t *testing.T) {
	for _, second := range []string{
		crlf("GET /second HTTP/1.1\nHost: a"),
		crlf("POST /second HTTP/1.1\nHost: a\nContent-Length: 4") + "body",
		crlf(fmt.Sprintf("POST /second HTTP/1.1\nHost: a\nContent-Length: %d", DefaultUploadBuffer+1)) + strings.Repeat("x", DefaultUploadBuffer+1), // streams
	} {
		t.Run(strings.ReplaceAll(second[:min(len(second), 60)], "\r\n", " "), func(t *testing.T) {
			speak, spoken := make(chan struct{}), make(chan struct{})
			var conns, reached atomic.Int32
			addr := rawBackend(t, func(conn net.Conn, r *bufio.Reader) {
				first := conns.Add(1) == 1
				for {
					req, err := http.ReadRequest(r)
					if err != nil {
						return
					}
					if req.URL.Path == "/second" {
						reached.Add(1)
					}
					_, _ = io.Copy(io.Discard, req.Body)
					_, _ = io.WriteString(conn, okAnswer)
					if first {
						<-speak
						_, _ = io.WriteString(conn, "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
						close(spoken)
						first = false
					}
				}
			})
			f := serveFront(t, Route{Path: "/", App: "http://" + addr})
			f.ask("GET /first HTTP/1.1\nHost: a")
			close(speak)
			receive(t, spoken)
			_, r := f.dial(second)
			if res, _ := readAnswer(t, r, "GET"); res.StatusCode != 200 || reached.Load() != 1 {
				t.Errorf("%s, and the backend was asked %d times", res.Status, reached.Load())
			}
		})
	}
}

func TestBackend_NameServerThatDoesNotAnswer(t *testing.T) {
	b := &backend{written: "http://app.test:8080"}
	for name, fault := range map[string]*net.DNSError{
		"silent": {Err: "i/o timeout", Name: "app.test", IsTimeout: true},
		"broken": {Err: "server misbehaving", Name: "app.test", IsTemporary: true},
	} {
		status, reason := b.explain(&net.OpError{Op: "dial", Net: "tcp", Err: fault})
		if status != http.StatusBadGateway || !strings.Contains(reason, "the address of app.test could not be looked up ("+fault.Err+")") {
			t.Errorf("%s: %d %s", name, status, reason)
		}
	}
}
