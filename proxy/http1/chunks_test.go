package http1

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// chunked is what a Chunks makes of bytes.
type chunked struct {
	data, trailer string
	n             int // bytes that it was done with
	done          bool
	status        int // 0: no error
}

// follow gives a Chunks the bytes in pieces that end at the given places and at
// the end of raw, what it is not done with again in front of the next. Each
// call has a buffer of its own, which is overwritten behind it.
func follow(raw []byte, lim Limits, ends ...int) (c chunked) {
	var chunks Chunks
	chunks.Reset(lim)
	for _, end := range append(ends, len(raw)) {
		for !c.done {
			buf := bytes.Clone(raw[c.n:end])
			data, n, done, err := chunks.Next(buf)
			c.data += string(data)
			clear(buf)
			c.n, c.done = c.n+n, done
			if err != nil {
				c.status = statusOf(err)
				return c
			}
			if n == 0 {
				break
			}
		}
	}
	for _, f := range chunks.Trailer {
		if c.done {
			c.trailer += fmt.Sprintf("%s=%s;", f.Name, f.Value)
		}
	}
	return c
}

func everyEnd(n int) (ends []int) {
	for i := range n {
		ends = append(ends, i)
	}
	return ends
}

func TestChunks_Verdicts(t *testing.T) {
	long := strings.Repeat("x", 256)
	for _, v := range []struct {
		section, raw, data, trailer string
		status                      int
	}{
		{"RFC 9112 §7.1", "5\r\nHello\r\n0\r\n\r\n", "Hello", "", 0},
		{"RFC 9112 §7.1", "0\r\n\r\n", "", "", 0},
		{"RFC 9112 §7.1", "1\r\na\r\n0a\r\n0123456789\r\n000\r\n\r\n", "a0123456789", "", 0},
		{"RFC 9112 §7.1", "A\r\n0123456789\r\n0\r\n\r\n", "0123456789", "", 0},
		{"RFC 9112 §7.1", "000000000000001\r\na\r\n0\r\n\r\n", "a", "", 0},
		{"RFC 9112 §7.1", "0000000000000001\r\na\r\n0\r\n\r\n", "", "", 400},
		{"RFC 9112 §7.1", "ffffffffffffffffff\r\n", "", "", 400},
		{"RFC 9112 §7.1", "\r\n", "", "", 400},
		{"RFC 9112 §7.1", ";a\r\n", "", "", 400},
		{"RFC 9112 §7.1", "0x5\r\nHello\r\n", "", "", 400},
		{"RFC 9112 §7.1", "+5\r\nHello\r\n", "", "", 400},
		{"RFC 9112 §7.1", "-5\r\nHello\r\n", "", "", 400},
		{"RFC 9112 §7.1", " 5\r\nHello\r\n", "", "", 400},
		{"RFC 9112 §7.1", "5 \r\nHello\r\n", "", "", 400},
		{"RFC 9112 §7.1", "5 5\r\nHello\r\n", "", "", 400},
		{"RFC 9112 §7.1", "5_0\r\nHello\r\n", "", "", 400},
		{"RFC 9112 §7.1", "g\r\n", "", "", 400},
		{"RFC 9112 §7.1", "5\nHello\r\n", "", "", 400},
		{"RFC 9112 §7.1", "5\rHello\r\n", "", "", 400},
		{"RFC 9112 §7.1", "5\r\r\nHello\r\n", "", "", 400},
		{"RFC 9112 §7.1", "5\r\nHello\n0\r\n\r\n", "Hello", "", 400},
		{"RFC 9112 §7.1", "5\r\nHello\r0\r\n\r\n", "Hello", "", 400},
		{"RFC 9112 §7.1", "5\r\nHello0\r\n\r\n", "Hello", "", 400},
		{"RFC 9112 §7.1", "5\r\nHello!\r\n0\r\n\r\n", "Hello", "", 400},
		{"RFC 9112 §7.1", "5\r\nHell\r\n0\r\n\r\n", "Hell\r", "", 400},
		{"RFC 9112 §7.1.1", "5;a=b;c=\"d e\"\r\nHello\r\n0;z\r\n\r\n", "Hello", "", 0},
		{"RFC 9112 §7.1.1", "5 \t;a\r\nHello\r\n0\r\n\r\n", "Hello", "", 0},
		{"RFC 9112 §7.1.1", "5;" + long[1:] + "\r\nHello\r\n0\r\n\r\n", "Hello", "", 0},
		{"RFC 9112 §7.1.1", "5;" + long + "\r\nHello\r\n0\r\n\r\n", "", "", 400},
		{"RFC 9112 §7.1.1", "5;" + long + long, "", "", 400},
		{"RFC 9112 §7.1.1", "5;a\n\r\nHello\r\n", "", "", 400},
		{"RFC 9112 §7.1.1", "5;a\rb\r\nHello\r\n", "", "", 400},
		{"RFC 9112 §7.1.1", "5;a\x00\r\nHello\r\n", "", "", 400},
		{"RFC 9112 §7.1.1", strings.Repeat("1;"+long[1:]+"\r\na\r\n", 80) + "0\r\n\r\n", strings.Repeat("a", 68), "", 400},
		{"RFC 9112 §7.1.1", strings.Repeat("80;"+long[1:]+"\r\n"+long[:128]+"\r\n", 80) + "0\r\n\r\n", strings.Repeat(long, 40), "", 0},
		{"RFC 9112 §7.1.2", "0\r\nX: a\r\ny:  b \r\n\r\n", "", "X=a;y=b;", 0},
		{"RFC 9112 §7.1.2", "0\r\nX : a\r\n\r\n", "", "", 400},
		{"RFC 9112 §7.1.2", "0\r\n X: a\r\n\r\n", "", "", 400},
		{"RFC 9112 §7.1.2", "0\r\nX: a\r\n b\r\n\r\n", "", "", 400},
		{"RFC 9112 §7.1.2", "0\r\nX: a\n\r\n", "", "", 400},
		{"RFC 9112 §7.1.2", "0\r\nGET / HTTP/1.1\r\n\r\n", "", "", 400},
		{"RFC 9112 §7.1.2", "0\r\n" + strings.Repeat("X: a\r\n", 100) + "\r\n", "", strings.Repeat("X=a;", 100), 0},
		{"RFC 9112 §7.1.2", "0\r\n" + strings.Repeat("X: a\r\n", 101) + "\r\n", "", "", 431},
		{"RFC 9112 §7.1.2", "0\r\nX: " + strings.Repeat("a", 1000), "", "", 431},
		{"RFC 9110 §6.5.1", "0\r\nContent-Length: 5\r\nX: a\r\nHost: b\r\ntransfer-encoding: chunked\r\n" +
			"Authorization: c\r\nIf-Match: d\r\nX-Forwarded-For: e\r\nETag: f\r\n\r\n", "", "X=a;ETag=f;", 0},
	} {
		want := chunked{v.data, v.trailer, len(v.raw), v.status == 0, v.status}
		for _, ends := range [][]int{nil, everyEnd(len(v.raw))} {
			got := follow([]byte(v.raw+"GET"), Limits{Head: 900}, ends...)
			if v.status != 0 {
				want.n = got.n
			}
			if got != want {
				t.Errorf("%s: %.60q in %d pieces:\n got %+v\nwant %+v", v.section, v.raw, len(ends)+1, got, want)
			}
		}
	}
}

