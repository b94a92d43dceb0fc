package diagnosis

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
)

const (
	apachePage = "<!DOCTYPE HTML PUBLIC \"-//IETF//DTD HTML 2.0//EN\">\n<html><head>\n<title>%</title>\n</head><body>\n<h1>%</h1>\n<p>"
	testKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	testAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

// newPage is what an Apache of today writes in place of what older ones do.
func newPage(title, text string) string {
	return strings.Replace(page(title, text), `"-//IETF//DTD HTML 2.0//EN"`, `"-//W3C//DTD HTML 4.01//EN" "http://www.w3.org/TR/html4/strict.dtd"`, 1)
}

func page(title, text string) string { return strings.ReplaceAll(apachePage, "%", title) + text }

// answerOf reads an answer from its text: the head with bare line feeds, an
// empty line, the body.
func answerOf(t testing.TB, text string, sent Sent) Answer {
	t.Helper()
	head, body, _ := strings.Cut(text, "\n\n")
	raw := "HTTP/1.1 " + strings.ReplaceAll(head, "\n", "\r\n") + "\r\n\r\n" + body
	res, err := http.ReadResponse(bufio.NewReader(strings.NewReader(raw)), nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode == http.StatusSwitchingProtocols {
		b = nil
	}
	return Answer{Status: res.StatusCode, Proto: res.Proto, Header: res.Header.Get, Body: b, Sent: sent}
}

var browser = Sent{Scheme: "wss", Host: "app.test", Path: "/websocket?x=1", Origin: "https://app.test", Key: testKey}

func TestOfAnswer_NamesTheCause(t *testing.T) {
	for _, c := range []struct {
		name, answer string
		want         Cause
	}{
		{"page", "200 OK\nServer: Apache/2.4.71 (Debian)\n\n<html><title>Board</title>", PageAnswered},
		{"no content", "204 No Content\n\n", PageAnswered},
		{"page of gunicorn's", "200 OK\nServer: gunicorn\n\nhi", AppAnswered},
		{"page with Django's cookie", "200 OK\nServer: Apache\nSet-Cookie: csrftoken=x; Path=/\n\nhi", AppAnswered},
		{"page with Django's fields", "200 OK\nX-Content-Type-Options: nosniff\nReferrer-Policy: same-origin\n\nhi", AppAnswered},
		{"to https", "301 Moved Permanently\nLocation: https://www.app.test/websocket?x=1\n\n", Redirect},
		{"slash", "301 Moved Permanently\nLocation: /websocket/?x=1\n\n", Redirect},
		{"login", "302 Found\nLocation: /login/?next=/websocket\n\n", Redirect},
		{"no Location", "302 Found\n\n", Redirect},
		{"loop", "301 Moved Permanently\nLocation: https://app.test/websocket?x=1\n\n", RedirectLoop},
		{"to http", "301 Moved Permanently\nLocation: http://app.test/websocket?x=1\n\n", ForwardedProto},
		{"Tornado", "400 Bad Request\nServer: TornadoServer/6.1\n\nCan \"Upgrade\" only to \"WebSocket\".", UpgradeDropped},
		{"gorilla", "400 Bad Request\nSec-Websocket-Version: 13\n\nBad Request\n", UpgradeDropped},
		{"400 of somebody", "400 Bad Request\n\nBad Request", UpgradeDropped},
		{"dwebsocket", "400 Bad Request\nServer: Apache\nContent-Length: 0\nContent-Type: text/html; charset=utf-8\n\n", AppAnswered},
		{"ALLOWED_HOSTS", "400 Bad Request\nServer: gunicorn/20.1.0\n\n<!doctype html>\n<head>\n  <title>Bad Request (400)</title>", HostRefused},
		{"ALLOWED_HOSTS under DEBUG", "400 Bad Request\n\n<title>DisallowedHost at /websocket</title>", HostRefused},
		{"Socket.IO session", "400 Bad Request\n\n{\"code\":1,\"message\":\"Session ID unknown\"}", SessionUnknown},
		{"Socket.IO without Upgrade", "400 Bad Request\n\n{\"code\":3,\"message\":\"Bad request\"}", UpgradeDropped},
		{"TLS port behind a front", "400 Bad Request\n\nClient sent an HTTP request to an HTTPS server.\n", BackendScheme},
		{"login wanted", "401 Unauthorized\nWWW-Authenticate: Basic realm=\"x\"\n\n", LoginRequired},
		{"gorilla on Origin", "403 Forbidden\nSec-Websocket-Version: 13\n\nForbidden\n", OriginRefused},
		{"403 of somebody", "403 Forbidden\n\nAccess denied", OriginRefused},
		{"[P] without mod_proxy", "403 Forbidden\nServer: Apache\n\n" + page("403 Forbidden", "You don't have permission to access this resource."), RewriteWithoutProxy},
		{"CSRF", "403 Forbidden\n\n<h1>Forbidden</h1><p>CSRF verification failed. Request aborted.", ForwardedProto},
		{"404", "404 Not Found\nServer: nginx\n\n<center>nginx/1.22.1</center>", PathUnknown},
		{"[P] without mod_proxy, today", "403 Forbidden\nServer: Apache\n\n" + newPage("403 Forbidden", "You don't have permission to access this resource."), RewriteWithoutProxy},
		{"404 of Apache's", "404 Not Found\n\n" + page("404 Not Found", "The requested URL was not found on this server."), PathUnknown},
		{"404 of Django's", "404 Not Found\nServer: Apache\n\n<h1>Not Found</h1><p>The requested resource was not found on this server.</p>", AppAnswered},
		{"405", "405 Method Not Allowed\n\n", PageAnswered},
		{"421", "421 Misdirected Request\n\n", HostRefused},
		{"websockets", "426 Upgrade Required\nUpgrade: websocket\n\nFailed to open a WebSocket connection: invalid Connection header: close.\n", UpgradeDropped},
		{"429", "429 Too Many Requests\n\n", TooMany},
		{"418", "418 I'm a teapot\n\n", Refused},
		{"AH01144", "500 Internal Server Error\nServer: Apache/2.4.71\n\n" + page("500 Internal Server Error", "The server encountered an internal error"), ModuleMissing},
		{"500 of the app", "500 Internal Server Error\nServer: gunicorn\n\n<h1>Server Error (500)</h1>", AppFailed},
		{"501", "501 Not Implemented\n\n", UpgradeDropped},
		{"502 of nginx", "502 Bad Gateway\n\n<center><h1>502 Bad Gateway</h1></center><hr><center>nginx</center>", BackendDown},
		{"AH01144, today", "500 Internal Server Error\nServer: Apache/2.4.71\n\n" + newPage("500 Internal Server Error", "The server encountered an internal error"), ModuleMissing},
		{"502 of Apache", "502 Proxy Error\n\n" + page("502 Proxy Error", "Reason: <strong>Error reading from remote server</strong>"), BackendScheme},
		{"502 of HAProxy", "502 Bad Gateway\n\n<html><body><h1>502 Bad Gateway</h1>\nThe server returned an invalid or incomplete response.\n</body></html>\n", BackendScheme},
		{"503 of nginx", "503 Service Temporarily Unavailable\nServer: nginx\n\n<hr><center>nginx</center>", TooMany},
		{"503 of Apache", "503 Service Unavailable\n\n" + page("503 Service Unavailable", "The server is temporarily unable"), BackendDown},
		{"503 of a limit", "503 Service Unavailable\nRetry-After: 5\n\n", TooMany},
		{"504", "504 Gateway Timeout\n\n", BackendSilent},
		{"599", "599 Else\n\n", AppFailed},
		{"told by a wsfront", "404 Not Found\nServer: gunicorn\nWsfront-Diagnosis: upgrade-dropped; The fields\n\n", UpgradeDropped},
		{"told something else", "404 Not Found\nWsfront-Diagnosis: rain\n\n", PathUnknown},

		{"101", "101 Switching Protocols\nUpgrade: WebSocket\nConnection: keep-alive, Upgrade\nSec-WebSocket-Accept: " + testAccept + "\n\n", ""},
		{"101 without Upgrade", "101 Switching Protocols\nConnection: Upgrade\nSec-WebSocket-Accept: " + testAccept + "\n\n", SwitchHeaders},
		{"101 without Connection", "101 Switching Protocols\nUpgrade: websocket\nSec-WebSocket-Accept: " + testAccept + "\n\n", SwitchHeaders},
		{"101 for another key", "101 Switching Protocols\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Accept: AAAA\n\n", AcceptWrong},
		{"101 with what was not offered", "101 Switching Protocols\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Accept: " + testAccept + "\nSec-WebSocket-Protocol: chat\n\n", SubprotocolLost},
	} {
		got, evidence := OfAnswer(answerOf(t, c.answer, browser))
		if got != c.want {
			t.Errorf("%s: %s, want %s (%s)", c.name, got, c.want, evidence)
		}
		if (evidence == "") != (c.want == "") {
			t.Errorf("%s: evidence %q", c.name, evidence)
		}
	}
}

func TestOfAnswer_GoesByWhatWasSent(t *testing.T) {
	const forbidden = "403 Forbidden\n\n"
	const switched = "101 Switching Protocols\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Accept: " + testAccept + "\n\n"
	const toTLS = "400 Bad Request\n\nThe plain HTTP request was sent to HTTPS port"
	for _, c := range []struct {
		answer string
		sent   Sent
		want   Cause
	}{
		{forbidden, Sent{}, LoginRequired},
		{forbidden, Sent{Origin: "https://app.test"}, OriginRefused},
		{"403 Forbidden\nWsfront-Diagnosis: tls-required; The WebSocket\n\n", Sent{Scheme: "ws"}, TLSRequired},
		{"403 Forbidden\nWsfront-Diagnosis: tls-required; The WebSocket\n\n", Sent{Scheme: "ws", ToBackend: true}, BackendScheme},
		{"403 Forbidden\nWsfront-Diagnosis: host-refused; The server\n\n", Sent{ToBackend: true}, HostRefused},
		{"400 Bad Request\n\n", Sent{}, UpgradeDropped},
		{"400 Bad Request\n\n", Sent{ToBackend: true}, AppAnswered},
		{switched, Sent{}, ""},
		{switched, Sent{Key: testKey, Subprotocols: "chat, log"}, SubprotocolLost},
		{strings.Replace(switched, "\n\n", "\nSec-WebSocket-Protocol: log\n\n", 1), Sent{Key: testKey, Subprotocols: "chat, log"}, ""},
		{toTLS, Sent{Scheme: "ws"}, TLSRequired},
		{toTLS, Sent{Scheme: "wss"}, BackendScheme},
		{toTLS, Sent{Scheme: "ws", ToBackend: true}, BackendScheme},
		{"403 Forbidden\n\nThis WebSocket is served by wss:// only.\n", Sent{Scheme: "ws", Origin: "http://app.test"}, TLSRequired},
	} {
		if got, evidence := OfAnswer(answerOf(t, c.answer, c.sent)); got != c.want {
			t.Errorf("%q after %+v: %s, want %s (%s)", c.answer, c.sent, got, c.want, evidence)
		}
	}
}

func TestEvidence_IsOneLine(t *testing.T) {
	a := answerOf(t, "404 Not Found\nServer: gunicorn\nLocation: /\u00e9\n\n<html>\n<title>No</title> such\x1b[31m\npage "+strings.Repeat("x", 500), Sent{})
	const want = `404 Not Found; Server: gunicorn; Location: /?; body begins "No such?[31m page xxx`
	if got := a.Evidence(); !strings.HasPrefix(got, want) || len(got) > 300 {
		t.Errorf("%q", got)
	}
}

func TestServer_ByItsNameOrItsErrorPage(t *testing.T) {
	for _, c := range []struct{ answer, want string }{
		{"200 OK\nServer: Apache/2.4.71 (Debian)\n\n", ForApache},
		{"404 Not Found\n\n" + page("404 Not Found", ""), ForApache},
		{"502 Bad Gateway\nServer: nginx/1.22.1\n\n", ForNginx},
		{"502 Bad Gateway\n\n<hr><center>nginx</center>", ForNginx},
		{"503 Service Unavailable\n\n<html><body><h1>503 Service Unavailable</h1>\nNo server is available to handle this request.\n</body></html>\n", ForHAProxy},
		{"502 Bad Gateway\nServer: Caddy\n\n", ForCaddy},
		{"404 Not Found\nVia: 1.1 Caddy\n\n", ForCaddy},
		{"502 Bad Gateway\n\nBad Gateway", ForTraefik},
		{"404 Not Found\nX-Request-ID: 1\n\n404 Not Found\nNo.\nrequest 1\n", ForWsfront},
		{"404 Not Found\nWsfront-Diagnosis: path-unknown; x\n\n", ForWsfront},
		{"404 Not Found\nServer: gunicorn\n\n404 page not found\n", ""},
	} {
		a := answerOf(t, c.answer, Sent{})
		if got := a.Server(); got != c.want {
			t.Errorf("%q: %q, want %q", c.answer, got, c.want)
		}
	}
}

// FuzzOfAnswer: whatever comes back, there is a cause, and its evidence is fit
// for a terminal and for a field.
func FuzzOfAnswer(f *testing.F) {
	f.Add(404, "gunicorn", "/login", "<h1>Not Found</h1>")
	f.Add(101, "nginx", "", "")
	f.Add(301, "Apache", "https://app.test/websocket?x=1", "")
	f.Fuzz(func(t *testing.T, status int, server, location, body string) {
		fields := map[string]string{"Server": server, "Location": location, Field: server}
		c, evidence := OfAnswer(Answer{Status: status, Header: func(name string) string { return fields[name] }, Body: []byte(body), Sent: browser})
		if !c.Known() {
			t.Errorf("no cause for %d", status)
		}
		if evidence == "" || strings.IndexFunc(evidence, func(r rune) bool { return r < ' ' || r > '~' }) >= 0 {
			t.Errorf("evidence %q", evidence)
		}
	})
}
