package http1

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

type parser interface {
	Parse(buf []byte, lim Limits) (int, error)
}

// checkVerdict feeds the head whole, and byte by byte in a buffer that is never
// twice at the same place, with bytes behind it that are none of its own.
func checkVerdict(t *testing.T, v verdict, newParser func() parser) {
	t.Helper()
	shown := v.raw[:min(len(v.raw), 90)]
	const behind = "GET /next HTTP/1.1\r\n"
	n, err := newParser().Parse([]byte(v.raw+behind), Limits{})
	switch {
	case statusOf(err) != v.status:
		t.Errorf("%s: %q: %v (status %d), want status %d", v.section, shown, err, statusOf(err), v.status)
	case err == nil && n != len(v.raw):
		t.Errorf("%s: %q: length %d, want %d", v.section, shown, n, len(v.raw))
	}

	dripped, drippedN, drippedErr := drip(newParser(), v.raw+behind)
	if statusOf(drippedErr) != statusOf(err) || drippedN != n {
		t.Errorf("%s: %q: byte by byte %d, %v; at once %d, %v", v.section, shown, drippedN, drippedErr, n, err)
	}
	if err != nil && err.Error() == "" {
		t.Errorf("%s: %q: refused without a reason", v.section, shown)
	}
	if err == nil && dripped != len(v.raw) {
		t.Errorf("%s: %q: byte by byte known after %d bytes, want %d", v.section, shown, dripped, len(v.raw))
	}
}

// drip gives a parser one byte more each time. after is how many it had when
// it came to its verdict.
func drip(p parser, raw string) (after, n int, err error) {
	room := [2][]byte{make([]byte, len(raw)), make([]byte, len(raw))}
	for after = 1; after <= len(raw) && n == 0 && err == nil; after++ {
		buf, old := room[after%2][:after], room[(after+1)%2]
		copy(buf, raw)
		// A parser that kept something of the last call reads this.
		clear(old)
		n, err = p.Parse(buf, Limits{})
	}
	return after - 1, n, err
}

func statusOf(err error) int {
	var refused *Error
	if errors.As(err, &refused) {
		return refused.Status
	}
	return 0
}

func TestRequest_TellsTheMeaningOfAHead(t *testing.T) {
	const raw = "POST http://A.example:80/a%20b?c=d?e HTTP/1.1\r\nhost: a.Example:80\r\nX-Thing:  one  two\t\r\n" +
		"Expect: 100-continue\r\nConnection: x , Close\r\nContent-Length: 12\r\n\r\n"
	var r Request
	r.Reset()
	n, err := r.Parse([]byte(raw+"body"), Limits{})
	if err != nil || n != len(raw) {
		t.Fatal(n, err)
	}
	for _, c := range [][2]string{
		{string(r.Method), "POST"}, {string(r.Target), "http://A.example:80/a%20b?c=d?e"}, {string(r.Path), "/a%20b"},
		{string(r.Query), "c=d?e"}, {string(r.HostValue), "A.example:80"},
		{string(r.Fields[1].Name), "X-Thing"}, {string(r.Fields[1].Value), "one  two"},
	} {
		if c[0] != c[1] {
			t.Errorf("got %q, want %q", c[0], c[1])
		}
	}
	if r.Minor != 1 || !r.HasQuery || r.ContentLength != 12 || r.Chunked || !r.Close || !r.ExpectContinue || r.Framing() != Length {
		t.Errorf("%+v", r)
	}
	if len(r.Fields) != 5 || r.Fields[0].Known != Host || r.Fields[1].Known != Other {
		t.Errorf("fields: %v", r.Fields)
	}
}

func TestRequest_ResetForgetsTheLast(t *testing.T) {
	var r Request
	parse := func(raw string) {
		t.Helper()
		r.Reset()
		if n, err := r.Parse([]byte(raw), Limits{}); err != nil || n != len(raw) {
			t.Fatal(n, err)
		}
	}
	parse("PUT /a?b HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n")
	if !r.Chunked || !r.Close || !r.HasQuery || !r.ExpectContinue || r.Framing() != ChunkedBody {
		t.Fatalf("%+v", r)
	}
	parse("GET / HTTP/1.1\r\nHost: b\r\n\r\n")
	if r.Chunked || r.Close || r.HasQuery || r.ExpectContinue || r.Query != nil || r.ContentLength != -1 ||
		r.Framing() != NoBody || len(r.Fields) != 1 || string(r.HostValue) != "b" {
		t.Errorf("%+v", r)
	}
}

