package proxy

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// http2Player plays the client of a case: it writes each frame as the case has
// it, legal or not.
type http2Player struct {
	conn    net.Conn
	backend *scriptedBackend
	reader  *http2Reader
	fate    string // kept, closed or stuck

	last    uint32 // the highest stream of ours
	block   bytes.Buffer
	encoder *hpack.Encoder
	pings   int
	sent    int // frames
}

// dialPlayer connects as a browser would that wants HTTP/2.
func dialPlayer(addr string) (net.Conn, error) {
	d := &net.Dialer{Timeout: patience}
	conn, err := tls.DialWithDialer(d, "tcp", addr, &tls.Config{ServerName: "app.test", InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		return nil, err
	}
	if chosen := conn.ConnectionState().NegotiatedProtocol; chosen != "h2" {
		conn.Close()
		return nil, fmt.Errorf("ALPN chose %q", chosen)
	}
	return conn, nil
}

// playHTTP2 plays a case through the front at addr.
func playHTTP2(addr string, c http2Case, b *scriptedBackend) (*http2Player, error) {
	conn, err := dialPlayer(addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	k := &http2Player{conn: conn, backend: b, reader: newHTTP2Reader(conn)}
	k.encoder = hpack.NewEncoder(&k.block)
	var wg sync.WaitGroup
	wg.Go(k.reader.run) // ended by conn.Close, awaited below
	err = k.play(c)
	conn.Close()
	wg.Wait()
	return k, err
}

func (k *http2Player) play(c http2Case) error {
	frames := c.frames
	if frames[0].do == "manual" {
		frames = frames[1:]
	} else {
		k.write([]byte(http2.ClientPreface))
		if frames[0].do != "SETTINGS" {
			k.reader.offer(nil)
			k.frame(http2.FrameSettings, 0, 0, nil)
		}
	}
	if err := k.steps(frames); err != nil {
		return err
	}
	for _, want := range c.streams {
		if !slices.ContainsFunc(want.outcomes, func(o wantOutcome) bool { return o.nothing }) {
			if err := k.awaitStream(want.id); err != nil {
				return err
			}
		}
	}
	return k.findFate(!slices.Contains(c.then, "kept"))
}

func (k *http2Player) steps(steps []http2Step) error {
	for _, s := range steps {
		if err := k.step(s); err != nil {
			return err
		}
	}
	return nil
}

func (k *http2Player) step(s http2Step) error {
	switch s.relative {
	case "next":
		s.stream = k.last + 1 + k.last%2
	case "last":
		s.stream = k.last
	}
	if s.do == "HEADERS" || s.do == "FRAME" || s.do == "await" {
		k.last = max(k.last, s.stream)
	}
	r := k.reader
	switch s.do {
	case "await":
		return k.awaitStream(s.stream)
	case "bytes":
		return r.await(fmt.Sprintf("stream %d has %d bytes", s.stream, s.n), func() bool {
			got := r.streams[s.stream]
			return r.over || got != nil && len(got.answer().body) >= s.n
		})
	case "seen":
		return k.backend.await(fmt.Sprintf("request %d is seen", s.n), func() bool { return len(k.backend.seen) >= s.n })
	case "ping":
		k.pings++
		k.frame(http2.FramePing, 0, 0, []byte("\x00\x00settle"))
		return r.await("the ping is answered", func() bool { return r.over || r.pongs >= k.pings })
	case "repeat":
		for range s.n {
			if err := k.steps(s.steps); err != nil {
				return err
			}
		}
	case "RAW":
		k.write(s.payload)
	case "FRAME":
		k.frame(http2.FrameType(s.n), s.flags, s.stream, s.payload)
	default:
		p := k.payload(s)
		if s.pad >= 0 {
			s.flags |= http2.FlagDataPadded
			p = slices.Concat([]byte{byte(s.pad)}, p, make([]byte, s.pad))
		}
		k.frame(http2Types[s.do], s.flags, s.stream, p)
	}
	return nil
}

// payload makes that of a frame with a name.
func (k *http2Player) payload(s http2Step) []byte {
	p := slices.Clone(s.payload)
	long := func(n uint32) []byte { return []byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)} }
	switch s.do {
	case "HEADERS", "CONTINUATION":
		p = k.headerBlock(s)
	case "SETTINGS":
		if s.flags&http2.FlagSettingsAck == 0 {
			k.reader.offer(p)
		}
	case "RST_STREAM":
		p = long(uint32(s.n))
	case "WINDOW_UPDATE":
		p = long(s.numbers["n"])
		k.reader.widen(s.stream, int(s.numbers["n"]))
	case "PRIORITY":
		p = append(long(s.numbers["dep"]), byte(s.numbers["weight"]))
	case "GOAWAY":
		p = append(append(long(s.numbers["last"]), long(uint32(s.n))...), p...)
	case "PING":
		if len(p) == 0 {
			p = make([]byte, 8)
		}
	}
	return p
}

