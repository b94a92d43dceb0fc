package proxy

import (
	"testing"

	"golang.org/x/net/http2"
)

// A connection that has been idle for a while has no goroutine, and goes on when
// its client does, or says goodbye.
func TestStream_ParkedConnectionsGoOn(t *testing.T) {
	app, _ := answering(t, okAnswer)
	f := serveFront(t, Route{Path: "/", App: app})
	c := dialHTTP2(t, f)
	for range 2 {
		if got := c.ask("", true); got.status != "200" {
			t.Fatalf("%+v", got)
		}
		until(t, "the connection is parked", func() bool { return f.conns.lot.Len() == 1 })
	}
	f.stop()
	for {
		fr, err := c.ReadFrame()
		c.check(err)
		if g, ok := fr.(*http2.GoAwayFrame); ok {
			if g.ErrCode != http2.ErrCodeNo {
				t.Errorf("GOAWAY %v", g.ErrCode)
			}
			return
		}
	}
}

// One that gives way for another is told what of it was served.
func TestStream_AParkedConnectionThatGivesWaySaysGoodbye(t *testing.T) {
	app, _ := answering(t, okAnswer)
	f := serveFront(t, Route{Path: "/", App: app})
	c := dialHTTP2(t, f)
	if got := c.ask("", true); got.status != "200" {
		t.Fatalf("%+v", got)
	}
	until(t, "the connection is parked", func() bool { return f.conns.lot.Len() == 1 })
	f.conns.makeRoom(1)
	for {
		fr, err := c.ReadFrame()
		c.check(err)
		if g, ok := fr.(*http2.GoAwayFrame); ok {
			if g.ErrCode != http2.ErrCodeNo || g.LastStreamID != 1 {
				t.Errorf("%v", g)
			}
			break
		}
	}
	if _, err := c.ReadFrame(); err == nil {
		t.Error("the connection goes on")
	}
}
