package http2

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// until waits for a limit to have been reached.
func (f *front) until(l Limit) {
	f.t.Helper()
	for end := time.Now().Add(10 * time.Second); f.hit(l) == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			f.t.Fatalf("%s is not reached", l)
		}
	}
}

// held is a Handler that answers when it is told to.
func held(begun chan<- *Stream, release <-chan struct{}) func(*Stream) {
	return func(s *Stream) {
		begun <- s
		<-release
		hello(s)
	}
}

func TestLimit_StreamsBeyondAreRefused(t *testing.T) {
	begun, release := make(chan *Stream, 10), make(chan struct{})
	f := newFront(t, Config{MaxStreams: 2, Handler: held(begun, release)})
	let := sync.OnceFunc(func() { close(release) })
	defer let()
	c := dial(t, f)
	for id := uint32(1); id <= 5; id += 2 {
		c.request(id, true)
	}
	if code := c.reset(5); code != http2.ErrCodeRefusedStream {
		t.Errorf("reset with %v", code)
	}
	if f.hit(HitStreams) != 1 {
		t.Errorf("hits %v", f.hits)
	}
	let()
	c.ends(3)
	c.request(7, true)
	c.ends(7)
}

// CVE-2023-44487: by resetting streams a client gets no more of them to work.
func TestLimit_ResetStreamsCountUntilTheirHandlersReturn(t *testing.T) {
	begun, release := make(chan *Stream, 10), make(chan struct{})
	f := newFront(t, Config{MaxStreams: 2, Handler: held(begun, release)})
	defer close(release)
	c := dial(t, f)
	for id := uint32(1); id <= 3; id += 2 {
		c.request(id, true)
		c.check(c.WriteRSTStream(id, http2.ErrCodeCancel))
	}
	c.request(5, true)
	if code := c.reset(5); code != http2.ErrCodeRefusedStream {
		t.Errorf("reset with %v", code)
	}
	if len(begun) != 2 {
		t.Errorf("%d handlers were called", len(begun))
	}
}

func TestLimit_ManyResetsEndTheConnection(t *testing.T) {
	begun, release := make(chan *Stream, 1000), make(chan struct{})
	f := newFront(t, Config{MaxStreams: 100, MaxResets: 20, Handler: held(begun, release)})
	c := dial(t, f)
	for id := uint32(1); id < 100; id += 2 {
		c.request(id, true)
		c.check(c.WriteRSTStream(id, http2.ErrCodeCancel))
	}
	if code := c.goAway(); code != http2.ErrCodeEnhanceYourCalm {
		t.Errorf("GOAWAY with %v", code)
	}
	close(release)
	var e *ConnError
	if err := f.endsWith(); !errors.As(err, &e) || e.Code != EnhanceYourCalm {
		t.Errorf("Serve returned %v", err)
	}
	if n := len(begun); n > 21 {
		t.Errorf("%d handlers were called", n)
	}
	if f.hit(HitResets) != 1 {
		t.Errorf("hits %v", f.hits)
	}
}

func TestLimit_ResetsBesideAnswersAreAllowed(t *testing.T) {
	f := newFront(t, Config{MaxResets: 20, Handler: func(s *Stream) {
		if string(s.Path) == "/" {
			hello(s)
			return
		}
		_, _ = s.ReadBody() // until the reset
	}})
	c := dial(t, f)
	for id := uint32(1); id < 300; id += 4 {
		c.request(id, true)
		c.ends(id)
		c.request(id+2, false, ":path", "/other")
		c.check(c.WriteRSTStream(id+2, http2.ErrCodeCancel))
	}
	c.request(501, true)
	c.ends(501)
}

// CVE-2025-8671: a client can also have the server reset its streams.
func TestLimit_MalformedRequestsCountLikeResets(t *testing.T) {
	f := newFront(t, Config{MaxResets: 20, Handler: hello})
	c := dial(t, f)
	for id := uint32(1); id < 100; id += 2 {
		c.request(id, true, "te", "gzip")
	}
	if code := c.goAway(); code != http2.ErrCodeEnhanceYourCalm {
		t.Errorf("GOAWAY with %v", code)
	}
}

