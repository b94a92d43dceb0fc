package pusher

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/gorilla/websocket"
)

// batchResult is what became of a line.
type batchResult struct {
	Positions  map[string]string
	Duplicates []string
	Error      string
	Status     int
}

// batch posts lines and reads what became of each.
func (s *service) batch(body string, status int) []batchResult {
	s.t.Helper()
	return resultsOf(s.t, s.call(testKey, "POST", "/publish", body, status))
}

func resultsOf(t *testing.T, text string) []batchResult {
	t.Helper()
	var list []batchResult
	for line := range strings.Lines(text) {
		var r batchResult
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		list = append(list, r)
	}
	return list
}

func TestBatch_EachLineIsPublishedWholeOrNotAtAll(t *testing.T) {
	s := newService(t, Config{MaxMessage: 100}, Endpoint{})
	a, b := s.dial("/push/a"), s.dial("/push/b")
	long := strings.Repeat("x", 101)
	lines := []struct{ line, says string }{
		{`{"channel":"a","data":"text <&> \u00e9"}`, ""},
		{`{"channels":["a","b"],"data":{"n": 1.50, "list": [ ]}}`, ""},
		{`{"channel":"b","base64":"/wA="}`, ""},
		{`{"channel":"a","data":null}`, ""},
		{`{"channel":"a","data":""}`, ""},
		{`{"channels":["a","the board"],"data":"x"}`, `400 "the board" is no channel name`},
		{`{"channels":["a","a"],"data":"x"}`, "400 the line names channel a twice"},
		{`{"channels":[],"data":"x"}`, "400 the line names no channel"},
		{`{"data":"x"}`, "400 the line names no channel"},
		{`null`, "400 the line names no channel"},
		{`{"channel":"a","channels":["b"],"data":"x"}`, "400 the line has channel and channels"},
		{`{"channel":"a"}`, "400 the line has no message"},
		{`{"channel":"a","data":"x","base64":""}`, "400 the line has data and base64"},
		{`{"channel":"a","base64":"_w"}`, "400 base64 is not of RFC 4648"},
		{`{"channel":"a","data":"` + long + `"}`, "413 the message is longer than 100 bytes"},
		{`{"channel":"a","data":"` + strings.Repeat(long, 300) + `"}`, "413 the message is longer than 100 bytes"},
		{`{"channel":"a","data":"x","id":""}`, "400 id has 0 bytes"},
		{`{"channel":"a","data":"x","id":"` + strings.Repeat("x", 256) + `"}`, "400 id has 256 bytes"},
		{`{"channel":"a","data":"x","ttl":"90s"}`, "400 ttl: "},
		{`{"channel":"a","data":"x","ttl":1.5}`, "400 ttl: "},
		{`{"channel":"a","data":"x","time":1}`, `400 the line is not as it should be (json: unknown field "time"); write such as {"channel":"board","data":"text"}`},
		{`{"channel":"a","data":"x"`, "400 the line is not as it should be (unexpected EOF)"},
		{`{"channel":"a","data":"x"}{"channel":"a","data":"y"}`, "400 the line has more than one JSON value"},
		{`{"channel":"a","data":"x"} x`, "400 the line has more than one JSON value"},
		{"{\"channel\":\"a\",\"data\":\"\xff\"}", "400 the line is not UTF-8"},
		{"", "400 the line is empty"},
		{"hello", "400 the line is not as it should be"},
		{`{"channel":"b","data":"end","id":"e","ttl":90}`, ""},
		{`{"channels":["a","b"],"data":"end","id":"e"}` + "\r", ""},
	}
	var body strings.Builder
	for _, l := range lines {
		body.WriteString(l.line + "\n")
	}
	results := s.batch(strings.TrimSuffix(body.String(), "\n"), 200)
	if len(results) != len(lines) {
		t.Fatalf("%d answers to %d lines", len(results), len(lines))
	}
	for i, l := range lines {
		r := results[i]
		if l.says == "" && (r.Error != "" || r.Status != 0 || len(r.Positions) == 0) || !strings.HasPrefix(fmt.Sprint(r.Status, " ", r.Error), l.says) ||
			l.says != "" && r.Positions != nil {
			t.Errorf("%.60s: got %+v, want %s", l.line, r, l.says)
		}
	}
	if last := results[len(results)-1]; len(last.Positions) != 2 || !slices.Equal(last.Duplicates, []string{"b"}) || last.Positions["b"] != results[len(results)-2].Positions["b"] {
		t.Errorf("a duplicate in one of two channels: %+v", last)
	}
	for _, text := range []string{"text <&> é", `{"n":1.50,"list":[]}`, "null", "", "end"} {
		expect(t, a, websocket.TextMessage, text)
	}
	expect(t, b, websocket.TextMessage, `{"n":1.50,"list":[]}`)
	expect(t, b, websocket.BinaryMessage, "\xff\x00")
	expect(t, b, websocket.TextMessage, "end")
}

