//go:build e2e

package main_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/miekg/dns"
)

// testFaults takes away what the built binary needs of its machine, and gives it
// back: it has to recover by itself.
func (l *lab) testFaults(t *testing.T) {
	t.Run("descriptors", l.testNoDescriptors)
	t.Run("name_server", l.testNameServer)
	t.Run("upload_disk", l.testUploadDisk)
	t.Run("read_only_state", l.testReadOnlyState)
	t.Run("killed", l.testKilled)
}

// faultApp answers every request with ok and what its body was long.
func faultApp(t *testing.T) (host string) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprintf(w, "ok %d", n)
	}))
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String()
}

// shell runs the binary with the front's file by a shell that prepares for it,
// in a mount namespace of its own; the script gets the words as $1 and so on,
// and ends by exec "$@" without those that it shifted away.
func (f *front) shell(t *testing.T, text, script string, words ...string) {
	t.Helper()
	f.write(t, text)
	args := append([]string{"--mount", "--propagation", "private", "sh", "-ec", script, "sh"}, words...)
	f.process = start(t, "wsfront", exec.Command("unshare", append(args, f.lab.binary, "run", "--config", f.config)...))
	f.listens(t, loopback(f.plain))
	f.listens(t, loopback(f.https))
}

// plainSite is a site for all names without TLS, with an app for all paths.
func plainSite(app, more string) string {
	return fmt.Sprintf("sites:\n  - hosts: [\"*\"]\n    tls: off\n    routes:\n%s      - {path: /, app: \"http://%s\"}\n", more, app)
}

// ask sends a request by plain HTTP on a connection of its own.
func (f *front) ask(t *testing.T, method, path string, body io.Reader) answer {
	t.Helper()
	r := request(t, method, "http://"+loopback(f.plain)+path, body)
	r.Close = true
	return send(t, &http.Client{Timeout: patience}, r)
}

// testNoDescriptors has more clients than there are descriptors: who is
// connected goes on being served, who comes waits, the log says it once, and
// with the first that go all is well again.
func (l *lab) testNoDescriptors(t *testing.T) {
	f := l.newFront(t)
	// The default of max_connections leaves descriptors for all else.
	f.shell(t, plainSite(faultApp(t), "")+"limits: {max_connections: 1000}\n", `ulimit -n 100; exec "$@"`)
	established := &http.Client{Timeout: patience}
	defer established.CloseIdleConnections()
	url := "http://" + loopback(f.plain)
	get(t, established, url)
	crowd := make([]net.Conn, 150)
	for i := range crowd {
		var err error
		if crowd[i], err = net.Dial("tcp", loopback(f.plain)); err != nil {
			t.Fatal(err)
		}
		defer crowd[i].Close()
	}
	f.says(t, "accept.failed")
	for range 100 {
		if got := get(t, established, url); got.StatusCode != http.StatusOK {
			t.Fatalf("who is connected gets %s", got.Status)
		}
	}
	waiting, err := net.Dial("tcp", loopback(f.plain))
	if err != nil {
		t.Fatal(err)
	}
	defer waiting.Close()
	if _, err := io.WriteString(waiting, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	for _, c := range crowd {
		c.Close()
	}
	if got, err := io.ReadAll(waiting); err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 200 ") {
		t.Errorf("who waited got %q, %v", got, err)
	}
	if n := strings.Count(f.log.String(), "accept.failed"); n > 6 { // a minute of patience
		t.Errorf("%d lines say that there was no room", n)
	}
}

// nameServer is a name server whose answers the test chooses.
type nameServer struct{ mode atomic.Value }

func (s *nameServer) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	reply := new(dns.Msg).SetReply(q)
	switch s.mode.Load() {
	case "unknown":
		reply.Rcode = dns.RcodeNameError
	case "broken":
		reply.Rcode = dns.RcodeServerFailure
	case "silent":
		return
	default:
		if q.Question[0].Qtype == dns.TypeA {
			reply.Answer = append(reply.Answer, &dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET}, A: net.IPv4(127, 0, 0, 1)})
		}
	}
	_ = w.WriteMsg(reply)
}

