package proxy

import (
	"io"
	"testing"
)

// An idle connection gives way to a new one, and the one that has been idle the
// longest is the first.
func TestMaxConnections_IdleOnesGiveWay(t *testing.T) {
	for name, secure := range map[string]bool{"http": false, "https": true} {
		t.Run(name, func(t *testing.T) {
			app, _ := answering(t, okAnswer)
			f := crowdedFront(t, Config{Limits: Limits{MaxConnections: 3}}, secure, Route{Path: "/", App: app})
			oldest, oldestReader := f.dial("")
			askAgain(t, oldest, oldestReader)
			until(t, "it is parked", func() bool { return f.conns.lot.Len() == 1 })
			other, otherReader := f.dial("")
			askAgain(t, other, otherReader)
			until(t, "both are parked", func() bool { return f.conns.lot.Len() == 2 })
			f.dial(partOfARequest)

			f.wantServed("127.0.0.3")
			f.wantHits(limitMaxConnections, 1)
			if _, err := oldestReader.ReadByte(); err != io.EOF {
				t.Errorf("the oldest: %v, want the end", err)
			}
			askAgain(t, other, otherReader)
			f.wantConnections(2)
			until(t, "it is parked again", func() bool { return f.conns.lot.Len() == 1 })
			oldest.Close()
			other.Close()
		})
	}
}

// For want of descriptors, idle connections are closed as well.
func TestClientConns_MakeRoom(t *testing.T) {
	f, _, r := parkedFront(t, 0)
	f.conns.makeRoom(roomMade)
	if _, err := r.ReadByte(); err != io.EOF {
		t.Errorf("%v, want the end", err)
	}
	until(t, "it is forgotten", func() bool {
		f.conns.mu.Lock()
		defer f.conns.mu.Unlock()
		return f.conns.count == 0 && f.conns.active.first == nil && f.conns.parked.first == nil
	})
}
