package statuspage

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"wsfront/cmd/internal/admin"
	"wsfront/proxy"
)

// maxTunnels is how many tunnels a page is told of, the newest.
const maxTunnels = 5000

// state is what those know who have had all ticks. The zero value is ready for use.
type state struct {
	number  uint64    // of the last tick
	time    time.Time // of the same
	status  map[string]json.RawMessage
	tunnels map[string]*told // by their IDs; nil while there is no state
}

// told is what was told of a tunnel.
type told struct {
	proxy.TunnelState
	id   []byte // as JSON
	tick uint64 // the last one in which it was open
}

// forget gives up what takes memory.
func (s *state) forget() { s.status, s.tunnels = nil, nil }

// advance makes s the state of this moment, and returns the tick that says what was
// changed. Where that cannot be told, the tick is empty and does not follow the one
// before it.
func (s *state) advance(status admin.Status, tunnels []proxy.TunnelState) ([]byte, error) {
	parts, err := partsOf(status)
	if err != nil {
		return nil, err
	}
	s.number++
	s.time = status.Time
	forgotten := s.tunnels == nil
	if forgotten {
		s.tunnels = make(map[string]*told, min(len(tunnels), maxTunnels))
	}
	changes := appendParts(make([]byte, 0, 4<<10), parts, s.status)
	s.status = parts
	changes = s.appendTunnels(changes, newest(tunnels))
	if forgotten || len(changes) > maxChanges {
		s.number++
		changes = nil
	}
	return append(append(s.appendHead(nil), changes...), '}'), nil
}

// append appends the whole state.
func (s *state) append(b []byte) []byte {
	b = appendParts(s.appendHead(b), s.status, nil)
	list := make([]proxy.TunnelState, 0, len(s.tunnels))
	for _, t := range s.tunnels {
		list = append(list, t.TunnelState)
	}
	return append(appendNew(b, list), '}')
}

// appendHead appends what each tick and a state begin with.
func (s *state) appendHead(b []byte) []byte {
	b = strconv.AppendUint(append(b, `{"number":`...), s.number, 10)
	return strconv.AppendInt(append(b, `,"time":`...), s.time.UnixMilli(), 10)
}

// partsOf takes a status apart by its fields. The time is that of the tick.
func partsOf(status admin.Status) (map[string]json.RawMessage, error) {
	text, err := json.Marshal(status)
	if err != nil {
		return nil, fmt.Errorf("write the status: %w", err)
	}
	var parts map[string]json.RawMessage
	if err := json.Unmarshal(text, &parts); err != nil {
		return nil, fmt.Errorf("take the status apart: %w", err)
	}
	delete(parts, "time")
	return parts, nil
}

// appendParts appends those parts that are not as they were before.
func appendParts(b []byte, parts, before map[string]json.RawMessage) []byte {
	changed := jsonList{open: `,"status":{`, shut: '}'}
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		if !bytes.Equal(parts[name], before[name]) {
			b = append(append(append(changed.next(b), '"'), name...), `":`...)
			b = append(b, parts[name]...)
		}
	}
	return changed.end(b)
}

// newest are the maxTunnels newest of a list, which is put in order for that where
// it has more.
func newest(list []proxy.TunnelState) []proxy.TunnelState {
	if len(list) <= maxTunnels {
		return list
	}
	slices.SortFunc(list, func(a, b proxy.TunnelState) int {
		return cmp.Or(b.Opened.Compare(a.Opened), cmp.Compare(a.ID, b.ID))
	})
	return list[:maxTunnels]
}

// appendTunnels appends what differs in a list from what was told.
func (s *state) appendTunnels(b []byte, list []proxy.TunnelState) []byte {
	var fresh []proxy.TunnelState
	changed := jsonList{open: `,"moved":[`, shut: ']'}
	for _, now := range list {
		before := s.tunnels[now.ID]
		if before == nil {
			id, _ := json.Marshal(now.ID) // a string always has a form
			s.tunnels[now.ID] = &told{now, id, s.number}
			fresh = append(fresh, now)
			continue
		}
		before.tick = s.number
		if moved(&now, &before.TunnelState) {
			before.TunnelState = now
			b = before.appendFigures(changed.next(b))
		}
	}
	b = appendNew(changed.end(b), fresh)
	gone := jsonList{open: `,"gone":[`, shut: ']'}
	for id, t := range s.tunnels {
		if t.tick != s.number {
			b = append(gone.next(b), t.id...)
			delete(s.tunnels, id)
		}
	}
	return gone.end(b)
}

// moved says whether something differs that changes while a tunnel is open.
func moved(a, b *proxy.TunnelState) bool {
	return a.MessagesIn != b.MessagesIn || a.MessagesOut != b.MessagesOut || a.BytesIn != b.BytesIn || a.BytesOut != b.BytesOut ||
		!a.Moved.Equal(b.Moved) || !a.Ponged.Equal(b.Ponged) || a.PingSeconds != b.PingSeconds
}

// appendNew appends tunnels of which nothing was told yet.
func appendNew(b []byte, list []proxy.TunnelState) []byte {
	if len(list) == 0 {
		return b
	}
	text, _ := json.Marshal(list) // has texts, numbers and times of this age alone
	return append(append(b, `,"new":`...), text...)
}

// appendFigures appends what changes of a tunnel while it is open, as a list in the
// order in which page/feed.js reads it.
func (t *told) appendFigures(b []byte) []byte {
	b = append(append(b, '['), t.id...)
	for _, n := range []int64{
		t.MessagesIn, t.MessagesOut, t.BytesIn, t.BytesOut, milliseconds(t.Moved), milliseconds(t.Ponged),
	} {
		b = strconv.AppendInt(append(b, ','), n, 10)
	}
	return append(strconv.AppendFloat(append(b, ','), t.PingSeconds, 'g', -1, 64), ']')
}

// milliseconds are those since 1970, 0 for never.
func milliseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// jsonList appends the members of an array or object, which is left out where it
// has none.
type jsonList struct {
	open string
	shut byte
	any  bool
}

func (l *jsonList) next(b []byte) []byte {
	if l.any {
		return append(b, ',')
	}
	l.any = true
	return append(b, l.open...)
}

func (l *jsonList) end(b []byte) []byte {
	if l.any {
		b = append(b, l.shut)
	}
	return b
}
