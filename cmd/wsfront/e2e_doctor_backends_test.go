//go:build e2e

package main_test

import (
	"bufio"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

// startBackends starts what the scenarios put behind their servers.
//
// Push services: @gorilla@ (echoes, takes /websocket alone and only its own
// origin, speaks the subprotocol chat), @gorilla-tls@ the same by TLS, @slash@
// one that takes /websocket/ alone, @python@ (websockets, takes any path, a
// message each half second, compressed).
// Apps: @gunicorn@, @modwsgi@, and @old-app@, the app with views as old ones
// have them (see oldApp), which is served by TLS at @founding-port@, as the
// founding vhost stands.
// What is no service: @nothing@ refuses, @mute@ accepts and never says a word,
// and the misbehaviours have words of their names.
func (r *doctorRig) startBackends(t testing.TB) {
	t.Helper()
	gorilla := r.serve(t, gorillaAt("/websocket"), false)
	r.word("gorilla", gorilla)
	r.word("gorilla-port", portOf(t, gorilla))
	secure := r.serve(t, gorillaAt("/websocket"), true)
	r.word("gorilla-tls", secure)
	r.word("gorilla-tls-port", portOf(t, secure))
	r.word("slash", r.serve(t, gorillaAt("/websocket/"), false))
	r.word("socketio", r.serve(t, http.HandlerFunc(unknownSession), false))
	r.word("python", hostOf(t, r.startOldPush(t, "0.5")))
	r.word("gunicorn", hostOf(t, r.gunicorn.url))
	r.word("modwsgi", hostOf(t, r.modwsgi.url))
	founding := r.port(t)
	old := hostOf(t, r.startApp(t, legacyOptions{
		server:  "apache",
		env:     []string{"LEGACY_HOSTS=app.test,127.0.0.1"},
		tlsAt:   founding,
		tlsPair: r.pairs[""],
		change:  func(folder string) { oldApp(t, folder) },
	}).url)
	r.word("founding-port", fmt.Sprint(founding))
	r.word("old-app", old)
	r.word("old-app-port", portOf(t, old))
	r.word("old-app-by-name", "localhost:"+portOf(t, old)) // which it does not allow as Host
	r.word("only-https", hostOf(t, r.startApp(t, legacyOptions{
		server: "gunicorn",
		change: func(folder string) {
			edit(t, filepath.Join(folder, "legacy/settings.py"), "USE_TZ = True",
				"USE_TZ = True\nSECURE_SSL_REDIRECT = True\nSECURE_REDIRECT_EXEMPT = [r'^whoami']")
		},
	}).url))
	r.word("nothing", loopback(r.port(t)))
	r.word("mute", mute(t))
	r.word("ca", r.pki.file)
	for name, behave := range misbehaviours {
		r.word(name, r.misbehave(t, behave))
	}
}

func portOf(t testing.TB, address string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// oldApp gives the app three views that old apps have: /dwebsocket as the module
// of that name does it, which takes the socket out of wsgi.input and answers 400
// where the server has none to give; /members for who is logged in; and /guarded
// which refuses all others.
func oldApp(t testing.TB, folder string) {
	t.Helper()
	edit(t, filepath.Join(folder, "legacy/views.py"), "def wstest(request):", `def dwebsocket(request):
    if request.META.get("HTTP_UPGRADE", "").lower() != "websocket":
        return render(request, "wstest.html")
    if not hasattr(request.META["wsgi.input"], "_sock"):
        from django.http import HttpResponseBadRequest
        return HttpResponseBadRequest()


def members(request):
    from django.contrib.auth.decorators import login_required
    return login_required(wstest, login_url="/login/")(request)


def guarded(request):
    from django.core.exceptions import PermissionDenied
    raise PermissionDenied


def wstest(request):`)
	edit(t, filepath.Join(folder, "legacy/urls.py"), `path("go",`,
		`path("dwebsocket", views.dwebsocket), path("members", views.members), path("guarded", views.guarded), path("go",`)
}

// serve serves a handler of the test's own, by the lab's certificate if secure.
func (r *doctorRig) serve(t testing.TB, h http.Handler, secure bool) (address string) {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	// A plain request to a TLS port is told so by net/http, to the log as well.
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(srv.Close)
	if !secure {
		srv.Start()
		return srv.Listener.Addr().String()
	}
	p := r.pairs[""]
	cert, err := tls.LoadX509KeyPair(p.cert, p.key)
	if err != nil {
		t.Fatal(err)
	}
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	srv.StartTLS()
	return srv.Listener.Addr().String()
}

// hostOf is the host:port of a URL.
func hostOf(t testing.TB, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

// gorillaAt is a push service as people write one with gorilla/websocket, its
// check of the Origin as it comes.
func gorillaAt(path string) http.HandlerFunc {
	up := websocket.Upgrader{Subprotocols: []string{"chat"}}
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != path {
			http.NotFound(w, r)
			return
		}
		c, err := up.Upgrade(w, r, nil)
		if err != nil {
			return // answered
		}
		defer c.Close()
		for {
			kind, message, err := c.ReadMessage()
			if err != nil || c.WriteMessage(kind, message) != nil {
				return
			}
		}
	}
}

// unknownSession is Socket.IO's answer by a worker that has not seen the session.
func unknownSession(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadRequest)
	_, _ = io.WriteString(w, `{"code":1,"message":"Session ID unknown"}`)
}

// mute accepts connections and reads, but never says a word.
func mute(t testing.TB) (address string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() { // ended by Close
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() { // ended by the other side, which all end before the test
				defer c.Close()
				untilClosed(c)
			}()
		}
	}()
	return ln.Addr().String()
}

