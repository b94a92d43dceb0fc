package http2

import (
	"errors"
	"io"
	"net/http"
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
