package proxy

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"wsfront/proxy/diagnosis"
)

// awaitFailures waits until as many failures are remembered.
func (f *front) awaitFailures(n int) []FailureState {
	f.t.Helper()
	until(f.t, "the failures are remembered", func() bool { return len(f.Failures()) >= n })
	list := f.Failures()
	if len(list) != n {
		f.t.Fatalf("%d failures, want %d: %+v", len(list), n, list)
	}
	return list
}

func TestFailures_SayWhyAndWhatToDo(t *testing.T) {
	dead := refusingAddr(t)
	f := serveFront(t, Route{Path: "/websocket", Tunnel: Tunnel{Backend: "ws://" + dead}}, Route{Path: "/app", App: "http://" + dead})
	begin := time.Now()
	f.ask(strings.Replace(handshakeText, "?room=1", "?token=secret", 1))
	f.awaitFailures(1) // which the answer does not wait for
	f.ask("GET /app/page?token=secret HTTP/1.1\nHost: app.test")
	list := f.awaitFailures(2)
	request, handshake := list[0], list[1]
	if request.Kind != "request" || request.Status != 502 || request.Path != "/app/page" || request.Site != "*" || request.Route != "/app" || request.Cause != "" || request.Host != "app.test" {
		t.Errorf("the request: %+v", request)
	}
	if handshake.Kind != "handshake" || handshake.Status != 502 || handshake.Path != "/websocket" || handshake.Site != "*" || handshake.Route != "/websocket" ||
		handshake.Backend != "ws://"+dead || handshake.Client != "127.0.0.1" || len(handshake.ID) != 16 || handshake.Count != 1 || handshake.Time.Before(begin) {
		t.Errorf("the handshake: %+v", handshake)
	}
	cause := diagnosis.BackendDown
	if handshake.Cause != string(cause) || handshake.Sentence != cause.Sentence() || !strings.Contains(handshake.Reason, "connection refused") ||
		len(handshake.Fixes) != len(cause.Fixes()) || handshake.Fixes[0].Text != cause.Fixes()[0].Text || handshake.Fixes[0].For != cause.Fixes()[0].For {
		t.Errorf("its cause: %+v", handshake)
	}
	f.log.await(t, "handshake.failed", "id="+handshake.ID, "site=* ", "host=")
	f.log.await(t, "request.failed", "id="+request.ID, "site=* ", "host=app.test")
}

func TestFailures_ThoseAlikeAreOne(t *testing.T) {
	f := serveFront(t, Route{Path: "/websocket", Tunnel: Tunnel{Backend: "ws://" + refusingAddr(t)}})
	for range 3 {
		f.ask(handshakeText)
	}
	f.ask("GET /nothing HTTP/1.1\nHost: app.test") // of another kind, so that it parts nothing
	f.ask(handshakeText)
	until(t, "all are counted", func() bool {
		list := f.Failures()
		return len(list) == 2 && list[0].Kind == "handshake" && list[0].Count == 4 && list[1].Status == 404
	})
	f.ask(strings.Replace(handshakeText, "Version: 13", "Version: 12", 1))
	f.ask(handshakeText)
	list := f.awaitFailures(4)
	if list[0].Count != 1 || list[1].Status != http.StatusUpgradeRequired || list[2].Count != 4 {
		t.Errorf("%+v", list)
	}
}

// Whatever clients send, it takes no more than its place, and no kind of failure
// pushes another one out.
func TestFailures_KeepTheirPlace(t *testing.T) {
	var f failures
	long := []byte(strings.Repeat("ü", maxFailureText))
	f.note(failureKey{kind: failedHandshake}, time.Unix(1, 0), [16]byte{1}, netip.Addr{}, "", long, long, string(long))
	for i := range 200 {
		f.note(failureKey{kind: failedRequest, status: i}, time.Unix(int64(i+2), 0), [16]byte{2}, netip.Addr{}, "", nil, nil, "x")
		f.note(failureKey{kind: failedTLS, status: i}, time.Unix(int64(i+2), 0), [16]byte{}, netip.Addr{}, "", nil, nil, "x")
	}
	list := f.list()
	if len(list) != 1+keptRequests+keptTLS {
		t.Fatalf("%d are remembered", len(list))
	}
	if list[0].Status != 199 || list[0].Kind != failedRequest && list[0].Kind != failedTLS {
		t.Errorf("the newest: %+v", list[0])
	}
	if last := list[len(list)-1]; last.Kind != failedHandshake || len(last.Host) != maxFailureText || len(last.Path) != maxFailureText || len(last.Reason) != maxFailureText {
		t.Errorf("the oldest: %+v", last)
	}
}