func TestLimit_LargeHeadsAreTold(t *testing.T) {
	f := newFront(t, Config{MaxHeader: 4000, MaxHeaderFields: 10, Handler: func(s *Stream) {
		status := 200
		if s.TooLarge != "" {
			status = 431
		}
		_ = s.WriteHead(status, nil)
		_ = s.End(nil)
	}})
	c := dial(t, f)
	status := func(stream uint32) (status string) {
		t.Helper()
		c.ReadMetaHeaders = c.decoder()
		defer func() { c.ReadMetaHeaders = nil }()
		c.until(func(f http2.Frame) bool {
			if h, ok := f.(*http2.MetaHeadersFrame); ok && h.StreamID == stream {
				status = h.PseudoValue("status")
				return true
			}
			return false
		})
		return status
	}
	c.request(1, true, "a", strings.Repeat("x", 5000))
	if s := status(1); s != "431" {
		t.Errorf("a long field: %s", s)
	}
	var many []string
	for i := range 11 {
		many = append(many, "f"+string(rune('a'+i)), "1")
	}
	c.request(3, true, many...)
	if s := status(3); s != "431" {
		t.Errorf("many fields: %s", s)
	}
	c.request(5, true, many[:12]...)
	if s := status(5); s != "200" {
		t.Errorf("a request after them: %s", s)
	}
	if f.hit(HitHeader) != 1 || f.hit(HitHeaderFields) != 1 {
		t.Errorf("hits %v", f.hits)
	}
}

func TestLimit_HeaderBlocks(t *testing.T) {
	for name, c := range map[string]struct {
		frames, size int
		limit        Limit
	}{
		"many CONTINUATION": {9, 1, HitContinuations},
		"much CONTINUATION": {5, 16 << 10, HitHeader},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFront(t, Config{Handler: hello})
			r := dial(t, f)
			r.check(r.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: r.block(), EndStream: true}))
			for range c.frames {
				_ = r.WriteContinuation(1, false, make([]byte, c.size)) // it may be closed by now
			}
			if code := r.goAway(); code != http2.ErrCodeEnhanceYourCalm {
				t.Errorf("GOAWAY with %v", code)
			}
			if f.hit(c.limit) != 1 {
				t.Errorf("hits %v", f.hits)
			}
		})
	}
}

func TestLimit_ControlFrames(t *testing.T) {
	for name, send := range map[string]func(*rawClient) error{
		"PING":          func(c *rawClient) error { return c.WritePing(false, [8]byte{}) },
		"PING ACK":      func(c *rawClient) error { return c.WritePing(true, [8]byte{}) },
		"SETTINGS":      func(c *rawClient) error { return c.WriteSettings() },
		"PRIORITY":      func(c *rawClient) error { return c.WritePriority(1, http2.PriorityParam{StreamDep: 3}) },
		"WINDOW_UPDATE": func(c *rawClient) error { return c.WriteWindowUpdate(0, 1) },
		"empty DATA":    func(c *rawClient) error { return c.WriteData(1, false, nil) },
		"padded DATA":   func(c *rawClient) error { return c.WriteDataPadded(1, false, nil, make([]byte, 5)) },
		"RST_STREAM":    func(c *rawClient) error { return c.WriteRSTStream(1, http2.ErrCodeCancel) },
		"unknown":       func(c *rawClient) error { return c.WriteRawFrame(0x77, 0, 0, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			begun, release := make(chan *Stream, 1), make(chan struct{})
			f := newFront(t, Config{MaxControlFrames: 50, Handler: held(begun, release)})
			defer close(release)
			c := dial(t, f)
			c.request(1, false)
			<-begun
			for range 100 {
				if send(c) != nil {
					break
				}
			}
			if code := c.goAway(); code != http2.ErrCodeEnhanceYourCalm {
				t.Errorf("GOAWAY with %v", code)
			}
			if f.hit(HitControlFrames) != 1 {
				t.Errorf("hits %v", f.hits)
			}
		})
	}
}

func TestLimit_AnswersThatAreNotRead(t *testing.T) {
	f := newFront(t, Config{MaxControlFrames: 1 << 30, Handler: hello})
	c := dial(t, f)
	for c.WritePing(false, [8]byte{}) == nil { // and nothing is read
	}
	f.until(HitControlFrames)
}

