package http1

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
)

// readBody takes a body out of r.
func readBody(b *Body) (data string, err error) {
	for {
		piece, err := b.Next()
		if err != nil {
			return data, err
		}
		if len(piece) == 0 {
			return data, fmt.Errorf("an empty piece")
		}
		data += string(piece)
	}
}

// readHead takes the next head out of r.
func readHead(t *testing.T, r *Reader, p parser) {
	t.Helper()
	for {
		n, err := p.Parse(r.Buffered(), Limits{})
		if n > 0 {
			r.Discard(n)
			return
		}
		if err == nil {
			err = r.Fill()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestBody_EndsWhereItsFramingSays(t *testing.T) {
	for _, c := range []struct {
		name, raw      string
		framing        Framing
		length         int64
		want           string
		err            error
		behind, inTail string
	}{
		{"none", "GET", NoBody, 7, "", io.EOF, "GET", ""},
		{"length 0", "GET", Length, 0, "", io.EOF, "GET", ""},
		{"length", "HelloGET", Length, 5, "Hello", io.EOF, "GET", ""},
		{"length, cut", "Hell", Length, 5, "Hell", io.ErrUnexpectedEOF, "", ""},
		{"chunks", "5\r\nHello\r\n0\r\n\r\nGET", ChunkedBody, -1, "Hello", io.EOF, "GET", ""},
		{"chunks and trailer", "5\r\nHello\r\n0\r\nX: a\r\n\r\nGET", ChunkedBody, -1, "Hello", io.EOF, "GET", "X"},
		{"no chunk", "0\r\n\r\nGET", ChunkedBody, -1, "", io.EOF, "GET", ""},
		{"chunks, cut in data", "5\r\nHell", ChunkedBody, -1, "Hell", io.ErrUnexpectedEOF, "", ""},
		{"chunks, cut behind data", "5\r\nHello\r\n", ChunkedBody, -1, "Hello", io.ErrUnexpectedEOF, "", ""},
		{"chunks, cut in the end", "5\r\nHello\r\n0\r\n", ChunkedBody, -1, "Hello", io.ErrUnexpectedEOF, "", ""},
		{"until close", "Hello", UntilClose, -1, "Hello", io.EOF, "", ""},
	} {
		for _, drip := range []bool{false, true} {
			t.Run(fmt.Sprint(c.name, ", byte by byte ", drip), func(t *testing.T) {
				var src io.Reader = strings.NewReader(c.raw)
				if drip {
					src = iotest.OneByteReader(src)
				}
				var r Reader
				r.Reset(src)
				defer r.Reset(nil)
				var b Body
				b.Reset(&r, c.framing, c.length, Limits{})
				got, err := readBody(&b)
				if got != c.want || err != c.err {
					t.Errorf("%q, %v; want %q, %v", got, err, c.want, c.err)
				}
				if done := b.Done(); done != (c.err == io.EOF) || done && b.Left() != 0 {
					t.Errorf("done %v, left %d", done, b.Left())
				}
				if (len(b.Trailer) == 1) != (c.inTail != "") {
					t.Errorf("trailer %v", b.Trailer)
				}
				for r.Fill() == nil { // the rest of what comes byte by byte
				}
				if string(r.Buffered()) != c.behind {
					t.Errorf("%q lies behind, want %q", r.Buffered(), c.behind)
				}
			})
		}
	}
}

func TestBody_MalformedIsAnError(t *testing.T) {
	var r Reader
	r.Reset(strings.NewReader("5\r\nHelloX"))
	defer r.Reset(nil)
	var b Body
	b.Reset(&r, ChunkedBody, -1, Limits{})
	got, err := readBody(&b)
	if got != "Hello" || statusOf(err) != http.StatusBadRequest || b.Done() {
		t.Errorf("%q, %v, done %v", got, err, b.Done())
	}
}

func TestBody_TrailerLargerThanTheBufferIsRefused(t *testing.T) {
	var r Reader
	r.Reset(strings.NewReader("0\r\nX: " + strings.Repeat("a", 2*BufferSize)))
	defer r.Reset(nil)
	var b Body
	b.Reset(&r, ChunkedBody, -1, Limits{Head: 4 * BufferSize})
	if _, err := readBody(&b); statusOf(err) != http.StatusRequestHeaderFieldsTooLarge {
		t.Error(err)
	}
}

func TestBody_EndIsKnownWithTheLastPiece(t *testing.T) {
	for _, raw := range []string{"5\r\nHello\r\n0\r\n\r\n", "Hello"} {
		var r Reader
		r.Reset(strings.NewReader(raw))
		var b Body
		framing := Length
		if len(raw) > 5 {
			framing = ChunkedBody
		}
		b.Reset(&r, framing, 5, Limits{})
		if piece, err := b.Next(); string(piece) != "Hello" || err != nil || !b.Done() {
			t.Errorf("%q: %q, %v, done %v", raw, piece, err, b.Done())
		}
		r.Reset(nil)
	}
}

func TestBody_LargeBodyComesInLargePieces(t *testing.T) {
	const size = 4 * BufferSize
	var r Reader
	r.Reset(strings.NewReader(strings.Repeat("a", size)))
	defer r.Reset(nil)
	var b Body
	b.Reset(&r, Length, size, Limits{})
	pieces := 0
	for ; !b.Done(); pieces++ {
		left := b.Left()
		piece, err := b.Next()
		if err != nil || b.Left() != left-int64(len(piece)) {
			t.Fatalf("%d of %d, then %d left: %v", len(piece), left, b.Left(), err)
		}
	}
	if pieces != 4 {
		t.Errorf("%d pieces for four buffers full", pieces)
	}
}

// A connection of net/http's server gives answers in every framing, pipelined.
func TestBody_ReadsWhatNetHTTPServes(t *testing.T) {
	large := strings.Repeat("0123456789abcdef", 10_000)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/length":
			w.Header().Set("Content-Length", fmt.Sprint(len(large)))
			io.WriteString(w, large)
		case "/chunked":
			w.Header().Set("Trailer", "X-Sum")
			io.WriteString(w, large[:1000])
			http.NewResponseController(w).Flush()
			io.WriteString(w, large[1000:])
			w.Header().Set("X-Sum", "7")
		case "/none":
			w.WriteHeader(http.StatusNoContent)
		case "/close":
			w.Header().Set("Connection", "close")
			w.Header().Set("Transfer-Encoding", "identity")
			io.WriteString(w, large)
		}
	}))
	defer server.Close()
	client := dial(t, server.Listener.Addr().String())
	var answers Reader
	answers.Reset(client)
	defer answers.Reset(nil)
	for _, path := range []string{"/length", "/chunked", "/none", "/close"} {
		fmt.Fprintf(client, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path)
	}
	for _, want := range []struct {
		framing Framing
		data    string
	}{{Length, large}, {ChunkedBody, large}, {NoBody, ""}, {UntilClose, large}} {
		var response Response
		readHead(t, &answers, &response)
		var b Body
		b.Reset(&answers, response.Framing(false), response.ContentLength, Limits{})
		got, err := readBody(&b)
		if got != want.data || err != io.EOF || response.Framing(false) != want.framing {
			t.Fatalf("framing %d: %d bytes, %v", response.Framing(false), len(got), err)
		}
		if want.framing == ChunkedBody && (len(b.Trailer) != 1 || string(b.Trailer[0].Value) != "7") {
			t.Errorf("trailer %v", b.Trailer)
		}
	}
}

