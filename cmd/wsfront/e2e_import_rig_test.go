//go:build e2e

package main_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// reached is what a backend says of a request in the field Reached of its
// answer, also of that which opens a WebSocket.
type reached struct {
	Backend, Method, Target, Host string
	ForwardedProto, ForwardedHost string
	Custom                        string // the field X-Custom
}

// newEcho is a backend that tells what reached it, and opens the WebSockets
// that it is asked for. Below /to/ it redirects to the query, in which SELF is
// its own address, below /cookie/ it sets the cookie of the query.
func newEcho(t *testing.T, name string, secure bool) (address string) {
	t.Helper()
	upgrader := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		told, err := json.Marshal(reached{
			name, r.Method, r.RequestURI, r.Host,
			r.Header.Get("X-Forwarded-Proto"), r.Header.Get("X-Forwarded-Host"), r.Header.Get("X-Custom"),
		})
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Reached", string(told))
		if websocket.IsWebSocketUpgrade(r) {
			echoFrames(upgrader, w, r)
			return
		}
		switch {
		case strings.Contains(r.URL.Path, "/to/"):
			w.Header().Set("Location", strings.ReplaceAll(r.URL.RawQuery, "SELF", r.Context().Value(http.LocalAddrContextKey).(net.Addr).String()))
			w.WriteHeader(http.StatusFound)
		case strings.Contains(r.URL.Path, "/cookie/"):
			w.Header().Set("Set-Cookie", r.URL.RawQuery)
		}
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	if secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func echoFrames(u websocket.Upgrader, w http.ResponseWriter, r *http.Request) {
	c, err := u.Upgrade(w, r, w.Header())
	if err != nil {
		return // answered with 4xx, which the test sees
	}
	defer c.Close()
	for {
		kind, message, err := c.ReadMessage()
		if err != nil || c.WriteMessage(kind, message) != nil {
			return
		}
	}
}

// probe is a request in the words of HTTP: what a client library would put
// right is the point.
type probe struct {
	secure bool // to the TLS port
	method string
	target string
	host   string
	socket string // the Connection field of a handshake; empty for a plain request
	fields string // further lines
	body   string
}

func (p probe) String() string {
	s := p.method + " " + p.target
	if p.secure {
		s = "https " + s
	}
	if p.host != siteHost {
		s += " of " + p.host
	}
	if p.socket != "" {
		s += " Connection: " + p.socket
	}
	if p.fields != "" {
		s += " " + strings.TrimSpace(p.fields)
	}
	return s
}

// outcome is what came of a probe, by the name of what is compared.
type outcome map[string]string

// ask sends a probe to a server and collects what is compared.
func ask(t *testing.T, p probe, plain, secure string) outcome {
	t.Helper()
	conn, err := net.Dial("tcp", plain)
	if p.secure {
		// Whose certificate it is, is another test's matter.
		conn, err = tls.Dial("tcp", secure, &tls.Config{ServerName: p.host, InsecureSkipVerify: true})
	}
	if err != nil {
		return outcome{"status": "no connection"}
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", p.method, p.target, p.host)
	if p.socket != "" {
		fmt.Fprintf(&b, "Connection: %s\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://%s\r\n", p.socket, p.host)
	} else {
		b.WriteString("Connection: close\r\n")
	}
	if p.body != "" {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(p.body))
	}
	fmt.Fprintf(&b, "%s\r\n%s", p.fields, p.body)
	if _, err := conn.Write(b.Bytes()); err != nil {
		t.Fatalf("%v: %v", p, err)
	}
	r := bufio.NewReader(conn)
	asked := &url.URL{Scheme: "http", Host: p.host, Path: "/"}
	if p.secure {
		asked.Scheme = "https"
	}
	res, err := http.ReadResponse(r, &http.Request{Method: p.method, URL: asked})
	if err != nil {
		t.Fatalf("%v at %s: %v", p, plain, err)
	}
	defer res.Body.Close()
	return collect(t, p, res, r, conn, secure)
}

// collect reads the answer. A Location becomes the URL that it leads to, without
// the port of https, which here is no usual one.
func collect(t *testing.T, p probe, res *http.Response, r io.Reader, conn io.Writer, secure string) outcome {
	t.Helper()
	o := outcome{"status": res.Status[:3]}
	for _, field := range []string{"Set-Cookie", "Strict-Transport-Security", "X-Added", "WWW-Authenticate"} {
		if value := strings.Join(res.Header.Values(field), " | "); value != "" {
			// Which says that it is UTF-8, Apache leaves to the browser.
			o[field] = strings.TrimSuffix(value, `, charset="UTF-8"`)
		}
	}
	if location, err := res.Location(); err == nil {
		if _, port, err := net.SplitHostPort(secure); err == nil && location.Port() == port {
			location.Host = location.Hostname()
		}
		o["Location"] = location.String()
	}
	if told := res.Header.Get("Reached"); told != "" {
		var got reached
		if err := json.Unmarshal([]byte(told), &got); err != nil {
			t.Fatalf("%v: %q: %v", p, told, err)
		}
		o["backend"], o["target"], o["host"] = got.Backend, got.Method+" "+got.Target, got.Host
		o["X-Forwarded-Proto"], o["X-Forwarded-Host"], o["X-Custom"] = got.ForwardedProto, got.ForwardedHost, got.Custom
	} else if res.StatusCode == http.StatusOK {
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatalf("%v: %v", p, err)
		}
		o["file"] = string(body)
	}
	if res.StatusCode == http.StatusSwitchingProtocols {
		o["echo"] = echoed(conn, r)
	}
	return o
}

