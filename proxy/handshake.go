package proxy

import (
	"encoding/base64"
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
