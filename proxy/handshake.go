package proxy

import (
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
)

// hasToken reports whether a field that is a list of tokens (RFC 9110 §5.6.1)
// holds one, in any letter case and over any number of lines: Firefox sends
// "Connection: keep-alive, Upgrade".
func hasToken(values []string, token string) bool {
	for _, v := range values {
		for item := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.Trim(item, " \t"), token) {
				return true
			}
		}
	}
	return false
}

// isHandshake reports whether a request asks for a WebSocket: by its Upgrade
// and Connection fields alone, so that one with a mistake elsewhere is routed
// as a handshake and refused with the mistake named.
func isHandshake(r *http.Request) bool {
	return hasToken(r.Header["Upgrade"], "websocket") && hasToken(r.Header["Connection"], "upgrade")
}

// isEventStream reports whether a request asks for server-sent events, as a
// browser's EventSource does.
func isEventStream(r *http.Request) bool {
	if r.Method != http.MethodGet {
		return false
	}
	for _, v := range r.Header["Accept"] {
		for item := range strings.SplitSeq(v, ",") {
			kind, _, _ := strings.Cut(item, ";")
			if strings.EqualFold(strings.TrimSpace(kind), "text/event-stream") {
				return true
			}
		}
	}
	return false
}

// checkHandshake says what a handshake lacks of RFC 6455 §4.2.1, with the
// status that answers it, or 0.
func checkHandshake(r *http.Request) (status int, mistake string) {
	switch key := r.Header["Sec-Websocket-Key"]; {
	case r.Method != http.MethodGet:
		return http.StatusMethodNotAllowed, "a WebSocket handshake is a GET, not a " + r.Method
	case !r.ProtoAtLeast(1, 1):
		return http.StatusBadRequest, "a WebSocket handshake needs HTTP/1.1"
	case r.ContentLength != 0:
		return http.StatusBadRequest, "a WebSocket handshake has no body"
	case len(key) != 1:
		return http.StatusBadRequest, "a WebSocket handshake has one Sec-WebSocket-Key"
	case !isHandshakeKey(key[0]):
		return http.StatusBadRequest, "Sec-WebSocket-Key is not the base64 form of 16 bytes"
	case len(r.Header["Sec-Websocket-Version"]) != 1 || r.Header["Sec-Websocket-Version"][0] != "13":
		return http.StatusUpgradeRequired, "Sec-WebSocket-Version is not 13"
	}
	return 0, ""
}

func isHandshakeKey(key string) bool {
	raw, err := base64.StdEncoding.DecodeString(key)
	return err == nil && len(raw) == 16
}

// checkSwitch says what a backend's 101 lacks of RFC 6455 §4.1, or "". Without
// these checks a server that takes any Upgrade, or repeats what it is sent,
// would get a client's bytes raw.
func checkSwitch(r *http.Request, answer *http.Response) (mistake string) {
	accept := answer.Header["Sec-Websocket-Accept"]
	switch {
	case !answer.ProtoAtLeast(1, 1):
		return "as " + answer.Proto
	case !hasToken(answer.Header["Upgrade"], "websocket"):
		return fmt.Sprintf("to Upgrade: %q instead of websocket", answer.Header["Upgrade"])
	case !hasToken(answer.Header["Connection"], "upgrade"):
		return "without Connection: Upgrade"
	case len(accept) != 1:
		return fmt.Sprintf("with %d Sec-WebSocket-Accept fields", len(accept))
	case accept[0] != acceptKey(r.Header.Get("Sec-Websocket-Key")):
		return "its Sec-WebSocket-Accept does not fit the Sec-WebSocket-Key that it was sent"
	}
	return ""
}

// acceptKey is the Sec-WebSocket-Accept for a Sec-WebSocket-Key (RFC 6455
// §4.2.2, which chose SHA-1; it guards against mistakes, not attacks).
func acceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// refusalReason says why a handshake may have been answered with something
// else than 101, by what people most often turn out to have done.
func refusalReason(b *backend, answer *http.Response) string {
	suspicion := ""
	switch status := answer.StatusCode; {
	case status >= 200 && status < 300:
		suspicion = "it gave a plain page: is this path its WebSocket URL, and is this the push service rather than the application? An application under WSGI cannot take a WebSocket"
	case status >= 300 && status < 400:
		suspicion = fmt.Sprintf("it redirects to %q, which no browser follows for a WebSocket: use that URL in the page, or have the backend not redirect this path", answer.Header.Get("Location"))
	case status == http.StatusBadRequest:
		suspicion = "it takes the handshake for malformed: a Django view under mod_wsgi or gunicorn answers so, as it cannot reach the socket; or the Host is not in its ALLOWED_HOSTS"
	case status == http.StatusUnauthorized:
		suspicion = "it wants a login: does the page send its cookie, and is the cookie for this host?"
	case status == http.StatusForbidden:
		suspicion = "it refuses the Origin or the user: allow the site's own https:// origin, and do not set host on the route"
	case status == http.StatusNotFound:
		suspicion = "it has no such path: compare the route's path and the backend's, slash at the end included"
	case status == http.StatusUpgradeRequired:
		suspicion = "it did not see a handshake it likes: is there another proxy between that drops Upgrade, or does it want another Sec-WebSocket-Version?"
	case status >= 500:
		suspicion = "it failed by itself: its own log should say why"
	default:
		suspicion = "its own log should say why"
	}
	return fmt.Sprintf("backend %s answered the handshake with %d: %s", b.written, answer.StatusCode, suspicion)
}