func TestLimit_HeaderTimeout(t *testing.T) {
	for name, send := range map[string]func(*rawClient){
		"no preface":     func(*rawClient) {},
		"half a preface": func(c *rawClient) { _, _ = io.WriteString(c.nc, preface[:10]) },
		"no SETTINGS":    func(c *rawClient) { _, _ = io.WriteString(c.nc, preface) },
		"half a frame":   func(c *rawClient) { c.settle(); _, _ = c.nc.Write([]byte{0, 0, 8, framePing, 0}) },
		"half a HEADERS": func(c *rawClient) { c.settle(); _, _ = c.nc.Write([]byte{0, 0, 8, frameHeaders, 4, 0, 0, 0, 1, 0x82}) },
		"half a header block": func(c *rawClient) {
			c.settle()
			_ = c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: c.block()})
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFront(t, Config{HeaderTimeout: 30 * time.Millisecond, Handler: hello})
			c := dialBare(t, f)
			send(c)
			c.goAway()
			if f.hit(HitHeaderTimeout) != 1 {
				t.Errorf("hits %v", f.hits)
			}
		})
	}
}

// settle sends what a client begins with.
func (c *rawClient) settle() {
	_, err := io.WriteString(c.nc, preface)
	c.check(err)
	c.check(c.WriteSettings())
}

func TestLimit_IdleTimeoutBeginsWithTheLastStream(t *testing.T) {
	begun, release := make(chan *Stream, 1), make(chan struct{})
	f := newFront(t, Config{IdleTimeout: 50 * time.Millisecond, Handler: held(begun, release)})
	c := dial(t, f)
	c.request(1, true)
	<-begun
	time.AfterFunc(150*time.Millisecond, func() { close(release) }) // three times as long as without a stream
	c.ends(1)
	if code := c.goAway(); code != http2.ErrCodeNo {
		t.Errorf("GOAWAY with %v", code)
	}
	if err := f.endsWith(); err != nil || f.hit(HitIdleTimeout) != 1 {
		t.Errorf("%v, hits %v", err, f.hits)
	}
}

func TestLimit_WriteTimeoutOfAWindow(t *testing.T) {
	failed := make(chan error, 1)
	f := newFront(t, Config{WriteTimeout: 50 * time.Millisecond, Handler: func(s *Stream) {
		if string(s.Path) != "/long" {
			hello(s)
			return
		}
		_ = s.WriteHead(200, nil)
		_, err := s.Write(make([]byte, 100))
		failed <- err
	}})
	c := dial(t, f, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 10})
	c.request(1, true, ":path", "/long")
	if code := c.reset(1); code != http2.ErrCodeCancel {
		t.Errorf("reset with %v", code)
	}
	if err := <-failed; !errors.Is(err, ErrTimeout) || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Write returned %v", err)
	}
	if f.hit(HitWriteTimeout) != 1 {
		t.Errorf("hits %v", f.hits)
	}
	c.request(3, true)
	c.ends(3)
}

// A client that takes a little now and then is served.
func TestLimit_WriteTimeoutIsAboutProgress(t *testing.T) {
	f := newFront(t, Config{WriteTimeout: 200 * time.Millisecond, Handler: func(s *Stream) {
		_ = s.WriteHead(200, nil)
		_, _ = s.Write(make([]byte, 100))
		_ = s.End(nil)
	}})
	c := dial(t, f, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 10})
	c.request(1, true)
	for range 9 {
		time.Sleep(40 * time.Millisecond) // the client takes its time, longer than the limit in all
		c.check(c.WriteWindowUpdate(1, 10))
	}
	c.ends(1)
}

func TestLimit_WriteTimeoutOfAConnection(t *testing.T) {
	failed := make(chan error, 1)
	f := newFront(t, Config{WriteTimeout: 50 * time.Millisecond, Handler: func(s *Stream) {
		_ = s.WriteHead(200, nil)
		var err error
		for err == nil {
			_, err = s.Write(make([]byte, 64<<10))
		}
		failed <- err
	}})
	c := dial(t, f, http2.Setting{ID: http2.SettingInitialWindowSize, Val: maxWindow})
	c.check(c.WriteWindowUpdate(0, maxWindow-defaultWindow))
	c.request(1, true)
	<-failed // though the client has opened its windows: it reads nothing
	var n net.Error
	if err := f.endsWith(); !errors.As(err, &n) || !n.Timeout() || f.hit(HitWriteTimeout) != 1 {
		t.Errorf("%v, hits %v", err, f.hits)
	}
}

