package pusher

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

func TestPublishAPI_Answers(t *testing.T) {
	s := newService(t, Config{MaxMessage: 100}, Endpoint{Channel: "board"})
	c := s.dial("/websocket")
	bearer := func(key string) http.Header { return http.Header{"Authorization": {"Bearer " + key}} }
	with := func(header http.Header, key, value string) http.Header {
		header = header.Clone()
		header.Set(key, value)
		return header
	}
	typed := func(contentType string) http.Header { return with(bearer(testKey), "Content-Type", contentType) }
	long := strings.Repeat("x", 101)
	const sent = `{"channel":"board","subscribers":1,"position":"E.S"}` + "\n"
	const text, binary = websocket.TextMessage, websocket.BinaryMessage
	for _, r := range []struct {
		name, method, path string
		header             http.Header
		body               string
		status             int
		answer             string
		receives           int // type of the message that arrives, 0: none
	}{
		{"no type", "POST", "/channels/board", bearer(testKey), "hé", 200, sent, text},
		{"empty", "POST", "/channels/board", bearer(testKey), "", 200, sent, text},
		{"as long as may be", "POST", "/channels/board", bearer(testKey), long[1:], 200, sent, text},
		{"other header", "POST", "/channels/board", http.Header{"X-Api-Key": {testKey}}, "hi", 200, sent, text},
		{"scheme in another case", "POST", "/channels/board", http.Header{"Authorization": {"bearer " + testKey}}, "hi", 200, sent, text},
		{"plain text", "POST", "/channels/board", typed("Text/Plain; charset=utf-8"), "hi", 200, sent, text},
		{"JSON", "POST", "/channels/board", typed("application/json"), `{"a": 1}`, 200, sent, text},
		{"a kind of JSON", "POST", "/channels/board", typed("application/problem+json"), `{}`, 200, sent, text},
		{"curl -d", "POST", "/channels/board", typed("application/x-www-form-urlencoded"), `a=b&c=%20`, 200, sent, text},
		{"binary", "POST", "/channels/board", typed("application/octet-stream"), "\xff\x00", 200, sent, binary},
		{"image", "POST", "/channels/board", typed("image/png"), "\x89PNG", 200, sent, binary},
		{"nobody listens", "POST", "/channels/other", bearer(testKey), "hi", 200, `{"channel":"other","subscribers":0,"position":"E.S"}` + "\n", 0},

		{"no key", "POST", "/channels/board", nil, "hi", 401, `no key; send "Authorization: Bearer KEY" with the publish key`, 0},
		{"empty key", "POST", "/channels/board", bearer(""), "hi", 401, `no key; send "Authorization: Bearer KEY" with the publish key`, 0},
		{"wrong key", "POST", "/channels/board", bearer(testKey + "x"), "hi", 401, "wrong key; send the one that is in this service's key file", 0},
		{"wrong scheme", "POST", "/channels/board", http.Header{"Authorization": {"Basic " + testKey}}, "hi", 401, `the Authorization header is not of the form "Authorization: Bearer KEY"`, 0},
		{"wrong path and no key", "POST", "/channels/", nil, "hi", 401, `no key; send "Authorization: Bearer KEY" with the publish key`, 0},
		{"no channel", "POST", "/channels/", bearer(testKey), "hi", 404, "nothing here; publish by POST /channels/NAME with the message as the body", 0},
		{"PUT", "PUT", "/channels/board", bearer(testKey), "hi", 405, "this path takes GET, POST; a message is published by POST /channels/NAME, as the body", 0},
		{"bad channel", "POST", "/channels/the%20board", bearer(testKey), "hi", 400, `"the board" is no channel name; write 1 to 164 letters (a-z), digits or any of _-=@,.;:`, 0},
		{"channel with a slash", "POST", "/channels/a/b", bearer(testKey), "hi", 400, `"a/b" is no channel name; write 1 to 164 letters (a-z), digits or any of _-=@,.;:`, 0},
		{"text that is not UTF-8", "POST", "/channels/board", typed("text/plain; charset=latin1"), "h\xe9", 400, "the message is not UTF-8, and text must be; send it as UTF-8, or as a binary message with Content-Type: application/octet-stream", 0},
		{"form", "POST", "/channels/board", typed("multipart/form-data; boundary=x"), "--x--", 400, "this is an uploaded form; send the message itself as the body (curl --data-binary @-)", 0},
		{"too long", "POST", "/channels/board", bearer(testKey), long, 413, "the message is longer than 100 bytes; send less, or raise max_message", 0},
	} {
		for _, length := range []string{"", " without a length"} {
			t.Run(r.name+length, func(t *testing.T) {
				var body io.Reader = strings.NewReader(r.body)
				if length != "" {
					body = struct{ io.Reader }{body} // sent in chunks
				}
				request, err := http.NewRequest(r.method, s.server.URL+r.path, body)
				if err != nil {
					t.Fatal(err)
				}
				if r.header != nil {
					request.Header = r.header.Clone()
				}
				answer, err := s.server.Client().Do(request)
				if err != nil {
					t.Fatal(err)
				}
				want := r.answer
				if r.status != 200 {
					want = answer.Status + ": " + want + "\n"
				}
				if got := withoutEpoch(bodyOf(t, answer)); answer.StatusCode != r.status || got != want {
					t.Errorf("got %d %q, want %d %q", answer.StatusCode, got, r.status, want)
				}
				for status, key := range map[int]string{401: "WWW-Authenticate", 405: "Allow"} {
					if got := answer.Header.Get(key); (got != "") != (r.status == status) {
						t.Errorf("%s: %q", key, got)
					}
				}
				if r.receives != 0 {
					expect(t, c, r.receives, r.body)
				}
			})
		}
	}
	s.publishText("board", "end")
	expect(t, c, websocket.TextMessage, "end") // and nothing in between
	s.log.await(t, EventRefused, "WARN status=401", "path=/channels/board")
	for _, line := range s.log.find(EventRefused) {
		if strings.Contains(line, testKey) {
			t.Errorf("a key is in the log: %s", line)
		}
	}
}

