package top

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"go.uber.org/goleak"

	"wsfront/cmd/internal/admin"
	"wsfront/cmd/internal/screen"
	"wsfront/proxy"
	"wsfront/pusher"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// noon is when the server of the tests was first asked.
var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// served is what a server has to tell, which tests change.
type served struct {
	mu       sync.Mutex
	status   admin.Status
	tunnels  []proxy.TunnelState
	channels []pusher.ChannelState
	closed   []string
}

// oneSite is a server with a site, a push service and a few tunnels.
func oneSite(tunnels int) *served {
	s := &served{status: admin.Status{
		Version: "v1.2.3", PID: 4711, Started: noon.Add(-time.Hour), Time: noon, State: "serving",
		Sites: []proxy.SiteState{{Name: "a.test", TLS: "off", Routes: []proxy.RouteState{
			{Route: "/", Kind: "app", To: "http://127.0.0.1:8080", Health: "up", Requests: 100},
			{Route: "/ws", Kind: "tunnel", To: "ws://127.0.0.1:8001", Health: "down", Requests: 10, Backends: []proxy.BackendState{{Backend: "ws://127.0.0.1:8001", Reason: "connection refused"}}},
		}}},
		Requests: admin.RequestTotals{Total: 110},
		Push:     &admin.PushStatus{Clients: map[string]int{"websocket": 2}, Channels: 1, Published: 5},
	}}
	for i := range tunnels {
		s.tunnels = append(s.tunnels, proxy.TunnelState{ID: fmt.Sprintf("id%06d", i), Client: fmt.Sprintf("192.0.2.%d", i%250), Site: "a.test", Route: "/ws", UserAgent: "Mozilla/5.0 (X11; Linux x86_64) a browser",
			Opened: noon.Add(-time.Duration(i+1) * time.Second), Moved: noon.Add(-time.Second), BytesIn: int64(i), MessagesIn: 1})
	}
	s.channels = []pusher.ChannelState{{Name: "board", Subscribers: 2, Messages: 7, Position: "p7"}}
	return s
}

func (s *served) sources() admin.Sources {
	locked := func(do func()) { s.mu.Lock(); defer s.mu.Unlock(); do() }
	return admin.Sources{
		Status: func(context.Context) (st admin.Status) { locked(func() { st = s.status }); return st },
		Tunnels: func() (all []proxy.TunnelState) {
			locked(func() { all = append(all, s.tunnels...) })
			return all
		},
		CloseTunnel: func(id string) (open bool) {
			locked(func() {
				s.closed = append(s.closed, id)
				open = id != "id000000"
			})
			return open
		},
		Channels: func(context.Context, int) (admin.ChannelList, error) {
			return admin.ChannelList{Channels: s.channels}, nil
		},
		Failures: func() []proxy.FailureState {
			return []proxy.FailureState{{Time: noon.Add(-time.Minute), Kind: "handshake", Client: "192.0.2.9", Host: "a.test", Path: "/chat", Status: 404, Cause: "path-unknown", Sentence: "Nothing is served at this path.",
				Reason: "404", Count: 3, Fixes: []proxy.FixState{{For: "wsfront", Text: "Compare the path."}}}}
		},
	}
}

// start starts an admin listener that tells of s. end ends it.
func start(t testing.TB, state string, s *served) (end func()) {
	t.Helper()
	l, err := admin.Listen(state, false)
	if err != nil {
		t.Fatal(err)
	}
	server := admin.New(l, admin.Handler(s.sources(), admin.Access{Host: admin.SocketHost}))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }() // ended and awaited by end
	end = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(end)
	return end
}

// watch is a model of a server, after the first reading.
func watch(t testing.TB, state string) *model {
	t.Helper()
	first, err := read(t.Context(), state, byRate)
	if err != nil {
		t.Fatal(err)
	}
	return newModel(t.Context(), Options{State: state, Interval: time.Second, Sort: byRate, Out: &bytes.Buffer{}}, first)
}

// press gives keys to a model, and the messages of the commands that come of them.
func press(t *testing.T, m *model, names ...string) {
	t.Helper()
	codes := map[string]rune{"tab": tea.KeyTab, "enter": tea.KeyEnter, "esc": tea.KeyEscape, "down": tea.KeyDown, "up": tea.KeyUp, "end": tea.KeyEnd, "home": tea.KeyHome, "backspace": tea.KeyBackspace, "pgdown": tea.KeyPgDown}
	for _, name := range names {
		key := tea.KeyPressMsg{Code: codes[name]}
		if key.Code == 0 {
			key = tea.KeyPressMsg{Code: []rune(name)[0], Text: name}
		}
		if got := key.String(); got != name {
			t.Fatalf("the key %s is %s", name, got)
		}
		if _, command := m.Update(key); command != nil {
			m.Update(command())
		}
	}
}

