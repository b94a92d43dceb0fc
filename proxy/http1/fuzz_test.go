package http1

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httputil"
	"slices"
	"strings"
	"testing"
)

// chromium is what the browser sends for a page of an application, and
// handshake for a WebSocket.
const (
	chromium = "GET /chat/room/7?before=1718 HTTP/1.1\r\nHost: www.example.com\r\nConnection: keep-alive\r\n" +
		"sec-ch-ua: \"Chromium\";v=\"140\", \"Not=A?Brand\";v=\"24\"\r\nsec-ch-ua-mobile: ?0\r\nsec-ch-ua-platform: \"Linux\"\r\n" +
		"Upgrade-Insecure-Requests: 1\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n" +
		"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\nSec-Fetch-Site: same-origin\r\n" +
		"Sec-Fetch-Mode: navigate\r\nSec-Fetch-User: ?1\r\nSec-Fetch-Dest: document\r\nReferer: https://www.example.com/chat/\r\n" +
		"Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: de-AT,de;q=0.9,en;q=0.8\r\n" +
		"Cookie: csrftoken=Zk3v0q8JpYxW5uTn; sessionid=0c9zq1n4y7h2\r\n\r\n"
	handshake = "GET /websocket HTTP/1.1\r\nHost: www.example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Origin: https://www.example.com\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
		"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
	django = "HTTP/1.1 200 OK\r\nDate: Sun, 22 Nov 2026 10:00:00 GMT\r\nServer: Apache/2.4.71 (Debian) mod_wsgi/5.0.2 Python/3.13\r\n" +
		"Vary: Accept-Language,Cookie,Accept-Encoding\r\nContent-Language: de\r\nX-Frame-Options: DENY\r\n" +
		"Set-Cookie: csrftoken=Zk3v0q8JpYxW5uTn; expires=Sun, 21 Nov 2027 10:00:00 GMT; Max-Age=31449600; Path=/; SameSite=Lax\r\n" +
		"Content-Length: 4123\r\nKeep-Alive: timeout=5, max=100\r\nConnection: Keep-Alive\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
)

// What FuzzRequest accepts, net/http must accept too and take for the same.
// Empty lines before a request are ours alone. net/http adds Cache-Control to
// Pragma, and refuses more Trailer fields than we, who make nothing of them.
func FuzzRequest(f *testing.F) {
	f.Add([]byte(chromium), uint16(100))
	f.Add([]byte(handshake), uint16(1))
	for _, v := range requestVerdicts {
		if len(v.raw) < 1000 {
			f.Add([]byte(v.raw), uint16(len(v.raw)/2))
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte, split uint16) {
		var r, again Request
		n, err := r.Parse(raw, Limits{})
		checkSplit(t, &again, raw, int(split), n, err)
		if n == 0 {
			return
		}
		if again.String() != r.String() {
			t.Fatalf("%q in two parts: %s, at once %s", raw, again.String(), r.String())
		}
		head := bytes.TrimLeft(raw[:n], "\r\n")
		std, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
		if err != nil {
			if _, count := Get(r.Fields, Trailer); count > 0 && strings.Contains(err.Error(), "trailer") {
				return
			}
			t.Fatalf("%q: net/http refuses it: %v", head, err)
		}
		length := r.ContentLength
		if length < 0 && !r.Chunked {
			length = 0
		}
		query := std.URL.RawQuery
		if std.Method != string(r.Method) || std.RequestURI != string(r.Target) || std.Host != string(r.HostValue) ||
			std.ProtoMinor != r.Minor || std.ContentLength != length || (len(std.TransferEncoding) == 1) != r.Chunked ||
			std.Close != r.Close || query != string(r.Query) || (query != "" || std.URL.ForceQuery) != r.HasQuery {
			t.Fatalf("%q:\nnet/http %+v\n    ours %s", head, std, r.String())
		}
		if r.Target[0] == '/' && std.URL.RawPath != "" && std.URL.RawPath != string(r.Path) {
			t.Fatalf("%q: net/http has the path %q", head, std.URL.RawPath)
		}
		compareFields(t, head, std.Header, r.Fields)
	})
}

func (r *Request) String() string {
	return fmt.Sprintf("%q %q %d %q %q %v %q %q %d %v %v %v", r.Method, r.Target, r.Minor, r.Path, r.Query, r.HasQuery,
		r.HostValue, r.Fields, r.ContentLength, r.Chunked, r.Close, r.ExpectContinue)
}