func TestChunks_OneCallTakesAPieceAndAllBehindIt(t *testing.T) {
	var c Chunks
	c.Reset(Limits{})
	raw := []byte("5\r\nHello\r\n0\r\nX: a\r\n\r\n")
	data, n, done, err := c.Next(raw)
	if string(data) != "Hello" || n != len(raw) || !done || err != nil || len(c.Trailer) != 1 {
		t.Fatal(string(data), n, done, err, c.Trailer)
	}
	if data, n, done, err = c.Next([]byte("behind")); len(data) > 0 || n != 0 || !done || err != nil {
		t.Error("behind the end:", string(data), n, done, err)
	}
	clear(raw)
	if string(c.Trailer[0].Name) != "X" || string(c.Trailer[0].Value) != "a" {
		t.Errorf("the trailer is the buffer's, which has changed: %q", c.Trailer)
	}
	c.Reset(Limits{})
	if _, n, done, err = c.Next([]byte("0\r\n\r\n")); n != 5 || !done || err != nil || len(c.Trailer) != 0 {
		t.Error("after Reset:", n, done, err, c.Trailer)
	}
}

func TestChunks_KeepsNoMuchMemoryOfOneTrailer(t *testing.T) {
	var c Chunks
	for _, size := range []int{10, 10 << 10} {
		c.Reset(Limits{})
		if _, _, done, err := c.Next([]byte("0\r\nX: " + strings.Repeat("a", size) + "\r\n\r\n")); !done || err != nil {
			t.Fatal(done, err)
		}
		c.Reset(Limits{})
		if kept := cap(c.memory); kept > keptTrailer || (kept > 0) != (size < keptTrailer) {
			t.Errorf("of a trailer with %d bytes, %d are kept", size, kept)
		}
	}
}

func TestAppendChunkSize(t *testing.T) {
	if got := string(AppendChunkSize(AppendChunkSize(nil, 500), 0)); got != "1f4\r\n0\r\n" {
		t.Errorf("%q", got)
	}
}
