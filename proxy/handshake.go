package proxy

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"net/http"

	"wsfront/proxy/diagnosis"
	"wsfront/proxy/http1"
)

// hasToken reports whether a field that is a list of tokens (RFC 9110 §5.6.1)
// holds one, in any letter case and over any number of lines: Firefox sends
// "Connection: keep-alive, Upgrade". token is in lower case.
func hasToken(fields []http1.Field, known http1.Known, token string) bool {
	for i := range fields {
		if fields[i].Known != known {
			continue
		}
		for item := range bytes.SplitSeq(fields[i].Value, []byte{','}) {
			if equalFold(bytes.Trim(item, " \t"), token) {
				return true
			}
		}
	}
	return false
}

// isHandshake reports whether a request asks for a WebSocket: by its Upgrade
// and Connection fields alone, so that one with a mistake elsewhere is routed
// as a handshake and refused with the mistake named.
func isHandshake(r *http1.Request) bool {
	return hasToken(r.Fields, http1.Upgrade, "websocket") && hasToken(r.Fields, http1.Connection, "upgrade")
}

// isStream reports whether a request is for a push service although it is no
// handshake: for server-sent events, as a browser's EventSource is, or for a
// poll, which prefers to wait (RFC 7240 §4.3).
func isStream(r *http1.Request) bool {
	if string(r.Method) != http.MethodGet {
		return false
	}
	for i := range r.Fields {
		f := &r.Fields[i]
		switch {
		case f.Known == http1.Accept && hasItem(f.Value, ';', "text/event-stream"),
			f.Known == http1.Other && equalFold(f.Name, "prefer") && hasItem(f.Value, '=', "wait"):
			return true
		}
	}
	return false
}

// hasItem reports whether a list has an item of that name, up to a separator.
func hasItem(list []byte, separator byte, name string) bool {
	for item := range bytes.SplitSeq(list, []byte{','}) {
		head, _, _ := bytes.Cut(item, []byte{separator})
		head, _, _ = bytes.Cut(head, []byte{';'})
		if equalFold(bytes.Trim(head, " \t"), name) {
			return true
		}
	}
	return false
}

// checkHandshake says what a handshake lacks of RFC 6455 §4.2.1, with the
// status that answers it, or 0.
func checkHandshake(r *http1.Request) (status int, mistake string) {
	key, keys := http1.Get(r.Fields, http1.SecWebSocketKey)
	version, versions := http1.Get(r.Fields, http1.SecWebSocketVersion)
	switch {
	case string(r.Method) != http.MethodGet:
		return http.StatusMethodNotAllowed, "a WebSocket handshake is a GET, not a " + string(r.Method)
	case r.Minor < 1:
		return http.StatusBadRequest, "a WebSocket handshake needs HTTP/1.1"
	case r.Chunked || r.ContentLength > 0:
		return http.StatusBadRequest, "a WebSocket handshake has no body"
	case keys != 1:
		return http.StatusBadRequest, "a WebSocket handshake has one Sec-WebSocket-Key"
	case !isHandshakeKey(key):
		return http.StatusBadRequest, "Sec-WebSocket-Key is not the base64 form of 16 bytes"
	case versions != 1 || string(version) != "13":
		return http.StatusUpgradeRequired, "Sec-WebSocket-Version is not 13"
	}
	return 0, ""
}

func isHandshakeKey(key []byte) bool {
	var raw [18]byte // 24 characters, should they have no padding
	if len(key) != 24 {
		return false
	}
	n, err := base64.StdEncoding.Decode(raw[:], key)
	return err == nil && n == 16
}

// checkSwitch says what a backend's 101 lacks of RFC 6455 §4.1, or "". Without
// these checks a server that takes any Upgrade, or repeats what it is sent,
// would get a client's bytes raw.
func checkSwitch(r *http1.Request, answer *http1.Response) (cause diagnosis.Cause, mistake string) {
	accept, accepts := http1.Get(answer.Fields, http1.SecWebSocketAccept)
	switch {
	case answer.Minor < 1:
		return diagnosis.SwitchHeaders, "as HTTP/1.0"
	case !hasToken(answer.Fields, http1.Upgrade, "websocket"):
		return diagnosis.SwitchHeaders, fmt.Sprintf("to Upgrade: %q instead of websocket", values(answer.Fields, http1.Upgrade))
	case !hasToken(answer.Fields, http1.Connection, "upgrade"):
		return diagnosis.SwitchHeaders, "without Connection: Upgrade"
	case accepts != 1:
		return diagnosis.AcceptWrong, fmt.Sprintf("with %d Sec-WebSocket-Accept fields", accepts)
	}
	if key, _ := http1.Get(r.Fields, http1.SecWebSocketKey); acceptKey(key) != string(accept) {
		return diagnosis.AcceptWrong, "its Sec-WebSocket-Accept does not fit the Sec-WebSocket-Key that it was sent"
	}
	return "", ""
}

// acceptKey is the Sec-WebSocket-Accept for a Sec-WebSocket-Key (RFC 6455
// §4.2.2, which chose SHA-1; it guards against mistakes, not attacks).
func acceptKey(key []byte) string {
	sum := sha1.Sum(append(key[:len(key):len(key)], "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"...))
	return base64.StdEncoding.EncodeToString(sum[:])
}