func TestRequest_Targets(t *testing.T) {
	for _, c := range []struct {
		method, target, path, query string
		hasQuery                    bool
	}{
		{"GET", "/", "/", "", false},
		{"GET", "/?", "/", "", true},
		{"GET", "//x/../y", "//x/../y", "", false},
		{"GET", "http://a", "/", "", false},
		{"GET", "http://a?q", "/", "q", true},
		{"GET", "https://a/b?", "/b", "", true},
		{"OPTIONS", "*", "*", "", false},
		{"OPTIONS", "http://a", "*", "", false},
		{"OPTIONS", "http://a?", "/", "", true},
		{"OPTIONS", "http://a/", "/", "", false},
	} {
		var r Request
		if _, err := r.Parse([]byte(c.method+" "+c.target+" HTTP/1.1\r\nHost: a\r\n\r\n"), Limits{}); err != nil {
			t.Errorf("%s %s: %v", c.method, c.target, err)
			continue
		}
		if string(r.Path) != c.path || string(r.Query) != c.query || r.HasQuery != c.hasQuery {
			t.Errorf("%s %s: %q, %q, %v", c.method, c.target, r.Path, r.Query, r.HasQuery)
		}
	}
}

func TestRequest_WhetherTheConnectionStays(t *testing.T) {
	for _, c := range []struct {
		minor, connection string
		close             bool
	}{
		{"1", "", false},
		{"1", "Connection: keep-alive\r\n", false},
		{"1", "Connection: close\r\n", true},
		{"1", "Connection: upgrade,\tCLOSE ,\r\n", true},
		{"1", "Connection: a\r\nConnection: close\r\n", true},
		{"1", "Connection: closed, not-close\r\n", false},
		{"0", "", true},
		{"0", "Connection: Keep-Alive\r\n", false},
		{"0", "Connection: keep-alive, close\r\n", true},
	} {
		var request Request
		if _, err := request.Parse([]byte("GET / HTTP/1."+c.minor+"\r\nHost: a\r\n"+c.connection+"\r\n"), Limits{}); err != nil {
			t.Fatal(err)
		}
		var response Response
		if _, err := response.Parse([]byte("HTTP/1."+c.minor+" 200 OK\r\n"+c.connection+"\r\n"), Limits{}); err != nil {
			t.Fatal(err)
		}
		if request.Close != c.close || response.Close != c.close {
			t.Errorf("HTTP/1.%s %q: request %v, response %v, want %v", c.minor, c.connection, request.Close, response.Close, c.close)
		}
	}
}

func TestRequest_ExpectationCountsOnlyWithABodyAndHTTP11(t *testing.T) {
	for raw, want := range map[string]bool{
		post + "Content-Length: 1\r\nExpect: 100-continue\r\n\r\n":                        true,
		post + "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n":               true,
		post + "Content-Length: 0\r\nExpect: 100-continue\r\n\r\n":                        false,
		post + "Expect: 100-continue\r\n\r\n":                                             false,
		"POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n": false,
	} {
		var r Request
		if _, err := r.Parse([]byte(raw), Limits{}); err != nil || r.ExpectContinue != want {
			t.Errorf("%q: %v, %v", raw, r.ExpectContinue, err)
		}
	}
}

