package proxy

import (
	"time"

	"wsfront/proxy/frame"
	"wsfront/proxy/relay"
)

// result is the account, once both sides are closed. What the library still
// writes from there on is not in it.
func (r *messageRun) result() relay.Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	final, ending := r.stats(), r.ending.Load()
	r.final = &final
	return relay.Result{
		FromClient: final.FromClient, FromBackend: final.FromBackend, Reason: ending.reason, Err: ending.err,
		CloseCode: ending.code, CloseReason: ending.text, ClosedBy: ending.by, Duration: time.Since(r.begin),
	}
}

// Stats is as that of relay.Tunnel.
func (r *messageRun) Stats() relay.Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.final != nil {
		return *r.final
	}
	return r.stats()
}

// stats is the account as it stands. Bytes are those on the client's wire.
func (r *messageRun) stats() relay.Stats {
	client, backend := &r.ends[frame.FromClient], &r.ends[frame.FromBackend]
	s := relay.Stats{
		FromClient:    relay.Traffic{Bytes: client.received.Load(), Messages: client.messages.Load()},
		FromBackend:   relay.Traffic{Bytes: client.sent.Load(), Messages: backend.messages.Load()},
		Opened:        r.begin,
		Moved:         r.begin.Add(time.Duration(r.moved.Load())),
		PingRoundTrip: time.Duration(client.trip.Load()),
	}
	if at := client.ponged.Load(); at != 0 {
		s.Ponged = r.begin.Add(time.Duration(at))
	}
	return s
}

// Close is as that of relay.Tunnel.
func (r *messageRun) Close(code uint16, reason string) {
	word := lastWord{true, code, reason}
	r.end(messageEnding{reason: relay.Closed, by: "front", code: code, text: reason, words: [2]lastWord{word, word}})
}

// notePong notes that the peer has answered a ping of ours.
func (e *messageEnd) notePong(now int64) {
	at := e.pinged.Swap(0)
	if at == 0 || e.side != frame.FromClient {
		return
	}
	e.ponged.Store(now)
	e.trip.Store(now - at)
	e.run.pings.Add(time.Duration(now - at))
}
