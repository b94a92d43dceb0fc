package diagnosis

import (
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"strings"
)

// ofSwitch checks a 101 as a browser does (RFC 6455 §4.1).
func (a *Answer) ofSwitch() (Cause, string) {
	upgrade, connection := a.Header("Upgrade"), a.Header("Connection")
	accept, chosen := a.Header("Sec-WebSocket-Accept"), a.Header("Sec-WebSocket-Protocol")
	switch {
	case !strings.EqualFold(strings.TrimSpace(upgrade), "websocket"), !hasToken(connection, "upgrade"):
		return SwitchHeaders, fmt.Sprintf("101 with Upgrade: %q and Connection: %q", printable(upgrade, excerpt), printable(connection, excerpt))
	case a.Sent.Key != "" && accept != AcceptKey(a.Sent.Key):
		return AcceptWrong, fmt.Sprintf("101 with Sec-WebSocket-Accept: %q, and %q was due", printable(accept, excerpt), AcceptKey(a.Sent.Key))
	case a.Sent.Subprotocols != "" && chosen == "":
		return SubprotocolLost, fmt.Sprintf("101 without Sec-WebSocket-Protocol; %q was offered", printable(a.Sent.Subprotocols, excerpt))
	case a.Sent.Key != "" && chosen != "" && !hasToken(a.Sent.Subprotocols, strings.ToLower(chosen)):
		return SubprotocolLost, fmt.Sprintf("101 with Sec-WebSocket-Protocol: %q; %q was offered", printable(chosen, excerpt), printable(a.Sent.Subprotocols, excerpt))
	}
	return "", ""
}

// hasToken reports whether a list has a token, which is in lower case.
func hasToken(list, token string) bool {
	for item := range strings.SplitSeq(list, ",") {
		if strings.ToLower(strings.TrimSpace(item)) == token {
			return true
		}
	}
	return false
}

// AcceptKey is the Sec-WebSocket-Accept for a Sec-WebSocket-Key (RFC 6455
// §4.2.2).
func AcceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}
