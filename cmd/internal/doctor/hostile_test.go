package doctor

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"wsfront/proxy/diagnosis"
)

// TestRun_HostileServers has servers that answer the plain GET and the handshake
// with what never ends. The examination has to, and in little memory.
func TestRun_HostileServers(t *testing.T) {
	lump := strings.Repeat("x", 32<<10)
	endless := func(begin, piece string) func(net.Conn, *http.Request, *bufio.Reader) {
		return func(c net.Conn, _ *http.Request, _ *bufio.Reader) {
			if _, err := io.WriteString(c, begin); err != nil {
				return
			}
			for {
				if _, err := io.WriteString(c, piece); err != nil {
					return
				}
			}
		}
	}
	for name, answer := range map[string]func(net.Conn, *http.Request, *bufio.Reader){
		"status line":     endless("HTTP/1.1 200 ", lump),
		"field":           endless("HTTP/1.1 200 OK\r\nX: ", lump),
		"fields":          endless("HTTP/1.1 200 OK\r\n", strings.Repeat("X: x\r\n", 1000)),
		"interim answers": endless("", strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 100)),
		"body":            endless("HTTP/1.1 200 OK\r\n\r\n", lump),
		"long body":       endless("HTTP/1.1 404 Not Found\r\nContent-Length: 9223372036854775807\r\n\r\n", lump),
		"chunks":          endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "8000\r\n"+lump+"\r\n"),
		"chunk extension": endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", lump),
		"no HTTP":         endless("", lump),
		"zeros":           endless("", strings.Repeat("\x00", 32<<10)),
		"drip": func(c net.Conn, _ *http.Request, _ *bufio.Reader) {
			for _, b := range []byte("HTTP/1.1 200 OK\r\nX: " + lump) {
				if _, err := c.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(10 * time.Millisecond) // the drip itself
			}
		},
		"frames": func(c net.Conn, r *http.Request, behind *bufio.Reader) {
			endless(switching(r), "\x82\x7e\x80\x00"+lump)(c, r, behind)
		},
		"pings": func(c net.Conn, r *http.Request, behind *bufio.Reader) {
			go io.Copy(io.Discard, behind) // ends with c
			endless(switching(r), strings.Repeat("\x89\x00", 1000))(c, r, behind)
		},
		"long frame": func(c net.Conn, r *http.Request, behind *bufio.Reader) {
			endless(switching(r)+"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", lump)(c, r, behind)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, nil, answer)
			const timeout = time.Second
			begin := time.Now()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			r := examine(t, Options{URL: s.url("ws", "/websocket"), Timeout: timeout, Idle: timeout})
			runtime.ReadMemStats(&after)
			if took := time.Since(begin); took > 10*timeout {
				t.Errorf("it took %v", took)
			}
			if grown := after.HeapSys - before.HeapSys; after.HeapSys > before.HeapSys && grown > 32<<20 {
				t.Errorf("the heap grew by %d MiB", grown>>20)
			}
			for _, step := range r.Steps {
				if len(step.Detail) > 1000 {
					t.Errorf("%s: %d bytes of detail", step.Name, len(step.Detail))
				}
			}
		})
	}
}

// TestRun_BodyThatDoesNotEnd: the head and the first words are enough to know.
func TestRun_BodyThatDoesNotEnd(t *testing.T) {
	s := serve(t, nil, func(c net.Conn, _ *http.Request, behind *bufio.Reader) {
		write(c, "HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\nOrigin not allowed")
		_, _ = io.Copy(io.Discard, behind)
	})
	begin := time.Now()
	expect(t, examine(t, Options{URL: s.url("ws", "/websocket")}), diagnosis.OriginRefused, 4)
	if took := time.Since(begin); took > 6*bodyTimeout {
		t.Errorf("it took %v", took)
	}
}

// TestRun_NothingFromTheServerReachesTheTerminalRaw: escape sequences in what a
// server writes are not a person's.
func TestRun_NothingFromTheServerReachesTheTerminalRaw(t *testing.T) {
	s := serve(t, nil, fixed("HTTP/1.1 404 Not\x1b[31mFound\r\nServer: \x1b]0;x\x07y\u009b1m\r\nLocation: \x1b[2J\r\nContent-Length: 6\r\n\r\n\x1b[5mhi"))
	r := examine(t, Options{URL: s.url("ws", "/websocket")})
	var b strings.Builder
	if err := r.Print(&b, false); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(b.String(), "\x1b\x07\u009b") || r.Cause == nil {
		t.Errorf("%q", b.String())
	}
}