// withoutEpoch has E.S in place of each token.
func withoutEpoch(text string) string {
	return regexp.MustCompile(`\b[a-z0-9]{8}\.\d+`).ReplaceAllString(text, "E.S")
}

func TestPublishAPI_EmptyKeyAdmitsNobody(t *testing.T) {
	hub, err := New(Config{}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, header := range []http.Header{{}, {"X-Api-Key": {""}}, {"Authorization": {"Bearer "}}, {"Authorization": {"Bearer"}}} {
		api := hub.PublishAPI("").(*publishAPI)
		if key, problem := api.authorize(&http.Request{Header: header}); key != nil || problem == "" {
			t.Errorf("%v was admitted", header)
		}
	}
}

func TestPublishAPI_BodyCutShortIsNotPublished(t *testing.T) {
	s := newService(t, Config{}, Endpoint{Channel: "board"})
	api := s.PublishAPI(testKey).(*publishAPI)
	for _, length := range []int64{100, -1} {
		r := &http.Request{ContentLength: length, Body: io.NopCloser(io.MultiReader(bytes.NewReader([]byte("half")), cutShort{}))}
		if _, refused := api.readBody(r); refused == nil || refused.status != http.StatusBadRequest {
			t.Errorf("length %d: got %v, want 400", length, refused)
		}
	}
}

func TestPublishAPI_AnnouncedLengthIsNotBelieved(t *testing.T) {
	s := newService(t, Config{}, Endpoint{Channel: "board"})
	api := s.PublishAPI(testKey).(*publishAPI)
	r := &http.Request{ContentLength: 1 << 60, Body: http.NoBody}
	if _, refused := api.readBody(r); refused == nil || refused.status != http.StatusRequestEntityTooLarge {
		t.Errorf("got %v, want 413", refused)
	}
}

type cutShort struct{}

func (cutShort) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func FuzzBodyKind(f *testing.F) {
	for _, seed := range []string{
		"", "text/plain", "text/html; charset=ISO-8859-1", "application/json", "Application/JSON;charset=UTF-8",
		"application/ld+json", "application/atom+xml", "application/xml", "application/x-www-form-urlencoded",
		"multipart/form-data; boundary=----x", "application/octet-stream", "image/svg+xml", ";", " text/plain ", "+json",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, contentType string) {
		got := bodyKind(contentType)
		if other := bodyKind(contentType + "; charset=utf-8"); other != got {
			t.Errorf("%q: a parameter turns %d into %d", contentType, got, other)
		}
		media, _, err := mime.ParseMediaType(contentType)
		if err != nil {
			return
		}
		want := bodyBinary
		switch {
		case media == "multipart/form-data":
			want = bodyForm
		case media == "application/json", media == "application/xml", media == "application/x-www-form-urlencoded",
			strings.HasPrefix(media, "text/"), strings.HasSuffix(media, "+json"), strings.HasSuffix(media, "+xml"):
			want = bodyText
		}
		if got != want {
			t.Errorf("%q (%s): %d, want %d", contentType, media, got, want)
		}
	})
}

func FuzzChannelName(f *testing.F) {
	for _, seed := range []string{"board", "a-b_c=d@e,f.g;h:i", "", "a/b", "..", ".", "%2e", "a b", "é", "\x00", strings.Repeat("x", 164), strings.Repeat("x", 165), `a"b`, "a?b", "a#b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if !validChannel(name) {
			if problem := channelProblem(name); len(problem) > 1000 || strings.ContainsAny(problem, "\r\n") {
				t.Errorf("%q", problem)
			}
			return
		}
		// A valid name stands as it is in the API's JSON and in its URL.
		quoted, err := json.Marshal(name)
		if err != nil || string(quoted) != `"`+name+`"` {
			t.Errorf("%q in JSON is %s, %v", name, quoted, err)
		}
		request, err := http.NewRequest("POST", "http://localhost/channels/"+name, nil)
		if err != nil || request.URL.Path != "/channels/"+name {
			t.Errorf("%q in a URL: %v, %v", name, request, err)
		}
	})
}