// echoed says what comes back of a text frame with "hi" by an open tunnel.
func echoed(w io.Writer, r io.Reader) string {
	// Masked by zeros, and so as it stands (RFC 6455 §5.3).
	if _, err := w.Write([]byte{0x81, 0x82, 0, 0, 0, 0, 'h', 'i'}); err != nil {
		return err.Error()
	}
	frame := make([]byte, 4)
	if _, err := io.ReadFull(r, frame); err != nil {
		return err.Error()
	}
	return string(frame[2:])
}

// apacheHead is what the tests' Apache has beside a fixture; the fixture's
// modules are those of an ordinary reverse proxy.
const apacheHead = `ServerRoot ${VAR}
PidFile ${VAR}/apache.pid
Mutex file:${VAR} default
DefaultRuntimeDir ${VAR}
ErrorLog ${VAR}/error.log
ServerName front.test
User www-data
Group www-data
TypesConfig /etc/mime.types
Listen ${APACHE}
Listen ${APACHE_TLS}
Include ${FIXTURE}
`

var apacheModules = strings.Fields(`mpm_event authz_core authz_host authz_user authn_core authn_file auth_basic access_compat
	alias env dir mime headers setenvif rewrite macro ssl socache_shmcb slotmem_shm
	proxy proxy_http proxy_wstunnel proxy_balancer lbmethod_byrequests`)

// startApache runs Debian's Apache with a fixture. The variables are those of
// the fixture.
func (l *lab) startApache(t *testing.T, fixture string, variables map[string]string) {
	t.Helper()
	folder := l.path(t, "apache")
	var conf strings.Builder
	for _, module := range apacheModules {
		fmt.Fprintf(&conf, "LoadModule %s_module /usr/lib/apache2/modules/mod_%[1]s.so\n", module)
	}
	conf.WriteString(apacheHead)
	cmd := exec.Command("apache2", "-f", writeFile(t, filepath.Join(folder, "apache.conf"), conf.String()), "-D", "FOREGROUND")
	cmd.Env = append(os.Environ(), "VAR="+folder, "FIXTURE="+fixture)
	for name, value := range variables {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	p := start(t, "Apache", cmd)
	t.Cleanup(func() {
		if report, err := os.ReadFile(filepath.Join(folder, "error.log")); err == nil && t.Failed() {
			t.Logf("Apache's error log:\n%s", report)
		}
	})
	p.listens(t, variables["APACHE"])
}