// A flood of handshakes that fail alike is not paid for by memory.
func TestFailures_RepeatAllocatesNothing(t *testing.T) {
	var f failures
	client, path, reason := netip.MustParseAddr("192.0.2.1"), []byte("/websocket"), strings.Repeat("r", 300)
	note := func() {
		f.note(failureKey{kind: failedHandshake, status: 502, cause: diagnosis.BackendDown}, time.Time{}, [16]byte{1}, client, "ws://b", path, path, reason)
	}
	note()
	if n := testing.AllocsPerRun(100, note); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestFailures_HandshakeThatAHandlerRefused(t *testing.T) {
	f := serveFront(t, Route{Path: "/push", Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
	})}, Route{Path: "/why", Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.(interface{ NoteRefusal(reason string) }).NoteRefusal("no such channel")
		w.WriteHeader(http.StatusForbidden)
	})})
	f.ask(strings.Replace(handshakeText, "/websocket?room=1", "/push", 1))
	if s := f.awaitFailures(1)[0]; s.Kind != "handshake" || s.Status != 403 || !strings.Contains(s.Reason, "push.refused") {
		t.Errorf("%+v", s)
	}
	f.ask(strings.Replace(handshakeText, "/websocket?room=1", "/why", 1))
	if s := f.awaitFailures(2)[0]; s.Reason != "the push service answered 403 Forbidden: no such channel" {
		t.Errorf("%+v", s)
	}
}

// The sentence stands beside the reason, and is not told twice.
func TestFailures_ReasonIsWithoutTheSentence(t *testing.T) {
	app, _ := answering(t, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
	f := serveFront(t, Route{Path: "/websocket", App: app})
	f.ask(handshakeText)
	if s := f.awaitFailures(1)[0]; s.Sentence == "" || !strings.HasPrefix(s.Reason, "Backend "+app+" answered ") {
		t.Errorf("%q, and %q", s.Sentence, s.Reason)
	}
	f.log.await(t, "handshake.failed", `reason="`+diagnosis.PathUnknown.Sentence()+" Backend "+app+" answered ")
}

func TestFailures_OfTLS(t *testing.T) {
	shake := func(f *front, config *tls.Config) {
		if conn, err := tls.Dial("tcp", f.addr, config); err == nil {
			_ = conn.Handshake()
			conn.Close()
		}
	}
	for _, c := range []struct {
		name   string
		fail   func(f *front)
		cause  diagnosis.Cause
		host   string
		reason string
	}{
		{"unknown name", func(f *front) { shake(f, &tls.Config{ServerName: "other.test", InsecureSkipVerify: true}) }, diagnosis.TLSName, "other.test", "no site serves this name"},
		{"plain HTTP", func(f *front) {
			conn, r := sendTo(f.t, f.addr, "GET / HTTP/1.1\r\nHost: front.test\r\n\r\n")
			_, _ = io.ReadAll(r)
			conn.Close()
		}, diagnosis.TLSRequired, "", "plain HTTP"},
		{"untrusted", func(f *front) { shake(f, &tls.Config{ServerName: "front.test"}) }, diagnosis.TLSUntrusted, "front.test", "certificate"},
		{"old version", func(f *front) {
			shake(f, &tls.Config{ServerName: "front.test", MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11, InsecureSkipVerify: true})
		}, "", "", "unsupported versions"},
		{"another protocol", func(f *front) {
			conn, r := sendTo(f.t, f.addr, "SSH-2.0-OpenSSH\r\n")
			_, _ = io.ReadAll(r)
			conn.Close()
		}, "", "", "SSH-2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := serveConfig(t, Config{Sites: []Site{{Hosts: []string{"front.test"}, TLS: freshPair(t, "front.test"), Routes: streamRoutes()}}})
			conn, err := net.Dial("tcp", f.addr) // as a health check does; it is no failure
			if err != nil {
				t.Fatal(err)
			}
			conn.Close()
			c.fail(f)
			s := f.awaitFailures(1)[0]
			if s.Kind != "tls" || s.Cause != string(c.cause) || s.Sentence != c.cause.Sentence() || s.Host != c.host || !strings.Contains(s.Reason, c.reason) || s.Client != "127.0.0.1" || s.Count != 1 || s.ID != "" {
				t.Errorf("%+v", s)
			}
		})
	}
}

// refusingAddr is an address where nobody listens. It is the client's end of a
// connection: as long as that is open, nobody else is given its port.
func refusingAddr(t *testing.T) string {
	t.Helper()
	taken, _ := sendTo(t, rawBackend(t, func(_ net.Conn, r *bufio.Reader) { _, _ = io.Copy(io.Discard, r) }), "")
	return taken.LocalAddr().String()
}
