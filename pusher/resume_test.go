package pusher

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// listener is a client that speaks resume.v1 and keeps one string.
type listener struct {
	t     *testing.T
	s     *service
	path  string // with a ? in it
	token string
	conn  *websocket.Conn
}

func (s *service) resuming(t *testing.T, path string) *listener {
	return &listener{t: t, s: s, path: path}
}

// connect (again) and returns how the stream goes on.
func (l *listener) connect() string {
	l.t.Helper()
	path := l.path
	if l.token != "" {
		path += "&from=" + l.token
	}
	c, answer, err := l.s.tryDial(path, http.Header{"Sec-Websocket-Protocol": {"resume.v1"}})
	if err != nil {
		l.t.Fatalf("%s: %v %v", path, err, answer)
	}
	if c.Subprotocol() != "resume.v1" {
		l.t.Fatalf("subprotocol %q", c.Subprotocol())
	}
	l.conn = c
	_, data, err := c.ReadMessage()
	if err != nil {
		l.t.Fatal(err)
	}
	token, how, ok := strings.Cut(string(data), " ")
	if _, valid := ParsePosition(token); !ok || !valid {
		l.t.Fatalf("the first frame is %q", data)
	}
	l.token = token
	return how
}

// read is the next message, or "" when the connection has ended.
func (l *listener) read() string {
	_, data, err := l.conn.ReadMessage()
	if err != nil {
		return ""
	}
	token, payload, ok := strings.Cut(string(data), "\n")
	if !ok {
		l.t.Errorf("a frame without a token: %q", data)
	}
	l.token = token
	return payload
}

func (l *listener) expect(want ...string) {
	l.t.Helper()
	for _, w := range want {
		if got := l.read(); got != w {
			l.t.Fatalf("got %q, want %q", got, w)
		}
	}
}

func (l *listener) is(how, want string) {
	l.t.Helper()
	if how != want {
		l.t.Fatalf("the stream is %s, want %s", how, want)
	}
}

func TestResume_GoesOnWhereItWas(t *testing.T) {
	s := newService(t, Config{}, Endpoint{Channel: "board"})
	l := s.resuming(t, "/websocket?")
	l.is(l.connect(), "new")
	s.publishText("board", "one")
	l.expect("one")
	l.conn.Close()
	for i := range 300 { // more than the channel keeps at hand
		s.publishText("board", fmt.Sprint(i))
	}
	l.is(l.connect(), "resumed")
	for i := range 300 {
		l.expect(fmt.Sprint(i))
	}
	s.publishText("board", "live")
	l.expect("live")
	l.conn.Close()
	l.is(l.connect(), "resumed")
	s.publishText("board", "two\nlines")
	l.expect("two\nlines")
}

func TestResume_GapIsTold(t *testing.T) {
	s := newService(t, Config{History: History{Messages: 5}}, Endpoint{Channel: "board"})
	s.publishText("board", "0")
	at := s.publish("board", Message{Text: true, Data: []byte("1")}).Position
	for _, c := range []struct {
		name, token string
		more        int
		want        string
	}{
		{"at the head", at.String(), 0, "resumed"},
		{"three behind", at.String(), 3, "resumed"},
		{"five behind, the position itself trimmed", at.String(), 2, "resumed"},
		{"six behind", at.String(), 1, "gap"},
		{"from the future", Position{at.Epoch, at.Seq + 1000}.String(), 0, "gap"},
		{"from another life", Position{"zzzzzzzz", at.Seq}.String(), 0, "gap"},
		{"no token at all", "hello", 0, "gap"},
	} {
		for range c.more {
			s.publishText("board", "more")
		}
		s.forgetWindows(t)
		l := s.resuming(t, "/websocket?")
		l.token = c.token
		how := l.connect()
		if how != c.want {
			t.Errorf("%s: %s, want %s", c.name, how, c.want)
		}
		if how == "gap" { // it goes on from the token that came with it
			s.publishText("board", "next")
			l.expect("next")
			at, _ = ParsePosition(l.token)
		}
		l.conn.Close()
		if how == "gap" {
			l.is(l.connect(), "resumed")
			l.conn.Close()
		}
	}
}

// forgetWindows waits until nobody listens, so that what comes next is read
// from the broker.
func (s *service) forgetWindows(t *testing.T) {
	t.Helper()
	eventually(t, "no channel left", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.channels) == 0
	})
}