// What a slow sender sent is not read again with each byte: here it changes
// behind the parser's back, which only sees it when the end has come.
func TestParse_AHeadThatComesInPartsIsNotReadAgain(t *testing.T) {
	var chunks Chunks
	chunks.Reset(Limits{})
	if _, n, _, err := chunks.Next([]byte("0\r\n")); n != 3 || err != nil {
		t.Fatal(n, err)
	}
	trailer := func(buf []byte, _ Limits) (int, error) {
		_, n, _, err := chunks.Next(buf)
		return n, err
	}
	for name, c := range map[string]struct {
		parse       func([]byte, Limits) (int, error)
		first, line string
	}{
		"request":  {new(Request).Parse, get, "X: y\r\n"},
		"response": {new(Response).Parse, ok, "X: y\r\n"},
		"trailer":  {trailer, "A: b\r\n", "X: y\r\n"},
	} {
		if n, err := c.parse([]byte(c.first), Limits{}); n != 0 || err != nil {
			t.Fatal(name, n, err)
		}
		spoiled := strings.Repeat("(", len(c.first)-2) + "\r\n"
		if n, err := c.parse([]byte(spoiled+c.line), Limits{}); n != 0 || err != nil {
			t.Errorf("%s: what was there before is read again: %d, %v", name, n, err)
		}
		if n, err := c.parse([]byte(spoiled+c.line+"\r\n"), Limits{}); n != 0 || statusOf(err) == 0 {
			t.Errorf("%s: with its end there, it is not read: %d, %v", name, n, err)
		}
	}
}

func TestRequest_EndlessLineIsRefusedBeforeTheHeadIsFull(t *testing.T) {
	after, _, err := drip(new(Request), "GET /"+strings.Repeat("a", 20<<10))
	if statusOf(err) != 414 || after > 9<<10 {
		t.Errorf("after %d bytes: %v", after, err)
	}
}

func TestRequest_ResetLetsTheBufferGo(t *testing.T) {
	var r Request
	if _, err := r.Parse([]byte(get+"\r\n"), Limits{}); err != nil {
		t.Fatal(err)
	}
	r.Reset()
	if f := r.Fields[:1][0]; f.Name != nil || f.Value != nil {
		t.Errorf("a slice of a buffer that may be gone: %q", f)
	}
}

