package http2

import (
	"net"
	"slices"
	"testing"

	"golang.org/x/net/http2"

	"wsfront/proxy/http1"
)

// kinds lists the frames of what was written at once.
func kinds(p []byte) (list []byte) {
	for len(p) > 0 {
		h := parseFrameHead(p)
		list = append(list, h.kind)
		p = p[frameHeadLen+h.length:]
	}
	return list
}

func TestWrite_ASmallAnswerGoesOutAtOnce(t *testing.T) {
	f := newFrontOver(t, Config{Handler: hello}, func(f *front, nc net.Conn) net.Conn { return noted{nc, f} })
	c := dial(t, f)
	c.request(1, true)
	c.ends(1)
	f.mu.Lock()
	defer f.mu.Unlock()
	last := f.writes[len(f.writes)-1]
	if got := kinds(last); !slices.Equal(got, []byte{frameHeaders, frameData}) {
		t.Errorf("the last write has frames %v", got)
	}
}

func TestWrite_AnAnswerWithoutABodyIsOneFrame(t *testing.T) {
	f := newFront(t, Config{Handler: func(s *Stream) {
		_ = s.WriteHead(304, []http1.Field{field("Etag", `"1"`)})
		_ = s.End(nil)
	}})
	c := dial(t, f)
	c.request(1, true)
	c.until(func(f http2.Frame) bool {
		h, ok := f.(*http2.HeadersFrame)
		if ok && !h.StreamEnded() {
			t.Error("the head does not end the stream")
		}
		return ok
	})
}

// A page is not kept waiting by a download that has begun before.
func TestWrite_StreamsTakeTurns(t *testing.T) {
	f := newFront(t, Config{Handler: func(s *Stream) {
		_ = s.WriteHead(200, nil)
		n := 64 << 20
		if string(s.Path) == "/small" {
			n = 100 << 10
		}
		_, _ = s.Write(make([]byte, n))
		_ = s.End(nil)
	}})
	c := dial(t, f, http2.Setting{ID: http2.SettingInitialWindowSize, Val: maxWindow})
	c.check(c.WriteWindowUpdate(0, maxWindow-defaultWindow))
	const large = 8
	for i := range large {
		c.request(uint32(2*i+1), true)
	}
	got := map[uint32]int{}
	count := func(f http2.Frame) {
		if d, ok := f.(*http2.DataFrame); ok {
			got[d.StreamID] += len(d.Data())
		}
	}
	c.until(func(f http2.Frame) bool { // all of them have begun
		count(f)
		return len(got) == large
	})
	clear(got)
	c.request(101, true, ":path", "/small")
	c.until(func(f http2.Frame) bool {
		count(f)
		return f.Header().StreamID == 101 && f.Header().Flags&flagEndStream != 0
	})
	total, most, least := 0, 0, 1<<40
	for i := range large {
		n := got[uint32(2*i+1)]
		total, most, least = total+n, max(most, n), min(least, n)
	}
	// What waited in the kernel when it was asked for is the most of it.
	if total > 32<<20 {
		t.Errorf("%d bytes of others came before 100 KiB", total)
	}
	if most-least > 4*maxFrame+most/4 {
		t.Errorf("of the downloads one has had %d bytes and one %d", most, least)
	}
}

func TestWrite_TheConnectionsWindowIsShared(t *testing.T) {
	f := newFront(t, Config{Handler: func(s *Stream) {
		_ = s.WriteHead(200, nil)
		_, _ = s.Write(make([]byte, 100<<10))
		_ = s.End(nil)
	}})
	c := dial(t, f, http2.Setting{ID: http2.SettingInitialWindowSize, Val: maxWindow})
	for id := uint32(1); id < 20; id += 2 {
		c.request(id, true)
	}
	ended := 0
	c.until(func(f http2.Frame) bool {
		if d, ok := f.(*http2.DataFrame); ok {
			if n := len(d.Data()); n > 0 {
				c.check(c.WriteWindowUpdate(0, uint32(n))) // no more than has come
			}
			if d.StreamEnded() {
				ended++
			}
		}
		return ended == 10
	})
}

// An answer without a body needs no window, and is not kept waiting by those who
// do.
func TestWrite_AHeadNeedsNoWindow(t *testing.T) {
	f := newFront(t, Config{Handler: func(s *Stream) {
		_ = s.WriteHead(200, nil)
		if string(s.Path) == "/" {
			_, _ = s.Write(make([]byte, 1<<20))
		}
		_ = s.End(nil)
	}})
	c := dial(t, f, http2.Setting{ID: http2.SettingInitialWindowSize, Val: maxWindow})
	c.request(1, true)
	for n := 0; n < defaultWindow; {
		c.until(func(f http2.Frame) bool {
			d, ok := f.(*http2.DataFrame)
			if ok {
				n += len(d.Data())
			}
			return ok
		})
	}
	c.request(3, true, ":path", "/empty")
	c.ends(3)
}

// After a client has changed the size of our table, which we do not use, the
// next block says so (RFC 7541 §4.2).
func TestWrite_TheTableIsGivenUpWhenItsSizeChanges(t *testing.T) {
	f := newFront(t, Config{Handler: hello})
	c := dial(t, f, http2.Setting{ID: http2.SettingHeaderTableSize, Val: 100})
	for _, want := range []bool{true, false} {
		id := uint32(1)
		if !want {
			id = 3
		}
		c.request(id, true)
		c.until(func(f http2.Frame) bool {
			h, ok := f.(*http2.HeadersFrame)
			if ok && (h.HeaderBlockFragment()[0] == noTable) != want {
				t.Errorf("the block begins with %#x", h.HeaderBlockFragment()[0])
			}
			return ok
		})
	}
}

func TestWrite_WindowsMayShrinkBelowZero(t *testing.T) {
	f := newFront(t, Config{Handler: func(s *Stream) {
		_ = s.WriteHead(200, nil)
		_, _ = s.Write(make([]byte, 150))
		_ = s.End(nil)
	}})
	c := dial(t, f, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 100})
	c.request(1, true)
	data := 0
	c.until(func(f http2.Frame) bool {
		d, ok := f.(*http2.DataFrame)
		if ok {
			data += len(d.Data())
		}
		return ok
	})
	c.check(c.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 10})) // now -90
	c.check(c.WriteWindowUpdate(1, 90))                                                  // now 0
	c.check(c.WritePing(false, [8]byte{}))
	c.until(func(f http2.Frame) bool {
		if f.Header().Type == http2.FrameData {
			t.Error("DATA beyond the window")
		}
		return f.Header().Type == http2.FramePing
	})
	c.check(c.WriteWindowUpdate(1, 50))
	c.ends(1)
	if data != 100 {
		t.Errorf("%d bytes came first", data)
	}
}