func TestResume_RawStaysRaw(t *testing.T) {
	s := newService(t, Config{}, Endpoint{Channel: "board"})
	from := s.publish("board", Message{Text: true, Data: []byte("one")}).Position
	s.publishText("board", "two")
	s.publish("board", Message{Data: []byte("three")})
	c := s.dial("/websocket?from=" + from.String())
	expect(t, c, websocket.TextMessage, "two")
	expect(t, c, websocket.BinaryMessage, "three")
	c = s.dial("/websocket?last=1")
	expect(t, c, websocket.BinaryMessage, "three")
	s.publishText("board", "four")
	expect(t, c, websocket.TextMessage, "four")
	c = s.dial("/websocket?last=99")
	for _, want := range []string{"one", "two"} {
		expect(t, c, websocket.TextMessage, want)
	}
	// It cannot be told otherwise.
	c = s.dial("/websocket?from=zzzzzzzz.1")
	expectClose(t, c, closeGap)
}

func TestResume_ChannelsTogether(t *testing.T) {
	s := newService(t, Config{}, Endpoint{Channels: []string{"a", "b", "c.*"}})
	l := s.resuming(t, "/websocket?channel=a&channel=b&channel=c.1")
	l.is(l.connect(), "new")
	s.publishText("a", "a1")
	s.publishText("c.2", "not for it")
	s.publishText("b", "b1")
	l.expect("a1", "b1")
	l.conn.Close()
	for i := range 50 {
		s.publishText("b", fmt.Sprint("b", i))
		s.publishText("c.1", fmt.Sprint("c", i))
		s.publishText("other", "x")
		s.publishText("a", fmt.Sprint("a", i))
	}
	l.is(l.connect(), "resumed")
	for i := range 50 {
		l.expect(fmt.Sprint("b", i), fmt.Sprint("c", i), fmt.Sprint("a", i))
	}
	l.conn.Close()
	if _, answer, err := s.tryDial("/websocket?channel=d", nil); err == nil || answer.StatusCode != http.StatusForbidden {
		t.Errorf("a channel that is not allowed: %v %v", answer, err)
	}
	if _, answer, err := s.tryDial("/websocket", nil); err == nil || answer.StatusCode != http.StatusBadRequest {
		t.Errorf("no channel: %v %v", answer, err)
	}
}

func TestResume_LastOfSeveralChannelsCanBeResumed(t *testing.T) {
	s := newService(t, Config{}, Endpoint{})
	for i := range 5 {
		s.publishText("a", fmt.Sprint("a", i))
		s.publishText("b", fmt.Sprint("b", i))
	}
	l := s.resuming(t, "/push/a?channel=b&last=2")
	l.is(l.connect(), "new")
	l.expect("a3")
	l.conn.Close()
	l.path = "/push/a?channel=b"
	l.is(l.connect(), "resumed")
	l.expect("b3", "a4", "b4")
}

// TestResume_EveryMessageOnceInOrder has clients that are cut at random while
// messages come from several publishers.
func TestResume_EveryMessageOnceInOrder(t *testing.T) {
	s := newService(t, Config{History: History{Messages: 10_000}}, Endpoint{Channel: "board"})
	const publishers, each, clients = 3, 400, 6
	var got [clients][]string
	var ready, listening, publishing sync.WaitGroup
	for i := range clients {
		l := s.resuming(t, "/websocket?")
		ready.Add(1)
		listening.Go(func() {
			random := rand.New(rand.NewPCG(uint64(i), 1))
			if how := l.connect(); how != "new" {
				t.Errorf("first %s", how)
			}
			ready.Done()
			for len(got[i]) < publishers*each {
				for range random.IntN(100) {
					if len(got[i]) == publishers*each {
						break
					}
					message := l.read()
					if message == "" {
						t.Error("ended")
						return
					}
					got[i] = append(got[i], message)
				}
				l.conn.Close()
				if how := l.connect(); how != "resumed" {
					t.Errorf("then %s", how)
					return
				}
			}
		})
	}
	ready.Wait()
	for p := range publishers {
		publishing.Go(func() {
			for i := range each {
				for range 2 { // the second is a retry
					s.publish("board", Message{Text: true, Data: fmt.Appendf(nil, "%d/%d", p, i), ID: fmt.Sprint(p, i)})
				}
			}
		})
	}
	publishing.Wait()
	listening.Wait()
	for i := range got {
		next := [publishers]int{}
		for _, m := range got[i] {
			var p, n int
			_, _ = fmt.Sscanf(m, "%d/%d", &p, &n)
			if n != next[p] {
				t.Fatalf("client %d: %s came when %d/%d was next", i, m, p, next[p])
			}
			next[p]++
		}
		if strings.Join(got[i], " ") != strings.Join(got[0], " ") {
			t.Errorf("client %d has another order than client 0", i)
		}
	}
}