// again has the model read once more.
func again(m *model) { m.Update(m.read()()) }

func text(m *model) string { return strings.Join(m.lines(), "\n") }

func expect(t *testing.T, m *model, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text(m), part) {
			t.Errorf("no %q in\n%s", part, text(m))
		}
	}
}

func TestModel_ShowsRatesRoutesAndLists(t *testing.T) {
	s, state := oneSite(3), t.TempDir()
	start(t, state, s)
	m := watch(t, state)
	m.Update(tea.WindowSizeMsg{Width: 120, Height: 30})
	s.mu.Lock()
	s.status.Time = noon.Add(2 * time.Second)
	s.status.Requests.Total += 25
	s.status.Tunnels.MessagesIn += 4
	s.status.Push = &admin.PushStatus{Clients: map[string]int{"websocket": 2}, Channels: 1, Published: 6}
	s.tunnels[1].BytesOut, s.tunnels[1].MessagesOut = 4000, 8
	s.mu.Unlock()
	again(m)
	expect(t, m, "wsfront v1.2.3, process 4711, up 1h0m: ready", "Requests  13/s, 0/s failed", "messages 2.0/s in", "clients 2, channels 1; 0.5/s published",
		"WRONG route down: a.test /ws: ws://127.0.0.1:8001: connection refused", "DOWN", "[Tunnels 3]", "first by rate", "> id000001", "2.0 kB")
	press(t, m, "tab")
	expect(t, m, "[Channels 1]", "> board", "p7")
	press(t, m, "tab")
	expect(t, m, "[Failures 1]", "404", "Nothing is served at this path.", "fix     wsfront: Compare the path.")
	press(t, m, "tab")
	expect(t, m, "[Routes 2]", "> a.test /ws")
	press(t, m, "tab", "?")
	expect(t, m, "Keys of wsfront top")
	press(t, m, "x")
	expect(t, m, "[Tunnels 3]")
}

func TestModel_ClosesATunnelOnceConfirmed(t *testing.T) {
	s, state := oneSite(3), t.TempDir()
	start(t, state, s)
	m := watch(t, state)
	press(t, m, "home", "x", "n")
	expect(t, m, "not closed")
	press(t, m, "K")
	expect(t, m, "Close the tunnel id000002? y closes it")
	press(t, m, "y")
	expect(t, m, "closed id000002")
	press(t, m, "end", "x", "y")
	expect(t, m, "not closed: no tunnel of the id")
	if got := strings.Join(s.closed, " "); got != "id000002 id000000" {
		t.Errorf("closed %s", got)
	}
	press(t, m, "tab", "x")
	if m.closing != "" {
		t.Error("a tunnel is to be closed where none is shown")
	}
}

func TestModel_ChoiceStaysWithItsTunnel(t *testing.T) {
	s, state := oneSite(40), t.TempDir()
	start(t, state, s)
	m := watch(t, state)
	press(t, m, "s", "j", "down") // by age: id000002 is the third
	expect(t, m, "first by age", "> id000002")
	s.mu.Lock()
	s.tunnels = append(s.tunnels, proxy.TunnelState{ID: "newest", Opened: noon.Add(time.Second)})
	s.mu.Unlock()
	again(m)
	expect(t, m, "> id000002", "  newest")
	s.mu.Lock()
	s.tunnels = s.tunnels[10:]
	s.mu.Unlock()
	again(m) // what came into its place is chosen
	expect(t, m, "> id000012")
	press(t, m, "end")
	expect(t, m, "> id000039")
	press(t, m, "pgdown", "pgdown", "k")
	expect(t, m, "> id000038")
}

func TestModel_FilterShowsRowsWithTheText(t *testing.T) {
	s, state := oneSite(30), t.TempDir()
	start(t, state, s)
	m := watch(t, state)
	press(t, m, "/", "I", "D", "0", "0", "0", "0", "1", "q", "backspace", "enter")
	expect(t, m, "[Tunnels 10]", "with: ID00001")
	press(t, m, "esc")
	expect(t, m, "[Tunnels 30]")
	press(t, m, "/", "x", "x", "x")
	expect(t, m, "[Tunnels 0]", "  none", "DOWN", "Failures 1")
	press(t, m, "esc", "x") // nothing is chosen again before the next row is
	expect(t, m, "Close the tunnel id")
}

func TestModel_ServerGoneAndBack(t *testing.T) {
	s, state := oneSite(2), t.TempDir()
	end := start(t, state, s)
	m := watch(t, state)
	end()
	again(m)
	expect(t, m, "NO ANSWER for 0s, asking again: no wsfront runs with the state folder", "id000001")
	s.status.Started, s.status.PID, s.status.Requests.Total, s.status.Time = noon.Add(time.Minute), 4712, 3, noon.Add(2*time.Minute)
	start(t, state, s)
	again(m)
	expect(t, m, "process 4712", "Requests  0/s")
	if strings.Contains(text(m), "NO ANSWER") {
		t.Errorf("still gone:\n%s", text(m))
	}
}

