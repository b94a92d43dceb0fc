package http2

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

func TestShutdown_ServesWhatIsOpenAndOnItsWay(t *testing.T) {
	begun, release := make(chan *Stream, 2), make(chan struct{})
	f := newFront(t, Config{Handler: held(begun, release)})
	c := dial(t, f)
	c.request(1, true)
	<-begun
	(<-f.conns).Shutdown()
	c.until(func(f http2.Frame) bool {
		g, ok := f.(*http2.GoAwayFrame)
		return ok && g.LastStreamID == maxStreamID && g.ErrCode == http2.ErrCodeNo
	})
	c.request(3, true) // it was on its way
	var ping [8]byte
	c.until(func(f http2.Frame) bool {
		p, ok := f.(*http2.PingFrame)
		if ok {
			ping = p.Data
		}
		return ok
	})
	c.check(c.WritePing(true, ping))
	c.until(func(f http2.Frame) bool {
		g, ok := f.(*http2.GoAwayFrame)
		return ok && g.LastStreamID == 3
	})
	c.request(5, true) // the client could know, and is not answered
	close(release)
	seen := map[uint32]bool{}
	for {
		fr, err := c.ReadFrame()
		if err != nil {
			if err != io.EOF {
				t.Error(err)
			}
			break
		}
		if h := fr.Header(); h.Flags&flagEndStream != 0 && h.Type == http2.FrameData {
			seen[h.StreamID] = true
		}
	}
	if !seen[1] || !seen[3] || seen[5] {
		t.Errorf("answered were %v", seen)
	}
	if err := f.endsWith(); err != nil {
		t.Errorf("Serve returned %v", err)
	}
}

func TestShutdown_OfAnIdleClientThatDoesNotAnswer(t *testing.T) {
	f := newFront(t, Config{Handler: hello})
	c := dial(t, f)
	(<-f.conns).Shutdown()
	if code := c.goAway(); code != http2.ErrCodeNo {
		t.Errorf("GOAWAY with %v", code)
	}
}

func TestShutdown_ANetHTTPClientGoesElsewhere(t *testing.T) {
	f := newFront(t, Config{Handler: hello})
	c := client(t)
	get(t, c, "http://"+f.addr)
	(<-f.conns).Shutdown()
	for range 50 {
		get(t, c, "http://"+f.addr)
	}
	if err := f.endsWith(); err != nil {
		t.Errorf("Serve returned %v", err)
	}
}

func TestClose_EndsHandlersThatWait(t *testing.T) {
	ended := make(chan error, 2)
	f := newFront(t, Config{Handler: func(s *Stream) {
		if string(s.Path) == "/read" {
			_, err := s.ReadBody()
			ended <- err
			return
		}
		_ = s.WriteHead(200, nil)
		s.Flush()
		_, err := s.Write(make([]byte, 1<<20))
		ended <- err
	}})
	c := dial(t, f)
	c.request(1, false, ":path", "/read")
	c.request(3, true)
	c.until(func(f http2.Frame) bool { return f.Header().Type == http2.FrameData })
	(<-f.conns).Close()
	for range 2 {
		if err := <-ended; !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("a handler's error is %v", err)
		}
	}
	if err := f.endsWith(); err != nil {
		t.Errorf("Serve returned %v", err)
	}
}

func TestClose_ByTheClientTellsHandlers(t *testing.T) {
	told := make(chan struct{})
	f := newFront(t, Config{Handler: func(s *Stream) {
		gone := make(chan struct{})
		defer s.Watch(func() { close(gone) })()
		<-gone
		close(told)
	}})
	c := dial(t, f)
	c.request(1, true)
	c.check(c.WritePing(false, [8]byte{}))
	c.until(func(f http2.Frame) bool { return f.Header().Type == http2.FramePing })
	c.nc.Close()
	<-told
}

func TestStream_DeadlinesOfTheHandler(t *testing.T) {
	errs := make(chan error, 3)
	f := newFront(t, Config{Handler: func(s *Stream) {
		s.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		_, err := s.ReadBody()
		errs <- err
		_ = s.WriteHead(200, nil)
		s.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
		_, err = s.Write(make([]byte, 1<<20))
		errs <- err
		s.SetWriteDeadline(time.Time{})
		s.StopBody()
		s.SetReadDeadline(time.Time{})
		_, err = s.ReadBody()
		errs <- err
		_ = s.End(nil)
	}})
	c := dial(t, f)
	c.request(1, false)
	c.ends(1) // a deadline does no harm to the stream
	for range 3 {
		var timeout interface{ Timeout() bool }
		if err := <-errs; !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("%v", err)
		}
	}
}

