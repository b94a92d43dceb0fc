package proxy

import (
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
)

// BenchmarkForwardHTTP2 measures requests through the front over HTTP/2, the
// client and the backend of the benchmark included: one at a time, 100 at once,
// and an answer of 10 MiB.
func BenchmarkForwardHTTP2(b *testing.B) {
	for _, c := range []struct {
		name         string
		many, length int
	}{{"one", 1, 1 << 10}, {"hundred", 100, 1 << 10}, {"download", 1, 10 << 20}} {
		b.Run(c.name, func(b *testing.B) {
			answer := fmt.Sprintf("HTTP/1.1 200 OK\r\nDate: Sun, 22 Nov 2026 20:00:00 GMT\r\nServer: WSGIServer\r\nContent-Type: text/html; charset=utf-8\r\nVary: Cookie\r\nContent-Length: %d\r\n\r\n%s", c.length, strings.Repeat("x", c.length))
			addr := benchmarkFront(b, true, PoolBackend{URL: "http://" + benchmarkBackend(b, answer)})
			conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			client := streamClient{conn: conn, in: make([]byte, 64<<10)}
			if err := client.begin(); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := client.ask(c.many); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*c.many), "ns/request")
		})
	}
}

// streamClient asks for the same page on streams of HTTP/2, without allocating.
type streamClient struct {
	conn    net.Conn
	stream  uint32
	out, in []byte
	n       int    // bytes of in
	taken   uint32 // of the connection's window
}

func (c *streamClient) frame(length int, kind, flags byte, stream uint32) {
	c.out = append(c.out, byte(length>>16), byte(length>>8), byte(length), kind, flags)
	c.out = binary.BigEndian.AppendUint32(c.out, stream)
}

// begin sends the preface, with windows that are never shut.
func (c *streamClient) begin() error {
	c.out = append(c.out, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"...)
	c.frame(6, 4, 0, 0) // SETTINGS_INITIAL_WINDOW_SIZE
	c.out = append(c.out, 0, 4, 0x7f, 0xff, 0xff, 0xff)
	c.frame(4, 8, 0, 0)
	c.out = binary.BigEndian.AppendUint32(c.out, 1<<31-1-65535)
	_, err := c.conn.Write(c.out)
	return err
}

// ask sends so many requests at once, and waits for the ends of their answers.
func (c *streamClient) ask(many int) error {
	const block = "\x82\x87\x41\x08app.test\x04\x0f/board/7?page=2\x0f\x2b\x0bMozilla/5.0\x0f\x04\x09text/html\x0f\x02\x02en\x0f\x11\x12sessionid=8f14e45f"
	c.out = c.out[:0]
	for range many {
		c.frame(len(block), 1, 5, 2*c.stream+1)
		c.out = append(c.out, block...)
		c.stream++
	}
	if c.taken > 1<<29 {
		c.frame(4, 8, 0, 0)
		c.out = binary.BigEndian.AppendUint32(c.out, c.taken)
		c.taken = 0
	}
	if _, err := c.conn.Write(c.out); err != nil {
		return err
	}
	for many > 0 {
		n, err := c.conn.Read(c.in[c.n:])
		if err != nil {
			return err
		}
		c.n += n
		at := 0
		for at+9 <= c.n {
			length := int(c.in[at])<<16 | int(c.in[at+1])<<8 | int(c.in[at+2])
			kind, flags := c.in[at+3], c.in[at+4]
			if at+9+length > c.n {
				break
			}
			at += 9 + length
			switch {
			case kind == 3 || kind == 7: // RST_STREAM, GOAWAY
				return io.ErrUnexpectedEOF
			case kind == 0: // DATA
				c.taken += uint32(length)
			}
			if kind <= 1 && flags&1 != 0 {
				many--
			}
		}
		c.n = copy(c.in, c.in[at:c.n])
	}
	return nil
}