// What FuzzResponse accepts, net/http must accept too and take for the same.
// Of equal Content-Lengths it wants the same spelling, and no list.
func FuzzResponse(f *testing.F) {
	f.Add([]byte(django), uint16(100))
	for _, v := range responseVerdicts {
		if len(v.raw) < 1000 {
			f.Add([]byte(v.raw), uint16(len(v.raw)/2))
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte, split uint16) {
		var r, again Response
		n, err := r.Parse(raw, Limits{})
		checkSplit(t, &again, raw, int(split), n, err)
		if n == 0 {
			return
		}
		if again.String() != r.String() {
			t.Fatalf("%q in two parts: %s, at once %s", raw, again.String(), r.String())
		}
		std, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(raw[:n])), nil)
		if err != nil {
			value, count := Get(r.Fields, ContentLength)
			if count > 1 || bytes.IndexByte(value, ',') >= 0 {
				return
			}
			if _, count := Get(r.Fields, Trailer); count > 0 && strings.Contains(err.Error(), "trailer") {
				return
			}
			t.Fatalf("%q: net/http refuses it: %v", raw[:n], err)
		}
		_, reason, _ := strings.Cut(std.Status, " ")
		if std.StatusCode != r.Status || std.ProtoMinor != r.Minor || reason != string(r.Reason) {
			t.Fatalf("%q:\nnet/http %+v\n    ours %s", raw[:n], std, r.String())
		}
		framing := r.Framing(false)
		same := false
		switch framing {
		case NoBody:
			same = std.Body == http.NoBody
		case Length:
			same = std.ContentLength == r.ContentLength && len(std.TransferEncoding) == 0
		case ChunkedBody:
			same = len(std.TransferEncoding) == 1
		case UntilClose:
			same = std.ContentLength == -1 && len(std.TransferEncoding) == 0
		}
		if !same || std.Close != (r.Close || framing == UntilClose) {
			t.Fatalf("%q: framing %d, close %v; net/http: %+v", raw[:n], framing, r.Close, std)
		}
		compareFields(t, raw[:n], std.Header, r.Fields)
	})
}

func (r *Response) String() string {
	return fmt.Sprintf("%d %d %q %q %d %v %v", r.Minor, r.Status, r.Reason, r.Fields, r.ContentLength, r.Chunked, r.Close)
}

// checkSplit parses raw in two parts, and wants what came of it at once. Where
// that was an error in a head whose end is not there, it may come with that.
func checkSplit(t *testing.T, p parser, raw []byte, split, n int, err error) {
	t.Helper()
	split = min(split, len(raw))
	first := bytes.Clone(raw[:split])
	gotN, gotErr := p.Parse(first, Limits{})
	if gotN == 0 && gotErr == nil {
		clear(first)
		gotN, gotErr = p.Parse(raw, Limits{})
	}
	if err != nil && gotN == 0 && gotErr == nil {
		gotN, gotErr = p.Parse(append(slices.Clip(raw), "\r\n\r\n"...), Limits{})
	}
	if gotN != n || (gotErr == nil) != (err == nil) {
		t.Fatalf("%q parted at %d: %d, %v; at once %d, %v", raw, split, gotN, gotErr, n, err)
	}
}

// compareFields looks at all but what net/http takes out of a header.
func compareFields(t *testing.T, head []byte, std http.Header, fields []Field) {
	t.Helper()
	ours := make(http.Header)
	for _, f := range fields {
		switch f.Known {
		case Host, TransferEncoding, Trailer:
		case ContentLength:
			ours.Set("Content-Length", string(f.Value)) // several, if the same
		default:
			ours.Add(string(f.Name), string(f.Value))
		}
	}
	if p := ours["Pragma"]; len(p) > 0 && p[0] == "no-cache" && ours["Cache-Control"] == nil {
		ours["Cache-Control"] = []string{"no-cache"}
	}
	std = std.Clone()
	for _, name := range []string{"Host", "Transfer-Encoding", "Trailer"} {
		std.Del(name)
	}
	if !maps.EqualFunc(ours, std, slices.Equal) {
		t.Fatalf("%q:\nnet/http %q\n    ours %q", head, std, ours)
	}
}

// A body that FuzzChunks accepts, net/http's reader must read as the same,
// except that it does not tolerate whitespace before extensions, and grants
// less of them. However a body is split, the same comes of it.
func FuzzChunks(f *testing.F) {
	for _, seed := range []string{
		"5\r\nHello\r\n0\r\n\r\n", "5;a=b\r\nHello\r\n6 ;c\r\n, all!\r\n0\r\nX: a\r\nHost: b\r\n\r\n", "0\r\n\r\nGET",
		"a\r\n0123456789\r\n00\r\n\r\n", "5\r\nHello\n0\r\n\r\n", "5\nHello\r\n0\r\n\r\n", "5\r\nHello", "FFFFFFFFFFFFFFF\r\na", "5\r\nHello\r\n0\r\nX : a\r\n\r\n",
	} {
		f.Add([]byte(seed), uint16(3), uint16(9))
	}
	f.Fuzz(func(t *testing.T, raw []byte, i, j uint16) {
		// With an end to any line and any trailer, no verdict is left open.
		raw = append(slices.Clip(raw), "\r\n\r\n"...)
		once := follow(raw, Limits{})
		ends := [][]int{{min(int(i), len(raw)), min(int(i)+int(j), len(raw))}}
		if len(raw) < 500 {
			ends = append(ends, everyEnd(len(raw)))
		}
		for _, ends := range ends {
			if parts := follow(raw, Limits{}, ends...); parts != once {
				t.Fatalf("%q\n  at once %+v\nin %d parts %+v", raw, once, len(ends)+1, parts)
			}
		}
		if !once.done {
			return
		}
		std, err := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(raw)))
		switch {
		case err == nil && string(std) != once.data:
			t.Fatalf("%q: net/http reads %q, we %q", raw, std, once.data)
		case err == nil:
		case strings.Contains(err.Error(), "too much non-data"):
		case strings.Contains(err.Error(), "invalid byte in chunk length") && bytes.ContainsAny(raw, " \t"):
		default:
			t.Fatalf("%q: net/http refuses it: %v", raw, err)
		}
	})
}