func TestStream_UploadAndDownloadAtOnce(t *testing.T) {
	f := newFront(t, Config{Handler: echo})
	reader, writer := io.Pipe()
	req, _ := http.NewRequest("POST", "http://"+f.addr, reader)
	resp, err := client(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for _, word := range []string{"ping", "pong", "last"} {
		if _, err := io.WriteString(writer, word); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 4)
		if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != word {
			t.Fatalf("%q, %v", got, err)
		}
	}
	writer.Close()
	if rest, err := io.ReadAll(resp.Body); len(rest) > 0 || err != nil {
		t.Errorf("%q, %v", rest, err)
	}
}

// RFC 9113 §6.8: what a client began before it knew is not answered, and must not
// be held against the streams that are.
func TestShutdown_FramesOfStreamsThatCameTooLateDoNoHarm(t *testing.T) {
	begun, release := make(chan *Stream, 2), make(chan struct{})
	f := newFront(t, Config{Handler: held(begun, release)})
	answer := sync.OnceFunc(func() { close(release) })
	t.Cleanup(answer)
	c := dial(t, f)
	c.request(1, true)
	<-begun
	conn := <-f.conns
	conn.Shutdown()
	c.until(func(f http2.Frame) bool { // nothing is said to the first
		g, ok := f.(*http2.GoAwayFrame)
		return ok && g.LastStreamID == 1
	})
	c.request(3, false)
	for range 2 * connWindow / maxFrame { // which the connection's window has to get back
		conn.mu.Lock()
		room := conn.receiveWindow
		conn.mu.Unlock()
		if room < maxFrame {
			t.Fatal("the connection's window leaks")
		}
		c.check(c.WriteData(3, false, make([]byte, maxFrame)))
		c.check(c.WritePing(false, [8]byte{}))
		c.until(func(f http2.Frame) bool { return f.Header().Type == http2.FramePing })
	}
	c.check(c.WriteWindowUpdate(3, 2000))
	c.request(3, true, "-:method", "", "-:scheme", "", "-:authority", "", "-:path", "", "x-trailer", "1")
	c.check(c.WriteRSTStream(3, http2.ErrCodeCancel))
	answer()
	c.ends(1)
	if err := f.endsWith(); err != nil {
		t.Errorf("Serve returned %v", err)
	}
}

// The end of an answer may take longer to arrive than its Handler took to write
// it, and nothing of it is lost when the connection is to end.
func TestShutdown_ASlowClientGetsTheEndOfItsAnswer(t *testing.T) {
	stuck, next := make(chan struct{}), make(chan struct{})
	wrap := func(_ *front, nc net.Conn) net.Conn {
		return &slowConn{TCPConn: nc.(*net.TCPConn), stuck: stuck, next: next}
	}
	f := newFrontOver(t, Config{Handler: func(s *Stream) {
		_ = s.WriteHead(200, nil)
		_, _ = s.Write(make([]byte, 40<<10))
		_ = s.End(nil)
	}}, wrap)
	c := dial(t, f)
	c.request(1, true)
	<-stuck
	conn := <-f.conns
	conn.Shutdown()
	c.check(c.WritePing(true, [8]byte([]byte(leavingPing))))
	select {
	case err := <-f.ended:
		t.Fatalf("the connection ended before its answer was out: %v", err)
	case <-time.After(lingerTime + time.Second): // what used to be all that it had
	}
	close(next)
	c.ends(1)
	if code := c.goAway(); code != http2.ErrCodeNo {
		t.Errorf("GOAWAY with %v", code)
	}
}

// slowConn takes what is long only when it may, or its deadline is over.
type slowConn struct {
	*net.TCPConn
	stuck, next chan struct{}
	deadline    atomic.Pointer[time.Time]
}

func (c *slowConn) SetWriteDeadline(t time.Time) error {
	c.deadline.Store(&t)
	return c.TCPConn.SetWriteDeadline(t)
}

func (c *slowConn) Write(p []byte) (int, error) {
	for long := len(p) > flushFrom/2; long; {
		select {
		case c.stuck <- struct{}{}:
		case <-c.next:
			long = false
		case <-time.After(10 * time.Millisecond):
			if d := c.deadline.Load(); d != nil && !d.IsZero() && time.Now().After(*d) {
				return 0, os.ErrDeadlineExceeded
			}
		}
	}
	return c.TCPConn.Write(p)
}

// Nothing may come before the server's SETTINGS (RFC 9113 §3.4), even where the
// server ends before it has begun.
func TestShutdown_BeforeTheGreeting(t *testing.T) {
	ours, theirs := net.Pipe()
	defer theirs.Close()
	conn := NewServer(Config{Handler: hello}).NewConn(ours, nil)
	conn.Shutdown()
	conn.Shutdown()
	ended := make(chan error, 1)
	go func() { // ends with the connection, awaited below
		_, err := conn.Serve(true)
		ended <- err
	}()
	fr, err := http2.NewFramer(nil, theirs).ReadFrame()
	if err != nil || fr.Header().Type != http2.FrameSettings {
		t.Errorf("the first frame is %v, %v", fr, err)
	}
	theirs.Close()
	<-ended
}