func TestBatch_KeepsTheOrderOfEachChannel(t *testing.T) {
	s := newService(t, Config{}, Endpoint{})
	const channels = 40
	var body strings.Builder
	for i := range maxBatchLines {
		fmt.Fprintf(&body, `{"channel":"c%d","data":%d}`+"\n", i%channels, i)
	}
	for i, r := range s.batch(body.String(), 200) {
		if r.Positions[fmt.Sprintf("c%d", i%channels)] == "" {
			t.Fatalf("line %d: %+v", i, r)
		}
	}
	for c := range channels {
		entries, err := s.broker.Last(t.Context(), fmt.Sprintf("c%d", c), maxBatchLines, 1<<20)
		if err != nil || len(entries) != maxBatchLines/channels {
			t.Fatalf("channel %d has %d, %v", c, len(entries), err)
		}
		for i, e := range entries {
			if want := fmt.Sprint(i*channels + c); string(e.Data) != want {
				t.Fatalf("channel %d: %s at the place of %s", c, e.Data, want)
			}
		}
	}
}

func TestBatch_LimitsEndItBehindWhatWasPublished(t *testing.T) {
	s := newService(t, Config{MaxMessage: 1 << 20}, Endpoint{})
	line := `{"channel":"a","data":"x"}` + "\n"
	results := s.batch(strings.Repeat(line, maxBatchLines+1), 400)
	if last := results[maxBatchLines]; len(results) != maxBatchLines+1 || results[maxBatchLines-1].Positions["a"] == "" || last.Status != 413 || !strings.Contains(last.Error, "more than 1000 lines") {
		t.Errorf("lines: %d answers, the last %+v", len(results), last)
	}
	large := `{"channel":"b","data":"` + strings.Repeat("x", 1<<20) + "\"}\n"
	results = s.batch(strings.Repeat(large, 17), 400)
	if last := results[len(results)-1]; len(results) != 16 || results[14].Positions["b"] == "" || last.Status != 413 || !strings.Contains(last.Error, "longer than 16777216 bytes") {
		t.Errorf("bytes: %d answers, the last %+v", len(results), last)
	}
	if head, err := s.broker.Head(t.Context(), "b"); err != nil || head.Last == 0 {
		t.Errorf("head %+v, %v", head, err)
	}
	many := make([]string, maxLineChannels+1)
	for i := range many {
		many[i] = fmt.Sprintf(`"c%d"`, i)
	}
	if r := s.batch(`{"channels":[`+strings.Join(many, ",")+`],"data":1}`, 200); r[0].Status != 400 || !strings.Contains(r[0].Error, "write at most 100") {
		t.Errorf("channels: %+v", r)
	}
	if r := s.batch(`{"channels":[`+strings.Join(many[1:], ",")+`],"data":1}`, 200); len(r[0].Positions) != maxLineChannels {
		t.Errorf("channels: %+v", r)
	}
	if r := s.batch("", 200); len(r) != 0 {
		t.Errorf("empty: %+v", r)
	}
	form := http.Header{"Authorization": {"Bearer " + testKey}, "Content-Type": {"multipart/form-data; boundary=x"}}
	s.callWith(form, "POST", "/publish", "--x--", 400)
}