// headerBlock encodes the fields of a frame behind what the frame before left,
// and takes as much as the frame is to have.
func (k *http2Player) headerBlock(s http2Step) []byte {
	for _, f := range s.fields {
		if f.raw != nil {
			k.block.Write(f.raw)
			continue
		}
		if f.name == ":method" {
			k.reader.asked(s.stream, f.value)
		}
		_ = k.encoder.WriteField(hpack.HeaderField{Name: f.name, Value: f.value}) // a bytes.Buffer takes all
	}
	n := k.block.Len()
	if s.first >= 0 {
		n = min(n, s.first)
	}
	return bytes.Clone(k.block.Next(n))
}

// frame writes a frame. Errors are no matter: a closed connection is noticed by
// the reader.
func (k *http2Player) frame(kind http2.FrameType, flags http2.Flags, stream uint32, payload []byte) {
	k.sent++
	p := appendFrame(nil, kind, flags, stream, payload)
	r := k.reader
	r.writing.Lock()
	defer r.writing.Unlock()
	r.within = flags&http2.FlagHeadersEndHeaders == 0 && (kind == http2.FrameHeaders || kind == http2.FrameContinuation)
	if !r.within {
		p, r.held = append(p, r.held...), nil
	}
	_, _ = k.conn.Write(p)
}

func (k *http2Player) write(p []byte) {
	k.reader.writing.Lock()
	defer k.reader.writing.Unlock()
	_, _ = k.conn.Write(p)
}

func appendFrame(p []byte, kind http2.FrameType, flags http2.Flags, stream uint32, payload []byte) []byte {
	n := len(payload)
	p = append(p, byte(n>>16), byte(n>>8), byte(n), byte(kind), byte(flags), byte(stream>>24), byte(stream>>16), byte(stream>>8), byte(stream))
	return append(p, payload...)
}

// awaitStream waits until nothing more can come on a stream.
func (k *http2Player) awaitStream(id uint32) error {
	r := k.reader
	return r.await(fmt.Sprintf("stream %d is over", id), func() bool {
		got := r.streams[id]
		return r.over || got != nil && (got.ended || got.reset != "")
	})
}

// findFate asks once more when the script is over, unless the connection is to
// end.
func (k *http2Player) findFate(ends bool) error {
	r := k.reader
	isOver := func() bool { return r.over }
	if !ends {
		k.block.Reset()
		probe := k.last + 1 + k.last%2
		r.update(func() { r.probe = probe })
		for _, f := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "app.test"}, {":path", probeTarget}} {
			_ = k.encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
		}
		k.frame(http2.FrameHeaders, http2.FlagHeadersEndHeaders|http2.FlagHeadersEndStream, probe, k.block.Bytes())
		isOver = func() bool { got := r.streams[probe]; return r.over || got != nil && (got.ended || got.reset != "") }
	}
	err := r.await("the connection's fate is known", isOver)
	switch got := r.streams[r.probe]; {
	case err != nil || r.late:
		k.fate = "stuck"
		return nil
	case r.over:
		k.fate = "closed"
	case got != nil && got.answer().body == probeBody:
		k.fate = "kept"
	default:
		k.fate = "lost"
	}
	return nil
}