// misbehaviours are push services that no library would let one write: what is
// done with a connection, once its handshake has been read, until it is closed.
// accept is what belongs into Sec-WebSocket-Accept.
var misbehaviours = map[string]func(c net.Conn, accept string){
	"no-upgrade":    func(c net.Conn, accept string) { switches(c, "Connection: Upgrade", accept); untilClosed(c) },
	"no-connection": func(c net.Conn, accept string) { switches(c, "Upgrade: websocket", accept); untilClosed(c) },
	"wrong-accept":  func(c net.Conn, _ string) { switches(c, switchLines, "AAAAAAAAAAAAAAAAAAAAAAAAAAA="); untilClosed(c) },
	"closes":        func(c net.Conn, accept string) { switches(c, switchLines, accept) },
	"deaf":          func(c net.Conn, accept string) { switches(c, switchLines, accept); untilClosed(c) },
	"injected": func(c net.Conn, accept string) {
		switches(c, switchLines, accept)
		fmt.Fprint(c, "<script src=\"/banner.js\"></script>")
		untilClosed(c)
	},
}

const switchLines = "Upgrade: websocket\r\nConnection: Upgrade"

func switches(c net.Conn, lines, accept string) {
	fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\n%s\r\nSec-WebSocket-Accept: %s\r\n\r\n", lines, accept)
}

// untilClosed reads and answers nothing until the other side closes.
func untilClosed(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// misbehave serves one of the misbehaviours to handshakes, and a page to what is
// none.
func (r *doctorRig) misbehave(t testing.TB, behave func(net.Conn, string)) (address string) {
	t.Helper()
	return r.serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		key := req.Header.Get("Sec-WebSocket-Key")
		if key == "" {
			w.WriteHeader(http.StatusUpgradeRequired)
			return
		}
		c, buffered, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		defer c.Close()
		sum := sha1.Sum([]byte(strings.TrimSpace(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
		behave(bufferedConn{c, buffered.Reader}, base64.StdEncoding.EncodeToString(sum[:]))
	}), false)
}

// bufferedConn reads first what the server had read ahead.
type bufferedConn struct {
	net.Conn
	r *bufio.Reader
}

func (c bufferedConn) Read(p []byte) (int, error) { return c.r.Read(p) }
