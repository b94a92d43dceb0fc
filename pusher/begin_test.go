package pusher

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// How a stream goes on is in the answer to the handshake, for clients that get
// nothing but messages.
func TestSocket_HandshakeSaysHowItGoesOn(t *testing.T) {
	s := newService(t, Config{}, Endpoint{Channel: "board"})
	at := s.publish("board", Message{Text: true, Data: []byte("one")}).Position
	for query, want := range map[string]string{
		"":                     "new " + at.String(),
		"?last=1":              "new " + Position{at.Epoch, 0}.String(),
		"?from=" + at.String(): "resumed " + at.String(),
		"?from=zzzzzzzz.1":     "gap " + at.String(),
	} {
		for _, protocol := range []string{"", protocolRaw, protocolResume} {
			header := http.Header{}
			if protocol != "" {
				header.Set("Sec-Websocket-Protocol", protocol)
			}
			_, answer, err := s.tryDial("/websocket"+query, header)
			if err != nil {
				t.Fatal(err)
			}
			if got := answer.Header.Get("Resume"); got != want {
				t.Errorf("%q by %q: Resume: %q, want %q", query, protocol, got, want)
			}
		}
	}
}

// A page that has asked for it learns by an event how its stream goes on, before
// anything else.
func TestStream_BeginsWithItsStatusIfAsked(t *testing.T) {
	s := newService(t, Config{}, Endpoint{Channel: "board"})
	at := s.publish("board", Message{Text: true, Data: []byte("one")}).Position
	s.publishText("board", "two")
	for query, want := range map[string]string{
		"?status=1":                     "event: status\nid: E.S\ndata: new\n\n",
		"?status=1&from=" + at.String(): "event: status\nid: E.S\ndata: resumed\n\nid: E.S\ndata: two\n\n",
		"?status=1&from=zzzzzzzz.1":     "event: status\nid: E.S\ndata: gap\n\n",
		"?from=zzzzzzzz.1":              "event: gap\nid: E.S\ndata: E.S\n\n",
		"?last=2&from=" + at.String():   "id: E.S\n\nid: E.S\ndata: two\n\n",
	} {
		answer := s.listen("/websocket" + query)
		s.publishText("board", "live")
		var got strings.Builder
		for buf := make([]byte, 256); !strings.Contains(got.String(), "data: live\n"); {
			n, err := answer.Body.Read(buf)
			if err != nil {
				t.Fatalf("%s: %q, %v", query, got.String(), err)
			}
			got.Write(buf[:n])
		}
		retry, rest, _ := strings.Cut(got.String(), "\n")
		if rest = withoutEpoch(rest); !strings.HasPrefix(retry, "retry: ") || !strings.HasPrefix(rest, want) {
			t.Errorf("%s: %q, %q, want %q", query, retry, rest, want)
		}
		answer.Body.Close()
	}
}

// Who speaks before the handshake is over has joined by then, and leaves again.
func TestSocket_HandshakeThatFailsLeavesNothingBehind(t *testing.T) {
	s := newService(t, Config{}, Endpoint{Channel: "board"})
	c, err := net.Dial("tcp", s.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const handshake = "GET /websocket HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	if _, err := c.Write(append([]byte(handshake), masked(finBit|opText, "early")...)); err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(patience))
	if answer, err := io.ReadAll(c); errors.Is(err, os.ErrDeadlineExceeded) || strings.Contains(string(answer), "101") {
		t.Errorf("answer %q, %v", answer, err)
	}
	s.log.await(t, EventClose, "code=1006", "handshake: ")
	eventually(t, "it has left", func() bool { return s.active.Load() == 0 && s.Subscribers("board") == 0 })
}
