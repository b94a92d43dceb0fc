package http2

import (
	"encoding/binary"
	"io"
	"net"
	"testing"

	"wsfront/proxy/http1"
)

// BenchmarkStream measures a request and its answer of 1 KiB over TCP, the
// client of the benchmark included, which does not allocate: one stream at a
// time, and 100 at once.
func BenchmarkStream(b *testing.B) {
	fields := []http1.Field{field("Content-Type", "text/html; charset=utf-8"), field("Content-Length", "1024"), field("Date", "Sun, 22 Nov 2026 20:00:00 GMT"), field("Vary", "Cookie")}
	body := make([]byte, 1024)
	f := newFront(b, Config{Handler: func(s *Stream) {
		_ = s.WriteHead(200, fields)
		_, _ = s.Write(body)
		_ = s.End(nil)
	}})
	for _, c := range []struct {
		name string
		many int
	}{{"one", 1}, {"hundred", 100}} {
		b.Run(c.name, func(b *testing.B) {
			nc, err := net.Dial("tcp", f.addr)
			if err != nil {
				b.Fatal(err)
			}
			defer nc.Close()
			start := append([]byte(preface), 0, 0, 0, frameSettings, 0, 0, 0, 0, 0)
			start = binary.BigEndian.AppendUint32(appendFrameHead(start, 4, frameWindowUpdate, 0, 0), maxWindow-defaultWindow)
			if _, err := nc.Write(start); err != nil {
				b.Fatal(err)
			}
			client := benchClient{nc: nc, block: []byte{0x82, 0x87, 0x84, 0x41, 8, 'a', 'p', 'p', '.', 't', 'e', 's', 't', 0x90, 0xbe}[:13]}
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

// benchClient sends requests and waits for the ends of their answers.
type benchClient struct {
	nc     net.Conn
	block  []byte
	stream uint32
	out    []byte
	in     [64 << 10]byte
	n      int
	taken  int64
}

func (c *benchClient) ask(many int) error {
	c.out = c.out[:0]
	for range many {
		id := 2*c.stream + 1
		c.stream++
		c.out = append(appendFrameHead(c.out, len(c.block), frameHeaders, flagEndStream|flagEndHeaders, id), c.block...)
	}
	if c.taken > 1<<30 {
		c.out = binary.BigEndian.AppendUint32(appendFrameHead(c.out, 4, frameWindowUpdate, 0, 0), uint32(c.taken))
		c.taken = 0
	}
	if _, err := c.nc.Write(c.out); err != nil {
		return err
	}
	for many > 0 {
		n, err := c.nc.Read(c.in[c.n:])
		if err != nil {
			return err
		}
		c.n += n
		at := 0
		for at+frameHeadLen <= c.n {
			h := parseFrameHead(c.in[at:])
			if at+frameHeadLen+h.length > c.n {
				break
			}
			at += frameHeadLen + h.length
			switch {
			case h.kind == frameGoAway || h.kind == frameRSTStream:
				return io.ErrUnexpectedEOF
			case h.kind == frameData:
				c.taken += int64(h.length)
			}
			if h.kind <= frameHeaders && h.flags&flagEndStream != 0 {
				many--
			}
		}
		c.n = copy(c.in[:], c.in[at:c.n])
	}
	return nil
}
