package pusher

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

// call asks the publish API with a key, and wants a status.
func (s *service) call(key, method, path, body string, status int) string {
	s.t.Helper()
	return s.callWith(http.Header{"Authorization": {"Bearer " + key}}, method, path, body, status)
}

func (s *service) callWith(header http.Header, method, path, body string, status int) string {
	s.t.Helper()
	request, err := http.NewRequest(method, s.server.URL+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header = header
	answer, err := s.server.Client().Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	text := bodyOf(s.t, answer)
	if answer.StatusCode != status {
		s.t.Fatalf("%s %s: got %d %s, want %d", method, path, answer.StatusCode, text, status)
	}
	return text
}

// get asks with testKey and reads JSON.
func get[T any](s *service, path string) (v T) {
	s.t.Helper()
	text := s.call(testKey, "GET", path, "", 200)
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		s.t.Fatalf("%s: %v in %s", path, err, text)
	}
	return v
}

func TestPublishAPI_IdempotencyKeyAndTTL(t *testing.T) {
	s := newService(t, Config{}, Endpoint{Channel: "board"})
	const taken = `{"channel":"board","subscribers":0,"position":"E.S"}` + "\n"
	const again = `{"channel":"board","subscribers":0,"position":"E.S","duplicate":true}` + "\n"
	long := strings.Repeat("x", MaxID+1)
	for _, c := range []struct {
		name   string
		header http.Header
		status int
		want   string
	}{
		{"first", http.Header{"Idempotency-Key": {"a"}}, 200, taken},
		{"again", http.Header{"Idempotency-Key": {"a"}}, 200, again},
		{"another", http.Header{"Idempotency-Key": {long[1:]}}, 200, taken},
		{"empty", http.Header{"Idempotency-Key": {""}}, 400, "write 1 to 255 characters"},
		{"two", http.Header{"Idempotency-Key": {"b", "c"}}, 400, "is to have one value"},
		{"too long", http.Header{"Idempotency-Key": {long}}, 400, "it has 256 bytes, at most 255 are allowed; write a shorter one"},
		{"TTL", http.Header{"Ttl": {"90"}}, 200, taken},
		{"TTL with a unit", http.Header{"Ttl": {"1m30s"}}, 400, `TTL: "1m30s" is no number of seconds; write 90`},
		{"empty TTL", http.Header{"Ttl": {""}}, 400, `TTL: "" is no number of seconds; write digits alone, such as 90`},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.header.Set("Authorization", "Bearer "+testKey)
			got := withoutEpoch(s.callWith(c.header, "POST", "/channels/board", "hi", c.status))
			if got != c.want && (c.status == 200 || !strings.Contains(got, c.want)) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	last, err := s.broker.Last(t.Context(), "board", 1, 1<<20)
	if err != nil || len(last) != 1 || last[0].Expires.Sub(last[0].Time).Seconds() != 90 {
		t.Errorf("stored %+v, %v, want one that expires in 90s", last, err)
	}
}

func TestPublishAPI_AFailedStoreSaysWhetherToTryAgain(t *testing.T) {
	s := newService(t, Config{}, Endpoint{Channel: "board"})
	if err := s.broker.Close(); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]string{"": "which an Idempotency-Key with the first try prevents", "a": "try again with the same Idempotency-Key"} {
		header := http.Header{"Authorization": {"Bearer " + testKey}}
		if id != "" {
			header.Set("Idempotency-Key", id)
		}
		request, _ := http.NewRequest("POST", s.server.URL+"/channels/board", strings.NewReader("hi"))
		request.Header = header
		answer, err := s.server.Client().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		if text := bodyOf(t, answer); answer.StatusCode != 503 || answer.Header.Get("Retry-After") != "1" || !strings.Contains(text, want) {
			t.Errorf("%d %v %s", answer.StatusCode, answer.Header, text)
		}
	}
	for _, path := range []string{"/channels", "/channels/board"} {
		s.call(testKey, "GET", path, "", 503)
	}
	s.call(testKey, "DELETE", "/channels/board/history", "", 503)
}

func TestPublishAPI_AFullStoreIs507(t *testing.T) {
	s := newService(t, Config{}, Endpoint{Channel: "board"})
	api := s.PublishAPI(testKey).(*publishAPI)
	if f := api.refusalOf(io.ErrShortWrite, "a"); f.status != 503 {
		t.Errorf("got %+v", f)
	}
	if f := api.refusalOf(ErrStoreFull, "a"); f.status != 507 {
		t.Errorf("got %+v", f)
	}
}

func TestRoute_PathsAndMethods(t *testing.T) {
	for _, c := range []struct{ method, path, allow string }{
		{"GET", "/", ""}, {"GET", "", ""}, {"GET", "*", ""}, {"POST", "/channel/board", ""}, {"POST", "/clients/", ""}, {"POST", "/channels/", ""},
		{"POST", "/channels", "GET"}, {"GET", "/publish", "POST"}, {"POST", "/channels/board/history", "DELETE"},
		{"DELETE", "/channels/board/presence", "GET"}, {"DELETE", "/channels/board", "GET, POST"}, {"GET", "/clients/7", "DELETE"}, {"POST", "/users/ann", "DELETE"},
	} {
		if serve, allow := route(c.method, c.path); serve != nil || allow != c.allow {
			t.Errorf("%s %s: served %t, allow %q, want %q", c.method, c.path, serve != nil, allow, c.allow)
		}
	}
}

func FuzzTTL(f *testing.F) {
	for _, seed := range []string{"0", "1", "90", "90s", "1m30s", `"90"`, "-1", "+1", " 1", "1.5", "1e3", "", "3153600000", "3153600001", "18446744073709551616", "0x10", "1_000", "٣"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ttl, problem := parseTTL(text)
		digits := text != "" && strings.Trim(text, "0123456789") == ""
		switch {
		case problem == "" && (!digits || ttl <= 0 || ttl > maxTTL):
			t.Errorf("%q is %v", text, ttl)
		case problem != "" && (ttl != 0 || digits && strings.TrimLeft(text, "0") < "1" || len(problem) > 500):
			t.Errorf("%q: %v, %s", text, ttl, problem)
		}
	})
}