func TestBatch_ABodyCutShortPublishesItsWholeLines(t *testing.T) {
	s := newService(t, Config{}, Endpoint{})
	conn, err := net.Dial("tcp", s.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /publish HTTP/1.1\r\nHost: x\r\nX-API-Key: %s\r\nContent-Length: 100\r\n\r\n%s\n{\"channel\":\"a\",\"data\":\"half", testKey, `{"channel":"a","data":"whole"}`)
	_ = conn.(*net.TCPConn).CloseWrite()
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	results := resultsOf(t, bodyOf(t, answer))
	if answer.StatusCode != 400 || len(results) != 2 || results[0].Positions["a"] == "" || !strings.Contains(results[1].Error, "could not be read to its end") {
		t.Errorf("%d %+v", answer.StatusCode, results)
	}
	entries, err := s.broker.Last(t.Context(), "a", 10, 1<<20)
	if err != nil || len(entries) != 1 || string(entries[0].Data) != "whole" {
		t.Errorf("stored %+v, %v", entries, err)
	}
}

func TestBatch_AFailedStoreIsToldPerLine(t *testing.T) {
	s := newService(t, Config{}, Endpoint{})
	if err := s.broker.Close(); err != nil {
		t.Fatal(err)
	}
	results := s.batch(`{"channel":"a","data":"x","id":"1"}`+"\n"+`{"channels":["a","b"],"data":"x"}`, 200)
	if results[0].Status != 503 || !strings.HasSuffix(results[0].Error, "try again with the same Idempotency-Key") || results[1].Status != 503 || len(results[1].Positions) != 0 || !strings.HasPrefix(results[1].Error, "a, b: ") {
		t.Errorf("got %+v", results)
	}
}

func FuzzBatchLine(f *testing.F) {
	for _, seed := range []string{
		`{"channel":"a","data":"text"}`, `{"channels":["a","b"],"data":{"a": [1, 2.0]},"id":"x","ttl":90}`, `{"channel":"a","base64":"/wA="}`,
		`{"channel":"a","data":null}`, `{"channel":"a","data":"\ud800"}`, `null`, `[]`, `{}`, `{"channel":"a","data":1}{}`, `{"channel":"a","data":1} `,
		`{"channel":"a","data":1e400}`, `{"CHANNEL":"a","Data":0}`, `{"channel":"a","data":1,"ttl":null}`, "\xff", "", strings.Repeat("[", 100),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		e, problem := parseBatchLine(line)
		if problem != "" {
			if len(problem) > 1000 || strings.ContainsAny(problem, "\r\n") {
				t.Errorf("%q", problem)
			}
			return
		}
		if !json.Valid(line) || len(e.channels) == 0 || len(e.channels) > maxLineChannels || slices.ContainsFunc(e.channels, func(c string) bool { return !validChannel(c) }) {
			t.Errorf("%q is %+v", line, e)
		}
		if e.message.Text && !utf8.Valid(e.message.Data) || len(e.message.ID) > MaxID || e.message.TTL < 0 {
			t.Errorf("%q is %+v", line, e)
		}
		// What it says can be written down again.
		again := map[string]any{"channels": e.channels, "base64": base64.StdEncoding.EncodeToString(e.message.Data)}
		if e.message.Text {
			again = map[string]any{"channels": e.channels, "data": string(e.message.Data)}
		}
		text, err := json.Marshal(again)
		if err != nil {
			t.Fatal(err)
		}
		other, problem := parseBatchLine(text)
		if problem != "" || other.message.Text != e.message.Text || !bytes.Equal(other.message.Data, e.message.Data) || !slices.Equal(other.channels, e.channels) {
			t.Errorf("%q is %+v, and %s is %+v, %s", line, e, text, other, problem)
		}
	})
}

func FuzzLineReader(f *testing.F) {
	f.Add([]byte("a\nbb\n\nccc"), 2)
	f.Add([]byte(strings.Repeat("x", 40)+"\ny\n"), 20)
	f.Add([]byte("\n"), 0)
	f.Fuzz(func(t *testing.T, body []byte, limit int) {
		if limit < 0 || limit > 1000 {
			return
		}
		want := bytes.Split(body, []byte("\n"))
		if len(want[len(want)-1]) == 0 {
			want = want[:len(want)-1]
		}
		in := &lineReader{in: bufio.NewReaderSize(iotest.OneByteReader(bytes.NewReader(body)), 16), limit: limit}
		for i, w := range want {
			line, err := in.next()
			if long := len(w) > limit; long != errors.Is(err, errLongLine) || !long && (err != nil || !bytes.Equal(line, w)) {
				t.Fatalf("line %d: %q, %v, want %q", i, line, err, w)
			}
		}
		if line, err := in.next(); err != io.EOF {
			t.Fatalf("behind the end: %q, %v", line, err)
		}
	})
}

// BenchmarkPublishBatch is what a line of a full batch costs, without a
// connection.
func BenchmarkPublishBatch(b *testing.B) {
	hub, err := New(Config{}, nil, nil)
	if err != nil {
		b.Fatal(err)
	}
	api := hub.PublishAPI(testKey)
	var body strings.Builder
	for i := range maxBatchLines {
		fmt.Fprintf(&body, `{"channel":"user.%d","data":"%s"}`+"\n", i%100, strings.Repeat("x", 100))
	}
	b.ReportAllocs()
	for b.Loop() {
		request := httptest.NewRequest("POST", "/publish", strings.NewReader(body.String()))
		request.Header.Set("Authorization", "Bearer "+testKey)
		answer := httptest.NewRecorder()
		if api.ServeHTTP(answer, request); answer.Code != 200 {
			b.Fatal(answer.Body)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*maxBatchLines), "ns/line")
}