func TestResponse_Framing(t *testing.T) {
	for _, c := range []struct {
		head string
		get  Framing
	}{
		{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", Length},
		{"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Length},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", ChunkedBody},
		{"HTTP/1.1 200 OK\r\n\r\n", UntilClose},
		{"HTTP/1.0 404 Not Found\r\n\r\n", UntilClose},
		{"HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n", NoBody},
		{"HTTP/1.1 103 Early Hints\r\n\r\n", NoBody},
		{"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", NoBody},
		{"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", NoBody},
		{"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", NoBody},
	} {
		var r Response
		r.Reset()
		if _, err := r.Parse([]byte(c.head), Limits{}); err != nil {
			t.Errorf("%q: %v", c.head, err)
			continue
		}
		if got := r.Framing(false); got != c.get {
			t.Errorf("%q: framing %d, want %d", c.head, got, c.get)
		}
		if got := r.Framing(true); got != NoBody {
			t.Errorf("%q as the answer to HEAD: framing %d", c.head, got)
		}
	}
}

func TestResponse_TellsTheMeaningOfAHead(t *testing.T) {
	const raw = "HTTP/1.1 404 Not here\r\nContent-Length: 7, 7\r\ncontent-length: 7\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\n"
	var r Response
	if n, err := r.Parse([]byte(raw), Limits{}); err != nil || n != len(raw) {
		t.Fatal(n, err)
	}
	value, count := Get(r.Fields, SetCookie)
	if r.Minor != 1 || r.Status != 404 || string(r.Reason) != "Not here" || r.ContentLength != 7 || r.Close ||
		string(value) != "a" || count != 2 {
		t.Errorf("%+v", r)
	}
	if _, count := Get(r.Fields, Date); count != 0 {
		t.Errorf("%d Date fields", count)
	}
}

func TestParse_LimitsAreTheCallers(t *testing.T) {
	lim := Limits{Head: 100, Fields: 2, Target: 10}
	for _, c := range []struct {
		raw    string
		status int
	}{
		{"GET /123456789 HTTP/1.1\r\nHost: a\r\nX: b\r\n\r\n", 0},
		{"GET /1234567890 HTTP/1.1\r\nHost: a\r\n\r\n", 414},
		{"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\nX: c\r\n\r\n", 431},
		{"GET / HTTP/1.1\r\nHost: a\r\nX: " + string(bytes.Repeat([]byte("x"), 80)) + "\r\n\r\n", 431},
		{"GET /" + string(bytes.Repeat([]byte("x"), 80)), 414},
	} {
		var r Request
		if _, err := r.Parse([]byte(c.raw), lim); statusOf(err) != c.status {
			t.Errorf("%q: %v, want status %d", c.raw, err, c.status)
		}
	}
}

func TestLookup_KnowsEveryNameInAnyCase(t *testing.T) {
	for k := Other + 1; k < knownEnd; k++ {
		name := k.String()
		if name == "" || Lookup(name) != k || Lookup(bytes.ToUpper([]byte(name))) != k || Lookup(bytes.ToLower([]byte(name))) != k {
			t.Errorf("%d %q: %d", k, name, Lookup(name))
		}
		var f Field
		if _, err := f.parse([]byte(strings.ToUpper(name)+":"+strings.Repeat("a", 32)+"\r\n"), 0); err != nil || f.Known != k {
			t.Errorf("a field %q: %d, %v", name, f.Known, err)
		}
		if Lookup(name+"x") != Other || Lookup(name[1:]) == k {
			t.Errorf("a name like %q is taken for it", name)
		}
	}
	for _, name := range []string{"", "Hos", "Host\x00", "Content_Length", "\x00ost", "X-Something-Much-Longer-Than-Any-Known"} {
		if k := Lookup(name); k != Other {
			t.Errorf("%q: %v", name, k)
		}
	}
	var f Field
	if _, err := f.parse([]byte("X-"+strings.Repeat("y", 2*longestKnown)+": a\r\n"), 0); err != nil || f.Known != Other {
		t.Errorf("a long name: %v, %v", f.Known, err)
	}
	if Other.String() != "" || Known(255).String() != "" {
		t.Error("a name where there is none")
	}
}

func TestNextItem_WalksAList(t *testing.T) {
	var got []string
	for list := []byte(" a ,,\tb\t, c"); list != nil; {
		var item []byte
		item, list = NextItem(list)
		got = append(got, string(item))
	}
	if want := []string{"a", "", "b", "c"}; len(got) != 4 || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] || got[3] != want[3] {
		t.Errorf("%q", got)
	}
}

func TestControl_FindsEachByteAtEachPlace(t *testing.T) {
	for c := range 256 {
		want := c < ' ' || c == 0x7f
		for at := range 24 {
			b := bytes.Repeat([]byte{0x80}, 24)
			b[at] = byte(c)
			got := control(b, 0)
			if want && got != at || !want && got != len(b) {
				t.Fatalf("byte %#x at %d: %d", c, at, got)
			}
			if at > 0 && control(b, at+1) != len(b) {
				t.Fatalf("byte %#x at %d is found behind it", c, at)
			}
		}
	}
}

// A caller may parse before it has read anything. What then begins as no
// message does is refused all the same, and not waited for until it is as long
// as a head may be.
func TestParse_AskedBeforeTheFirstByteStillSeesWhatIsNoHTTP(t *testing.T) {
	var q Request
	q.Reset()
	if n, err := q.Parse(nil, Limits{}); n != 0 || err != nil {
		t.Fatalf("a request of no bytes: %d, %v", n, err)
	}
	if _, err := q.Parse([]byte("\x16\x03\x01\x00\x05"), Limits{}); err == nil {
		t.Error("a TLS handshake is waited for as a request")
	}
	for _, text := range []string{"220 mail.test ESMTP\r\n", "\x15\x03\x01\x00\x02\x02\x46"} {
		var r Response
		r.Reset()
		if n, err := r.Parse(nil, Limits{}); n != 0 || err != nil {
			t.Fatalf("an answer of no bytes: %d, %v", n, err)
		}
		if _, err := r.Parse([]byte(text), Limits{}); err == nil {
			t.Errorf("%q is waited for as an answer", text)
		}
	}
}