func TestView_FitsAnyTerminal(t *testing.T) {
	s, state := oneSite(100), t.TempDir()
	s.tunnels[99].UserAgent = "\x1b[2J\u202e evil 日本語"
	start(t, state, s)
	m := watch(t, state)
	for _, width := range []int{1, 19, 20, 33, 60, 80, 100, 150} {
		for _, height := range []int{1, 7, 8, 13, 24, 60} {
			m.Update(tea.WindowSizeMsg{Width: width, Height: height})
			for range tabs {
				press(t, m, "tab", "end", "home")
				lines := m.lines()
				if len(lines) != height {
					t.Fatalf("%dx%d: %d lines", width, height, len(lines))
				}
				for _, line := range lines {
					if cut := (screen.Style{Width: width}).Cut(line); cut != line || screen.Clean(line) != line {
						t.Fatalf("%dx%d: %q", width, height, line)
					}
				}
			}
		}
	}
}

func TestFrame_Rates(t *testing.T) {
	before := reading{status: admin.Status{PID: 1, Time: noon}}
	before.tunnels.Tunnels = []proxy.TunnelState{{ID: "old", BytesIn: 100}, {ID: "gone", BytesIn: 7}}
	now := reading{status: admin.Status{PID: 1, Time: noon.Add(4 * time.Second)}}
	now.tunnels.Tunnels = []proxy.TunnelState{
		{ID: "old", BytesIn: 140, MessagesOut: 4},
		{ID: "new", BytesIn: 40, Opened: noon.Add(time.Second)},
		{ID: "unlisted", BytesIn: 1000, Opened: noon.Add(-time.Hour)},
	}
	for i, want := range []float64{10, 10, 0} {
		if got := newFrame(&before, now).Tunnels[i]; got.ByteInRate != want {
			t.Errorf("%s: %v, want %v", got.ID, got.ByteInRate, want)
		}
	}
	for name, change := range map[string]func(r *reading){
		"another process": func(r *reading) { r.status.PID = 2 },
		"started anew":    func(r *reading) { r.status.Started = noon },
		"no time between": func(r *reading) { r.status.Time = noon },
	} {
		other := now
		change(&other)
		if f := newFrame(&before, other); f.Seconds != 0 || f.Tunnels[0].ByteInRate != 0 {
			t.Errorf("%s: %v s, %v", name, f.Seconds, f.Tunnels[0].ByteInRate)
		}
	}
	if f := newFrame(nil, now); f.Seconds != 0 || len(f.Tunnels) != 3 {
		t.Errorf("the first: %v s, %d tunnels", f.Seconds, len(f.Tunnels))
	}
}

// broken panics where the program draws.
type broken struct{ *model }

func (b broken) View() tea.View {
	if b.help {
		panic("this is a test of what a panic leaves")
	}
	return b.model.View()
}

func (b broken) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	b.model.Update(msg)
	return b, nil
}

func TestShow_RestoresTheTerminal(t *testing.T) {
	s, state := oneSite(1), t.TempDir()
	start(t, state, s)
	for name, in := range map[string]string{"after a panic": "?", "at the end of its context": ""} {
		m := watch(t, state)
		ctx, cancel := context.WithCancel(t.Context())
		var out bytes.Buffer
		if in == "" {
			cancel()
		}
		err := show(ctx, broken{m}, tea.WithInput(strings.NewReader(in)), tea.WithOutput(&out), tea.WithWindowSize(80, 24), tea.WithEnvironment([]string{"TERM=xterm"}))
		cancel()
		if panicked := errors.Is(err, tea.ErrProgramPanic); panicked != (in == "?") {
			t.Errorf("%s: %v", name, err)
		}
		if on, off := strings.LastIndex(out.String(), "\x1b[?1049h"), strings.LastIndex(out.String(), "\x1b[?1049l"); on > off {
			t.Errorf("%s: the alternate screen stays: %q", name, out.String())
		}
	}
}

// What a second of watching costs, beside what the server does: reading, sorting
// and drawing.
func BenchmarkSecond(b *testing.B) {
	for _, n := range []int{1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s, state := oneSite(n), b.TempDir()
			start(b, state, s)
			m := watch(b, state)
			for b.Loop() {
				again(m)
				m.View()
			}
		})
	}
}

// A key is answered without another reading.
func BenchmarkKey(b *testing.B) {
	s, state := oneSite(10_000), b.TempDir()
	start(b, state, s)
	m := watch(b, state)
	for b.Loop() {
		m.Update(tea.KeyPressMsg{Code: 'j', Text: "j"})
		m.View()
	}
}
