package pusher

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
)

const seamMessages = 1500

// TestSeam_NothingIsLostOrDoubled has clients that come and go while messages are
// published and the store answers when it likes: what they are given must be,
// over all of their connections, what was published in their channels. Messages
// are so long that the windows of channels hold only the last few.
func TestSeam_NothingIsLostOrDoubled(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	channels := []string{"a", "b", "c"}
	store := &slowStore{Memory: NewMemory(History{Messages: seamMessages, Bytes: 1 << 30, Total: 1 << 30}), read: make(turnstile)}
	s := newServiceOn(t, store, Config{}, Endpoint{})
	s.publishText("a", "the beginning")
	reading := make(chan struct{})
	var answering, ready, listening sync.WaitGroup
	clients := make([]*follower, 9)
	for i := range clients {
		f := &follower{s: s, t: t, random: rand.New(rand.NewPCG(seed, uint64(i)))}
		f.channels = slices.Clone(channels)
		f.random.Shuffle(len(channels), func(i, j int) { f.channels[i], f.channels[j] = f.channels[j], f.channels[i] })
		f.channels = f.channels[:1+i%len(channels)]
		clients[i] = f
		ready.Add(1)
		listening.Go(func() {
			if i%3 == 2 {
				f.polls(&ready)
			} else {
				f.listens(&ready)
			}
		})
	}
	ready.Wait()
	var published [][2]string // channel and text
	filler := strings.Repeat("x", 8<<10)
	random := rand.New(rand.NewPCG(seed, 1<<32))
	for i := range seamMessages {
		channel := channels[random.IntN(len(channels))]
		text := fmt.Sprint(i, " ", filler[:random.IntN(len(filler))])
		if i >= seamMessages-len(channels) {
			channel, text = channels[seamMessages-1-i], "the end"
		}
		s.publishText(channel, text)
		published = append(published, [2]string{channel, text})
		for range random.IntN(3) {
			select {
			case store.read <- struct{}{}:
			default:
			}
		}
	}
	answering.Go(func() {
		for {
			select {
			case store.read <- struct{}{}:
			case <-reading:
				return
			}
		}
	})
	listening.Wait()
	close(reading)
	answering.Wait()
	for i, f := range clients {
		var want []string
		for _, m := range published {
			if slices.Contains(f.channels, m[0]) {
				want = append(want, m[1])
			}
		}
		if !slices.Equal(f.got, want) {
			t.Errorf("client %d of %v got %d messages, want %d; they differ from %.40q on", i, f.channels, len(f.got), len(want), firstOther(f.got, want))
		}
		t.Logf("client %d of %v came back %d times", i, f.channels, f.back)
	}
}

func firstOther(got, want []string) string {
	for i := range got {
		if i >= len(want) || got[i] != want[i] {
			return got[i]
		}
	}
	return ""
}

// follower is a client that keeps what it got over all of its connections.
type follower struct {
	s        *service
	t        *testing.T
	random   *rand.Rand
	channels []string
	got      []string
	back     int
}

func (f *follower) query() string {
	return "/push/" + f.channels[0] + "?" + url.Values{"channel": f.channels[1:]}.Encode()
}

// over says that the last message of each channel was there.
func (f *follower) over() bool {
	n := 0
	for _, text := range f.got[max(0, len(f.got)-len(f.channels)):] {
		if text == "the end" {
			n++
		}
	}
	return n == len(f.channels)
}

// stayAway waits for up to 200 messages to be published.
func (f *follower) stayAway() {
	until := f.s.latest.Load() + f.random.Uint64N(200)
	eventually(f.t, "messages while it is away", func() bool { return f.s.latest.Load() >= min(until, seamMessages) })
}

func (f *follower) listens(ready *sync.WaitGroup) {
	l := f.s.resuming(f.t, f.query())
	l.connect()
	ready.Done()
	for !f.over() {
		for range f.random.IntN(60) {
			message := l.read()
			if message == "" {
				break // cut off
			}
			if f.got = append(f.got, message); f.over() {
				break
			}
		}
		l.conn.Close()
		f.stayAway()
		f.back++
		if how := l.connect(); how != "resumed" {
			f.t.Errorf("a listener came back to %q", how)
			return
		}
	}
}

func (f *follower) polls(ready *sync.WaitGroup) {
	next := f.poll("").Get("Next")
	ready.Done()
	for !f.over() {
		header := f.poll("&from=" + next)
		if how := header.Get("Resume"); how != "resumed" {
			f.t.Errorf("a poll came back to %q", how)
			return
		}
		next = header.Get("Next")
		if f.back++; f.random.IntN(4) == 0 {
			f.stayAway()
		}
	}
}

func (f *follower) poll(from string) http.Header {
	request, _ := http.NewRequest("GET", f.s.server.URL+f.query()+from, nil)
	request.Header.Set("Accept", "application/json")
	request.Header.Set("Prefer", fmt.Sprint("wait=", min(1, len(from))))
	answer, err := f.s.server.Client().Do(request)
	if err != nil {
		f.t.Error(err)
		return http.Header{}
	}
	for line := range strings.Lines(bodyOf(f.t, answer)) {
		var m struct{ Data string }
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			f.t.Error(err)
		}
		f.got = append(f.got, m.Data)
	}
	return answer.Header
}

// A publisher learns its message's position before the hub has heard of it, and a
// page that was printed with it may connect before that as well.
func TestSeam_PositionAheadOfWhatTheHubKnows(t *testing.T) {
	for _, others := range []bool{false, true} { // who have the channels at hand
		t.Run(fmt.Sprint("others=", others), func(t *testing.T) {
			store := newLateStore()
			s := newServiceOn(t, store, Config{}, Endpoint{})
			s.publishText("a", "zero")
			store.catchUp()
			if others {
				s.dial("/push/a?channel=b")
			}
			s.publishText("b", "one")
			at := s.publish("a", Message{Text: true, Data: []byte("two")}).Position
			var clients []*listener
			for _, path := range []string{"/push/a?", "/push/a?channel=b", "/push/b?"} {
				l := s.resuming(t, path)
				l.token = at.String()
				l.is(l.connect(), "resumed")
				if l.token != at.String() {
					t.Errorf("%s goes on from %s, not %s", path, l.token, at)
				}
				clients = append(clients, l)
			}
			behind := s.resuming(t, "/push/a?channel=b")
			behind.token = Position{at.Epoch, at.Seq - 2}.String()
			behind.is(behind.connect(), "resumed")
			last := s.resuming(t, "/push/a?last=2")
			last.is(last.connect(), "new")
			s.publishText("b", "three")
			s.publishText("a", "four")
			store.catchUp()
			clients[0].expect("four")
			clients[1].expect("three", "four")
			clients[2].expect("three")
			behind.expect("one", "two", "three", "four")
			s.publishText("a", "five")
			store.catchUp()
			for _, l := range []*listener{clients[0], clients[1], behind} {
				l.expect("five")
			}
			var got []string
			for len(got) == 0 || got[len(got)-1] != "five" {
				got = append(got, last.read())
			}
			if text := strings.Join(got, " "); text != "zero two four five" {
				t.Errorf("the last few are %s", text)
			}
		})
	}
}
