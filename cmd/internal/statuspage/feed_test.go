package statuspage

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"reflect"
	"strconv"
	"sync"
	"testing"
	"time"

	"wsfront/proxy"
)

// viewer does with ticks what page/feed.js does.
type viewer struct {
	number  uint64
	status  map[string]json.RawMessage
	tunnels map[string]proxy.TunnelState
}

// load makes the state that of an answer.
func (v *viewer) load(s tick) {
	v.tunnels, v.status = map[string]proxy.TunnelState{}, map[string]json.RawMessage{}
	v.apply(s)
}

func (v *viewer) apply(e tick) {
	v.number = e.Number
	for name, part := range e.Status {
		v.status[name] = part
	}
	for _, id := range e.Gone {
		delete(v.tunnels, id)
	}
	for _, figures := range e.Moved {
		id := figures[0].(string)
		t := v.tunnels[id]
		t.MessagesIn, t.MessagesOut, t.BytesIn, t.BytesOut = number(figures[1]), number(figures[2]), number(figures[3]), number(figures[4])
		t.Moved, t.PingSeconds = time.UnixMilli(number(figures[5])), figures[7].(float64)
		v.tunnels[id] = t
	}
	for _, t := range e.New {
		v.tunnels[t.ID] = t
	}
}

func number(a any) int64 { return int64(a.(float64)) }

// shows compares what is shown with what is there.
func (v *viewer) shows(s *server) bool {
	there := map[string]proxy.TunnelState{}
	for _, t := range s.list() {
		there[t.ID] = t
	}
	if len(there) != len(v.tunnels) {
		return false
	}
	for id, t := range v.tunnels {
		want := there[id]
		if t.MessagesIn != want.MessagesIn || t.BytesIn != want.BytesIn || t.Moved.UnixMilli() != want.Moved.UnixMilli() || !t.Opened.Equal(want.Opened) || t.Client != want.Client {
			return false
		}
	}
	totals, _ := json.Marshal(s.status(context.Background()).Tunnels)
	return string(v.status["tunnels"]) == string(totals)
}

// follow shows a server over an event stream until it is what is there when quiet
// is closed.
func (v *viewer) follow(t *testing.T, url string, s *server, quiet <-chan struct{}) {
	events := listen(t, url, "")
	v.load(stateOf(t, url))
	for {
		select {
		case <-quiet:
			if v.shows(s) {
				return
			}
		default:
		}
		e := events.must()
		switch {
		case e.Number <= v.number:
		case e.Number != v.number+1:
			v.load(stateOf(t, url))
		default:
			v.apply(e)
		}
	}
}

// TestFeed_PagesShowWhatIsThere has tunnels come and go, many of them between two
// ticks, while pages come: each of them must end up with what is there.
func TestFeed_PagesShowWhatIsThere(t *testing.T) {
	s := newServer()
	p, url := newTestPage(t, s)
	p.feed.interval = 2 * time.Millisecond
	p.runs(t)
	quiet := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { // ends with its loop; awaited below
		defer close(quiet)
		for range 20_000 {
			switch ids := s.ids(); {
			case len(ids) < 10 || rand.IntN(4) == 0 && len(ids) < 50:
				s.open()
			case rand.IntN(3) == 0:
				s.end(ids[rand.IntN(len(ids))])
			default:
				s.move(ids[rand.IntN(len(ids))])
			}
		}
	})
	t.Run("pages", func(t *testing.T) {
		for i := range 8 {
			t.Run(strconv.Itoa(i), func(t *testing.T) {
				t.Parallel()
				var v viewer
				v.follow(t, url, s, quiet)
			})
		}
	})
	wg.Wait()
}

func TestFeed_NothingIsMadeWhileNobodyListens(t *testing.T) {
	s := newServer()
	p, url := newTestPage(t, s)
	p.steps(t)
	if s.asked != 0 {
		t.Errorf("the status was asked for %d times before anybody came", s.asked)
	}
	events := listen(t, url, "")
	p.steps(t)
	events.must()
	if s.asked != 1 {
		t.Errorf("the status was asked for %d times for one tick", s.asked)
	}
	events.leave()
	p.left(t)
	p.steps(t)
	if s.asked != 1 || p.feed.state.tunnels == nil {
		t.Error("a tick was made, or the state given up, right after the last one left")
	}
	p.feed.keep = 0
	p.steps(t)
	if s.asked != 1 || p.feed.state.tunnels != nil || p.feed.state.status != nil {
		t.Error("a tick was made, or the state is kept, when nobody has come back")
	}
}

// TestFeed_StateIsWhatTheTicksHaveTold has another tunnel at each look: one that a
// page is given, and no tick knows of, it would show for ever.
func TestFeed_StateIsWhatTheTicksHaveTold(t *testing.T) {
	s := newServer()
	p, url := newTestPage(t, s)
	p.feed.sources.Tunnels = func() []proxy.TunnelState {
		for _, id := range s.ids() {
			s.end(id)
		}
		s.open()
		return s.list()
	}
	events := listen(t, url, "")
	for range 3 {
		state := stateOf(t, url)
		for e := events.must(); e.Number < state.Number; {
			e = events.must()
		}
		p.steps(t)
		e := events.must()
		if e.Number != state.Number+1 || len(state.New) != 1 || !reflect.DeepEqual(e.Gone, []string{state.New[0].ID}) {
			t.Errorf("state %d has %v, and tick %d says that %v are gone", state.Number, state.New, e.Number, e.Gone)
		}
	}
}