// net/http's client sends two requests over one connection: with a length, and
// in chunks with a trailer.
func TestBody_ReadsWhatNetHTTPSends(t *testing.T) {
	large := strings.Repeat("0123456789abcdef", 10_000)
	client, server := connect(t)
	var requests Reader
	requests.Reset(server)
	defer requests.Reset(nil)
	sent := make(chan error, 1)
	go func() { // ends with the connection at the latest; waited for by sent
		for _, length := range []int64{int64(len(large)), -1} {
			r, err := http.NewRequest("POST", "http://a.example/up", strings.NewReader(large))
			if err != nil {
				sent <- err
				return
			}
			r.ContentLength = length
			if length < 0 {
				r.Trailer = http.Header{"X-Sum": {"7"}}
			}
			if err := r.Write(client); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	var request Request
	for _, want := range []Framing{Length, ChunkedBody} {
		request.Reset()
		readHead(t, &requests, &request)
		if string(request.HostValue) != "a.example" || request.Framing() != want {
			t.Fatalf("%s", request.String())
		}
		var b Body
		b.Reset(&requests, request.Framing(), request.ContentLength, Limits{})
		if got, err := readBody(&b); got != large || err != io.EOF {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
		if _, count := Get(b.Trailer, Other); (count == 1) != (want == ChunkedBody) {
			t.Errorf("trailer %v", b.Trailer)
		}
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}