func TestResume_StreamByLastEventID(t *testing.T) {
	s := newService(t, Config{}, Endpoint{Channel: "board"})
	from := s.publish("board", Message{Text: true, Data: []byte("one")}).Position
	s.publishText("board", "two")
	ask := func(header http.Header, path string) *http.Response {
		request, _ := http.NewRequest("GET", s.server.URL+path, nil)
		request.Header = header
		request.Header.Set("Accept", "text/event-stream")
		answer, err := s.server.Client().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { answer.Body.Close() })
		return answer
	}
	// What the browser says by itself is newer than what is in the URL.
	answer := ask(http.Header{"Last-Event-Id": {from.String()}}, "/websocket?from=zzzzzzzz.1")
	expectLines(t, linesOf(t, answer), "data: two", "")
	answer = ask(http.Header{}, "/websocket?from=zzzzzzzz.1")
	text := make([]byte, 200)
	n, _ := answer.Body.Read(text)
	if got := withoutEpoch(string(text[:n])); !strings.Contains(got, "event: gap\nid: E.S\ndata: E.S\n\n") {
		t.Errorf("the stream begins with %q", got)
	}
}

func TestPoll_AnswersWithWhatIsNew(t *testing.T) {
	s := newService(t, Config{History: History{Messages: 10_000}}, Endpoint{Channel: "board"})
	poll := func(wait, from, accept string) (status int, body, how, next string) {
		request, _ := http.NewRequest("GET", s.server.URL+"/websocket", nil)
		request.Header.Set("Prefer", "wait="+wait)
		request.Header.Set("Accept", accept)
		if from != "" {
			request.URL.RawQuery = "from=" + from
		}
		answer, err := s.server.Client().Do(request)
		if err != nil {
			t.Error(err)
			return
		}
		return answer.StatusCode, bodyOf(t, answer), answer.Header.Get("Resume"), answer.Header.Get("Next")
	}
	status, body, how, next := poll("0", "", "*/*")
	if status != 204 || body != "" || how != "new" || next == "" {
		t.Fatalf("nothing there: %d %q %s %s", status, body, how, next)
	}
	s.publishText("board", "one")
	s.publishText("board", "two")
	s.publish("board", Message{Data: []byte{0xff}})
	status, body, how, after := poll("0", next, "application/json")
	if status != 200 || how != "resumed" || withoutEpoch(body) !=
		`{"id":"E.S","data":"one"}`+"\n"+`{"id":"E.S","data":"two"}`+"\n"+`{"id":"E.S","base64":"/w=="}`+"\n" {
		t.Fatalf("three there: %d %q %s", status, body, how)
	}
	if status, body, _, _ = poll("0", next, "*/*"); body != "one\ntwo\n" {
		t.Errorf("as lines: %d %q", status, body)
	}
	done := make(chan string)
	go func() { // ends with the answer, which is awaited
		_, body, _, next = poll("30", after, "*/*")
		done <- body
	}()
	eventually(t, "the poll waits", func() bool { return s.Subscribers("board") == 1 })
	s.publishText("board", "three")
	if body := <-done; body != "three\n" {
		t.Errorf("what came is %q", body)
	}
	if status, body, how, _ = poll("30", "zzzzzzzz.1", "*/*"); status != 200 || body != "" || how != "gap" {
		t.Errorf("a gap is %d %q %s", status, body, how)
	}
	for range 2000 { // more than one block
		s.publishText("board", strings.Repeat("x", 99))
	}
	got := 0
	for got < 2000 {
		if _, body, how, next = poll("0", next, "*/*"); body == "" || how != "resumed" {
			t.Fatalf("after %d messages: %s", got, how)
		}
		got += strings.Count(body, "\n")
	}
	if got != 2000 {
		t.Errorf("got %d messages", got)
	}
}

func TestSlow_WhoWasCutResumesCompletely(t *testing.T) {
	for _, over := range []struct {
		name  string
		start []option
	}{{"plain", nil}, {"TLS", []option{overTLS}}} {
		t.Run(over.name, func(t *testing.T) {
			s := newService(t, Config{History: History{Messages: 10_000, Bytes: 1 << 30, Total: 1 << 30}, ReplayBytes: 1 << 30},
				Endpoint{Channel: "board"}, over.start...)
			l := s.resuming(t, "/websocket?")
			l.is(l.connect(), "new")
			sent := 0
			filler := strings.Repeat("x", 16<<10)
			for len(s.log.find(EventCut)) == 0 {
				s.publishText("board", fmt.Sprint(sent, " ", filler))
				sent++
			}
			for i := 0; i < sent; i++ {
				message := l.read()
				if message == "" {
					l.is(l.connect(), "resumed")
					message = l.read()
				}
				if !strings.HasPrefix(message, fmt.Sprint(i, " ")) {
					t.Fatalf("got %.10q, want %d", message, i)
				}
			}
		})
	}
}