// testNameServer has a backend whose name cannot be looked up, in three ways,
// until it can.
func (l *lab) testNameServer(t *testing.T) {
	const address = "127.83.53.1" // no other test's
	packets, err := net.ListenPacket("udp", address+":53")
	if err != nil {
		t.Fatal(err)
	}
	names := &nameServer{}
	names.mode.Store("unknown")
	server := &dns.Server{PacketConn: packets, Handler: names}
	ended := make(chan error, 1)
	go func() { ended <- server.ActivateAndServe() }() // ended by the socket's Close, awaited below
	defer func() { packets.Close(); <-ended }()

	f := l.newFront(t)
	app := faultApp(t)
	_, port, _ := net.SplitHostPort(app)
	resolv := writeFile(t, filepath.Join(f.folder, "resolv.conf"), "nameserver "+address+"\noptions timeout:1 attempts:1\n")
	f.shell(t, plainSite(app, "      - {path: /named, app: \"http://app.backend.test:"+port+"\"}\n"),
		`mount --bind "$1" /etc/resolv.conf; shift; exec "$@"`, resolv)
	for _, c := range []struct{ mode, reason string }{
		{"unknown", "no such host app.backend.test"},
		{"broken", "could not be looked up"},
		{"silent", "could not be looked up"},
	} {
		names.mode.Store(c.mode)
		if got := f.ask(t, "GET", "/named/"+c.mode, nil); got.StatusCode != http.StatusBadGateway {
			t.Errorf("%s: %s", c.mode, got.Status)
		}
		if line := f.says(t, "path=/named/"+c.mode); !strings.Contains(line, "request.failed") || !strings.Contains(line, c.reason) {
			t.Errorf("%s: the log does not say %q: %s", c.mode, c.reason, line)
		}
		if got := f.ask(t, "GET", "/", nil); got.StatusCode != http.StatusOK {
			t.Errorf("%s: another route: %s", c.mode, got.Status)
		}
	}
	names.mode.Store("")
	if got := f.ask(t, "GET", "/named", nil); got.StatusCode != http.StatusOK {
		t.Errorf("once it is known: %s", got.Status)
	}
}

// unsized hides how long a body is, so that it comes in chunks.
type unsized struct{ io.Reader }

// testUploadDisk has no room for an upload: that one fails, and leaves the room
// to the next.
func (l *lab) testUploadDisk(t *testing.T) {
	f := l.newFront(t)
	disk := l.path(t, "small-disk")
	f.shell(t, plainSite(faultApp(t), ""), `mount -t tmpfs -o size=4m none "$1"; TMPDIR="$1"; export TMPDIR; shift; exec "$@"`, disk)
	for range 3 {
		// 64 KiB are kept in memory, and the rest is on the disk.
		if got := f.ask(t, "POST", "/", unsized{strings.NewReader(strings.Repeat("x", 5<<19))}); got.StatusCode != http.StatusOK || got.body != fmt.Sprint("ok ", 5<<19) {
			t.Errorf("one with enough room: %s %s", got.Status, got.body)
		}
		f.refuseUpload(t)
	}
	line := f.says(t, "request.failed")
	for _, part := range []string{"store the request body", "no space left on device", "TMPDIR", "status=503"} {
		if !strings.Contains(line, part) {
			t.Errorf("the log does not say %q: %s", part, line)
		}
	}
}

// refuseUpload sends an upload that does not fit. The answer may come while it
// is still being sent, on a connection that then ends.
func (f *front) refuseUpload(t *testing.T) {
	t.Helper()
	r := request(t, "POST", "http://"+loopback(f.plain)+"/large", unsized{strings.NewReader(strings.Repeat("x", 8<<20))})
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("one without: %s", res.Status)
	}
}

// testReadOnlyState cannot write its state: the program says so and ends, rather
// than to serve without what it would need there.
func (l *lab) testReadOnlyState(t *testing.T) {
	f := l.newFront(t)
	state := filepath.Join(f.folder, "state")
	if err := os.Mkdir(state, 0o700); err != nil {
		t.Fatal(err)
	}
	f.write(t, "sites:\n  - hosts: [app.test]\n    tls: internal\n    routes: [{path: /, app: \"http://"+faultApp(t)+"\"}]\n")
	script := `mount -t tmpfs -o ro none "$1"; shift; exec "$@"`
	status, out, errs := finish(t, exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-ec", script, "sh", state, l.binary, "run", "--config", f.config))
	if status == 0 || !strings.Contains(errs, "read-only file system") || !strings.Contains(errs, state) {
		t.Errorf("ended with %d: %s%s", status, out, errs)
	}
}
