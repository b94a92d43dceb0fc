package pusher

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

const deflateAnswer = "\r\nSec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n"

func TestAcceptDeflate_TakesTheOffersItCanKeep(t *testing.T) {
	const name = "permessage-deflate"
	for _, c := range []struct {
		want   bool
		offers []string
	}{
		{false, nil},
		{false, []string{""}},
		{true, []string{name}},
		{true, []string{name + "; client_max_window_bits"}},                                         // Chromium, Firefox
		{true, []string{name + "; server_no_context_takeover; client_no_context_takeover"}},         // gorilla
		{true, []string{name + " ;client_max_window_bits = 15\t; client_no_context_takeover"}},      // spaces
		{true, []string{"x-webkit-deflate-frame, " + name}},                                         // Safari of old
		{true, []string{"x-other; with=a; values", name}},                                           // another field
		{true, []string{name + "; server_max_window_bits=10, " + name}},                             // the second one
		{true, []string{name + "; server_max_window_bits=10", name + "; client_max_window_bits=8"}}, // the same in two fields
		{false, []string{name + "; server_max_window_bits=15"}},                                     // would have to be answered
		{false, []string{name + "; server_max_window_bits=9; client_max_window_bits"}},              //
		{false, []string{name + "; client_max_window_bits=7"}},                                      // not a value
		{false, []string{name + "; client_max_window_bits=16"}},                                     //
		{false, []string{name + "; client_max_window_bits=08"}},                                     //
		{false, []string{name + "; client_max_window_bits="}},                                       //
		{false, []string{name + "; server_no_context_takeover=1"}},                                  //
		{false, []string{name + "; client_max_window_bits; client_max_window_bits"}},                // twice
		{false, []string{name + "; client_max_window_bits; client_max_window_bits=9"}},              //
		{false, []string{name + "; x-unknown"}},                                                     //
		{false, []string{name + ";"}},                                                               // malformed
		{false, []string{name + "=1"}},                                                              //
		{false, []string{"a b, " + name}},                                                           //
		{false, []string{"," + name}},                                                               //
		{false, []string{`x-other; value="a, ` + name + `, b"`}},                                    // within quotes
		{false, []string{"Permessage-Deflate"}},                                                     // gorilla would not find it
		{false, []string{"permessage-deflate-more", "deflate"}},                                     //
	} {
		if got := acceptDeflate(http.Header{"Sec-Websocket-Extensions": c.offers}); got != c.want {
			t.Errorf("%q: %t", c.offers, got)
		}
		checkAnswer(t, c.offers...)
	}
}

// checkAnswer holds acceptDeflate against what gorilla then answers.
func checkAnswer(t *testing.T, offers ...string) {
	t.Helper()
	accepted := acceptDeflate(http.Header{"Sec-Websocket-Extensions": offers})
	c, _, err := handshake(nil, accepted, offers...)
	if err != nil {
		t.Fatal(err)
	}
	if answer := c.out.String(); strings.Contains(answer, deflateAnswer) != accepted || strings.Contains(answer, "Extensions") != accepted {
		t.Errorf("%q: accepted %t, answered %q", offers, accepted, answer)
	}
}

func FuzzAcceptDeflate(f *testing.F) {
	f.Add("permessage-deflate", "permessage-deflate; client_max_window_bits")
	f.Add("permessage-deflate; server_max_window_bits=10, permessage-deflate", "")
	f.Add(`a;b="c, permessage-deflate ,d"`, `permessage-deflate; client_max_window_bits="10"`)
	f.Add("a b, permessage-deflate", "a=b, permessage-deflate; server_no_context_takeover")
	f.Fuzz(func(t *testing.T, first, second string) { checkAnswer(t, first, second) })
}

// TestAcceptDeflate_GorillasClientUnderstands has messages of all sizes go both ways
// over a connection that was agreed on as the Hub does it.
func TestAcceptDeflate_GorillasClientUnderstands(t *testing.T) {
	sizes := []int{0, 1, 100, 128, 1000, 50_000, 300_000}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		upgrader := websocket.Upgrader{EnableCompression: acceptDeflate(r.Header)}
		ws, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer ws.Close()
		echo := &packedEcho{to: ws.NetConn()}
		buf := make([]byte, 1500)
		var reader frameReader
		for {
			n, err := ws.NetConn().Read(buf)
			if err != nil || reader.feed(buf[:n], 1<<20, true, echo) != nil {
				return
			}
		}
	}))
	defer server.Close()
	dialer := websocket.Dialer{EnableCompression: true, HandshakeTimeout: patience}
	c, answer, err := dialer.Dial("ws"+strings.TrimPrefix(server.URL, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := answer.Header.Get("Sec-Websocket-Extensions"); got != "permessage-deflate; server_no_context_takeover; client_no_context_takeover" {
		t.Errorf("answered %q", got)
	}
	_ = c.SetReadDeadline(time.Now().Add(patience))
	for _, n := range sizes {
		want := string(board(n))
		if err := c.WriteMessage(websocket.TextMessage, []byte(want)); err != nil {
			t.Fatal(err)
		}
		expect(t, c, websocket.TextMessage, want)
	}
}

// packedEcho sends messages back, compressed where that is shorter.
type packedEcho struct{ to io.Writer }

func (e *packedEcho) control(byte, []byte) {}
func (e *packedEcho) message(text bool, data []byte) {
	buf, packed := deflated(make([]byte, headroom), data)
	if !packed {
		buf = append(buf, data...)
	}
	frame := frameOf(text, buf)
	if packed {
		frame[0] |= rsv1Bit
	}
	_, _ = e.to.Write(frame)
}