func TestSlow_SkipGoesOnWithTheNewestAndTells(t *testing.T) {
	s := newService(t, Config{QueueBytes: 64 << 10, MaxMessage: 16 << 10, Slow: SlowSkip}, Endpoint{Channel: "board"})
	l := s.resuming(t, "/websocket?")
	l.is(l.connect(), "new")
	filler := strings.Repeat("x", 15<<10)
	sent := 0
	c := s.clock.all()[0]
	for skipped := false; !skipped; sent++ {
		s.publishText("board", fmt.Sprint(sent, " ", filler))
		c.mu.Lock()
		skipped = len(c.control) > 0
		c.mu.Unlock()
	}
	s.publishText("board", "the end")
	next, gaps := 0, 0
	for {
		_, data, err := l.conn.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		if token, how, ok := strings.Cut(string(data[:min(len(data), 40)]), " "); ok && how == "gap" {
			if _, valid := ParsePosition(token); !valid {
				t.Fatalf("a gap at %q", token)
			}
			gaps++
			continue
		}
		_, payload, _ := strings.Cut(string(data), "\n")
		if payload == "the end" {
			break
		}
		var n int
		_, _ = fmt.Sscan(payload[:min(len(payload), 10)], &n)
		if n != next && gaps == 0 || n < next {
			t.Fatalf("message %d came when %d was next, %d gaps told", n, next, gaps)
		}
		next = n + 1
	}
	if gaps == 0 {
		t.Error("no gap was told")
	}
}

func TestSlow_AllBacklogsTogetherHaveACeiling(t *testing.T) {
	s := newService(t, Config{QueueBytes: 64 << 20, QueueTotal: 64 << 20, History: History{Bytes: 1 << 20}}, Endpoint{})
	s.cfg.QueueTotal = 4 << 20
	for i := range 4 {
		s.dial(fmt.Sprintf("/push/%d", i)) // reads nothing
	}
	filler := make([]byte, 256<<10)
	for i := 0; len(s.log.find(EventCut)) < 4; i++ {
		if i > 4000 {
			t.Fatal("nobody was cut off")
		}
		s.publish(fmt.Sprint(i%4), Message{Data: filler})
	}
	eventually(t, "nothing is kept", func() bool { return s.retained.Load() == 0 })
}

func TestSocket_CompressedOnceForAll(t *testing.T) {
	s := newService(t, Config{}, Endpoint{Channel: "board"})
	text := strings.Repeat("the same again and ", 100)
	var conns []*websocket.Conn
	for _, compress := range []bool{true, true, false} {
		dialer := websocket.Dialer{EnableCompression: compress, HandshakeTimeout: patience}
		c, answer, err := dialer.Dial("ws"+strings.TrimPrefix(s.server.URL, "http")+"/websocket", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if got := answer.Header.Get("Sec-Websocket-Extensions"); (got != "") != compress {
			t.Errorf("extensions %q", got)
		}
		conns = append(conns, c)
	}
	s.publishText("board", text)
	s.publishText("board", "short")
	for _, c := range conns {
		_ = c.SetReadDeadline(time.Now().Add(patience))
		expect(t, c, websocket.TextMessage, text)
		expect(t, c, websocket.TextMessage, "short")
		c.Close()
	}
	for i, most := range []int{200, 200, 4000} {
		s.log.await(t, EventClose, fmt.Sprintf("client=%d ", i+1), "messages=2")
		for _, line := range s.log.find(EventClose) {
			var n int
			_, _ = fmt.Sscanf(line[strings.Index(line, "bytes="):], "bytes=%d", &n)
			if strings.Contains(line, fmt.Sprintf("client=%d ", i+1)) && (n > most || n < most/20) {
				t.Errorf("client %d was sent %d bytes", i+1, n)
			}
		}
	}
}

// What is for one client alone has no token, and changes nothing about what it
// has seen.
func TestResume_EchoHasNoToken(t *testing.T) {
	s := newService(t, Config{}, Endpoint{Channel: "board", Inbound: InboundEcho})
	l := s.resuming(t, "/websocket?")
	l.is(l.connect(), "new")
	s.publishText("board", "one")
	l.expect("one")
	at := l.token
	_ = l.conn.WriteMessage(websocket.TextMessage, []byte("mine"))
	l.expect("mine")
	if l.token != "" {
		t.Errorf("an echo has the token %q", l.token)
	}
	l.conn.Close()
	l.token = at
	s.publishText("board", "two")
	l.is(l.connect(), "resumed")
	l.expect("two")
}