func TestLimit_BodiesWaitWithinTheirWindows(t *testing.T) {
	begun, release := make(chan *Stream, 10), make(chan struct{})
	f := newFront(t, Config{Handler: held(begun, release)})
	defer close(release)
	c := dial(t, f)
	c.request(1, false)
	piece := make([]byte, maxFrame)
	for range streamWindow / maxFrame {
		c.check(c.WriteData(1, false, piece))
	}
	c.check(c.WriteData(1, false, piece[:1]))
	if code := c.reset(1); code != http2.ErrCodeFlowControl {
		t.Errorf("reset with %v", code)
	}
	for id := uint32(3); id < 11; id += 2 {
		c.request(id, false)
	}
	for n := streamWindow; n < connWindow; n += maxFrame {
		c.check(c.WriteData(3+uint32(n/streamWindow-1)*2, false, piece))
	}
	c.check(c.WriteData(9, false, piece[:1]))
	if code := c.goAway(); code != http2.ErrCodeFlowControl {
		t.Errorf("GOAWAY with %v", code)
	}
}

// All streams are gone over once for each frame of SETTINGS, not for each of the
// 2,730 settings that one has room for.
func TestSettings_TheLastWindowOfAFrameCounts(t *testing.T) {
	begun := make(chan *Stream, 1)
	f := newFront(t, Config{Handler: func(s *Stream) {
		begun <- s
		_ = s.WriteHead(200, nil)
		_, _ = s.Write(make([]byte, defaultWindow+500))
		_ = s.End(nil)
	}})
	c := dial(t, f, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	c.request(1, true)
	<-begun
	// The largest would be too large for the stream, but does not last.
	c.check(c.WriteWindowUpdate(1, 100))
	c.check(c.WriteWindowUpdate(0, 1000))
	c.check(c.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: maxWindow}, http2.Setting{ID: http2.SettingInitialWindowSize, Val: defaultWindow + 400}))
	c.ends(1)
}

// Padding counts for the windows (RFC 9113 §6.1), and is nothing that a Handler
// could read.
func TestBody_PaddingAloneDoesNotCloseTheWindow(t *testing.T) {
	f := newFront(t, Config{MaxControlFrames: 1 << 20, Handler: func(s *Stream) {
		_, _ = s.ReadBody()
		hello(s)
	}})
	c := dial(t, f)
	c.request(1, false)
	for range 2 * streamWindow / 256 {
		c.check(c.WriteDataPadded(1, false, nil, make([]byte, 255)))
	}
	c.check(c.WriteData(1, true, nil))
	c.ends(1)
}

// Where bodies that wait leave little of the connection's window, what is read is
// given back at once: the client has nothing else to send with.
func TestBody_OthersThatWaitDoNotKeepOneFromComing(t *testing.T) {
	begun, release := make(chan *Stream, 10), make(chan struct{})
	answer := sync.OnceFunc(func() { close(release) })
	f := newFront(t, Config{Handler: func(s *Stream) {
		if string(s.Path) == "/held" {
			held(begun, release)(s)
			return
		}
		echo(s)
	}})
	t.Cleanup(answer) // before the front's
	c := dial(t, f)
	for id := uint32(1); id < 9; id += 2 { // all of the window but two frames
		c.request(id, false, ":path", "/held")
		<-begun
		for range streamWindow/maxFrame - int(id/7)*2 {
			c.check(c.WriteData(id, false, make([]byte, maxFrame)))
		}
	}
	c.request(9, false)
	c.check(c.WriteData(9, false, make([]byte, maxFrame)))
	back := uint32(0)
	c.until(func(f http2.Frame) bool {
		if w, ok := f.(*http2.WindowUpdateFrame); ok && w.StreamID == 0 {
			back += w.Increment
		}
		return back >= maxFrame/2 // the last of it may wait for more, if it came in pieces
	})
}