// left waits until nobody listens.
func (p *Page) left(t *testing.T) {
	t.Helper()
	for {
		p.feed.mu.Lock()
		viewers := p.feed.viewers
		p.feed.mu.Unlock()
		if viewers == 0 {
			return
		}
		select {
		case <-t.Context().Done():
			t.Fatal("the stream does not end")
		case <-time.After(time.Millisecond):
		}
	}
}

// TestFeed_TickHasWhatChangedAlone holds what idle tunnels cost: nothing.
func TestFeed_TickHasWhatChangedAlone(t *testing.T) {
	s := newServer()
	idle, moving, going := s.open(), s.open(), s.open()
	p, url := newTestPage(t, s)
	events := listen(t, url, "")
	state := stateOf(t, url)
	if len(state.New) != 3 || len(state.Status) < 10 {
		t.Fatalf("the state has %d tunnels and %d parts of the status", len(state.New), len(state.Status))
	}
	if first := events.must(); first.Number != state.Number || first.Status != nil || first.New != nil {
		t.Errorf("the first tick is %+v, want an empty one with the number of the state, %d", first, state.Number)
	}

	p.steps(t)
	still := events.must()
	if still.Number != state.Number+1 || still.Status != nil || still.New != nil || still.Moved != nil || still.Gone != nil {
		t.Errorf("nothing has changed, and the tick is %+v", still)
	}

	s.move(moving)
	s.end(going)
	coming := s.open()
	p.steps(t)
	e := events.must()
	if len(e.Moved) != 1 || e.Moved[0][0] != moving || number(e.Moved[0][1]) != 1 || number(e.Moved[0][3]) != 10 {
		t.Errorf("moved is %v, want %s with a message of 10 bytes", e.Moved, moving)
	}
	if len(e.New) != 1 || e.New[0].ID != coming || !reflect.DeepEqual(e.Gone, []string{going}) {
		t.Errorf("new is %v, gone %v, and %s is idle", e.New, e.Gone, idle)
	}
	if _, has := e.Status["tunnels"]; !has || len(e.Status) != 1 {
		t.Errorf("of the status the tick has %v, want tunnels alone", e.Status)
	}
	if agent := e.New[0].UserAgent; agent != "<img src=x onerror=alert(1)>\"\\\u2028\ufffd" {
		t.Errorf("the user agent arrived as %q", agent)
	}
}

func TestFeed_ClientThatComesBackGetsWhatItMissed(t *testing.T) {
	s := newServer()
	id := s.open()
	p, url := newTestPage(t, s)
	events := listen(t, url, "")
	p.steps(t)
	seen := events.must()
	events.leave()
	p.left(t)

	other := listen(t, url, "")
	for range 3 {
		s.move(id)
		p.steps(t)
		other.must()
	}
	back := listen(t, url, seen.id)
	for i := range uint64(3) {
		if e := back.must(); e.gap || e.Number != seen.Number+1+i || len(e.Moved) != 1 {
			t.Errorf("after %d the client that came back got %+v", seen.Number, e)
		}
	}
}

// TestFeed_ForgottenStateIsSeenAsAHole has a client come back after the state was
// given up: the tick must not look as if it followed.
func TestFeed_ForgottenStateIsSeenAsAHole(t *testing.T) {
	s := newServer()
	p, url := newTestPage(t, s)
	events := listen(t, url, "")
	p.steps(t)
	p.steps(t)
	events.must()
	seen := events.must()
	events.leave()
	p.left(t)
	p.feed.keep = 0
	p.steps(t)

	s.open()
	back := listen(t, url, seen.id)
	p.steps(t)
	if e := back.must(); e.Number <= seen.Number+1 {
		t.Errorf("after %d comes %d, which hides that a tunnel was opened meanwhile", seen.Number, e.Number)
	}
}

func TestFeed_TooMuchIsSeenAsAHole(t *testing.T) {
	s := newServer()
	p, url := newTestPage(t, s)
	events := listen(t, url, "")
	p.steps(t)
	before := events.must()
	for range maxTunnels {
		s.open()
	}
	p.steps(t)
	e := events.must()
	if e.Number != before.Number+2 || e.New != nil {
		t.Errorf("%d new tunnels came as tick %d after %d with %d of them", maxTunnels, e.Number, before.Number, len(e.New))
	}
	if state := stateOf(t, url); len(state.New) != maxTunnels {
		t.Errorf("the state has %d tunnels", len(state.New))
	}
	s.open()
	p.steps(t)
	events.must() // by the state that was asked for
	if e := events.must(); len(e.New) != 1 || !reflect.DeepEqual(e.Gone, []string{"t1"}) {
		t.Errorf("one more tunnel gave %d new and %v gone, want the oldest gone", len(e.New), e.Gone)
	}
}

// TestFeed_AlwaysAnswersByAStream: a WebSocket would live on when its request is
// over, and be taken for gone.
func TestFeed_AlwaysAnswersByAStream(t *testing.T) {
	_, url := newTestPage(t, newServer())
	for _, fields := range []http.Header{
		{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"MDEyMzQ1Njc4OWFiY2RlZg=="}},
		{"Prefer": {"wait=5"}},
		{},
	} {
		ctx, leave := context.WithCancel(t.Context())
		r, err := http.NewRequestWithContext(ctx, "GET", url+"/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header = fields
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if got := res.Header.Get("Content-Type"); res.StatusCode != 200 || got != "text/event-stream" {
			t.Errorf("%v is answered by %s, %s", fields, res.Status, got)
		}
		leave()
		res.Body.Close()
	}
}

func TestRun_EndsTheStreams(t *testing.T) {
	p, url := newTestPage(t, newServer())
	p.feed.interval = time.Millisecond
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }() // ended by stop, awaited below
	events := listen(t, url, "")
	events.must()
	stop()
	for ok := true; ok; {
		_, ok = events.next()
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
