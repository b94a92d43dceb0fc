package pusher

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// told is one request that the app has got.
type told struct {
	event  string
	id     string
	header http.Header
	body   []byte
	occurrence
}

func (r told) String() string {
	name := r.Channel
	if r.Client != nil {
		name = r.Client.ID
	}
	return strings.TrimSpace(r.event + " " + name)
}

// hookApp is the application: a real server that keeps what it has taken.
type hookApp struct {
	t      *testing.T
	server *httptest.Server
	secret func() string
	// reply answers; nil, or a false, means 204 and that it is taken.
	reply func(w http.ResponseWriter, r told) bool

	mu    sync.Mutex
	tried []told
	taken []told
}

func newHookApp(t *testing.T, reply func(http.ResponseWriter, told) bool) *hookApp {
	a := &hookApp{t: t, reply: reply}
	a.server = httptest.NewServer(a)
	t.Cleanup(a.server.Close)
	return a
}

func (a *hookApp) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // cut off
	}
	got := told{event: r.Header.Get("X-Push-Event"), id: r.Header.Get("X-Push-ID"), header: r.Header, body: body}
	if got.event != HookMessage {
		if err := json.Unmarshal(body, &got.occurrence); err != nil || got.ID != got.id || got.Event != got.event || got.Time.IsZero() {
			a.t.Errorf("body %q with headers %v: %v", body, r.Header, err)
		}
	}
	if a.secret != nil && !wellSigned(r.Header.Get("X-Push-Signature"), a.secret(), got.id, body) {
		a.t.Errorf("signature of %s does not hold: %v", got, r.Header)
	}
	a.mu.Lock()
	a.tried = append(a.tried, got)
	a.mu.Unlock()
	if a.reply != nil && a.reply(w, got) {
		return
	}
	a.mu.Lock()
	a.taken = append(a.taken, got)
	a.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
}

// signed is the check as an app would write it.
func wellSigned(header, secret, id string, body []byte) bool {
	t, v1, ok := strings.Cut(strings.TrimPrefix(header, "t="), ",v1=")
	sent, err := strconv.ParseInt(t, 10, 64)
	if !ok || err != nil || time.Since(time.Unix(sent, 0)).Abs() > 5*time.Minute {
		return false
	}
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%s.%s.%s", t, id, body)
	return hmac.Equal([]byte(hex.EncodeToString(mac.Sum(nil))), []byte(v1))
}

// has gives what the app has taken, oldest first.
func (a *hookApp) has() []string { return a.list(&a.taken) }

// asked gives all requests, oldest first.
func (a *hookApp) asked() []string { return a.list(&a.tried) }

func (a *hookApp) list(from *[]told) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var names []string
	for _, r := range *from {
		names = append(names, r.String())
	}
	return names
}

func (a *hookApp) await(want ...string) {
	a.t.Helper()
	eventually(a.t, fmt.Sprintf("the app takes %q, has %q", want, a.has()), func() bool { return slices.Equal(a.has(), want) })
}

// config is for a, whose secret is made with the Hooks.
func (a *hookApp) config() Webhooks {
	return Webhooks{URL: a.server.URL + "/push/events", SecretFile: filepath.Join(a.t.TempDir(), "secret")}
}

// newHooks makes Hooks that are run, and shut down at the test's end.
func newHooks(t *testing.T, cfg Webhooks, kv KV, log slog.Handler) *Hooks {
	t.Helper()
	k, err := NewHooks(cfg, kv, slog.New(log))
	if err != nil {
		t.Fatal(err)
	}
	runHooks(t, k)
	return k
}

func runHooks(t *testing.T, k *Hooks) (kill func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan struct{})
	go func() {
		defer close(ran)
		if err := k.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	kill = func() { cancel(); <-ran }
	t.Cleanup(kill)
	eventually(t, "webhooks run", func() bool {
		k.mu.Lock()
		defer k.mu.Unlock()
		return k.running
	})
	return kill
}

func shutHooks(t *testing.T, k *Hooks) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return k.Shutdown(ctx)
}

func aClient(id string) ClientInfo {
	return ClientInfo{ID: id, Channels: []string{"board"}, Remote: "192.0.2.1:5", Transport: "websocket", Opened: time.Now()}
}

func TestHooks_TellTheAppInJSONSigned(t *testing.T) {
	a := newHookApp(t, nil)
	log := &journal{}
	k := newHooks(t, a.config(), nil, log)
	a.secret = func() string { return string(k.secret) }
	c := aClient("A1")
	c.User, c.Info = "jürgen", json.RawMessage(`{"age": 7}`)
	k.Connect(c)
	k.Disconnect(c, 1001, "going away")
	a.await("connect A1", "disconnect A1")
	gone := a.taken[1]
	if gone.ID != "A1.disconnect" || gone.Code != 1001 || gone.Reason != "going away" || gone.header.Get("Content-Type") != "application/json" {
		t.Errorf("got %s", gone.body)
	}
	if who := gone.Client; who.User != "jürgen" || string(who.Info) != `{"age":7}` || who.Channels[0] != "board" ||
		who.Remote != c.Remote || who.Transport != "websocket" || !who.Opened.Equal(c.Opened) {
		t.Errorf("client is %+v", who)
	}
	if made := log.find(EventHookSecret); len(made) != 1 || strings.Contains(made[0], string(k.secret)) {
		t.Errorf("logged of the secret: %q", made)
	}
	if err := shutHooks(t, k); err != nil {
		t.Error(err)
	}
}

func TestHooks_InfoThatIsNoJSONIsLeftOut(t *testing.T) {
	a := newHookApp(t, nil)
	k := newHooks(t, a.config(), NewMemory(History{}).KV(), &journal{})
	c := aClient("A1")
	c.Info = json.RawMessage(`{"age": `)
	k.Connect(c)
	a.await("connect A1")
	if a.taken[0].Client.Info != nil {
		t.Errorf("got %s", a.taken[0].body)
	}
}

func TestHooks_OnlyWhatIsWanted(t *testing.T) {
	a := newHookApp(t, nil)
	cfg := a.config()
	cfg.Events, cfg.LeaveDelay = []string{HookDisconnect, HookVacate}, time.Millisecond
	k := newHooks(t, cfg, NewMemory(History{}).KV(), &journal{})
	k.Occupied("board")
	k.Connect(aClient("A1"))
	if v, err := k.Message(t.Context(), aClient("A1"), true, []byte("hi")); v.Publish || err != nil {
		t.Errorf("message: %+v, %v", v, err)
	}
	k.Disconnect(aClient("A1"), 0, "")
	a.await("disconnect A1")
	k.Vacated("board")
	a.await("disconnect A1", "vacate board")
	if k.Wants(HookConnect) || !k.Wants(HookVacate) {
		t.Error("Wants says otherwise")
	}
}

func TestHooks_ZeroConfigTellsNobody(t *testing.T) {
	k := newHooks(t, Webhooks{}, NewMemory(History{}).KV(), &journal{})
	k.Connect(aClient("A1"))
	k.Occupied("board")
	k.Vacated("board")
	k.Disconnect(aClient("A1"), 0, "")
	if v, err := k.Message(t.Context(), aClient("A1"), true, []byte("hi")); v.Publish || err != nil {
		t.Errorf("message: %+v, %v", v, err)
	}
	if err := shutHooks(t, k); err != nil {
		t.Error(err)
	}
}

func TestHooks_VacatedIsToldOnlyWhenNobodyComesBack(t *testing.T) {
	a := newHookApp(t, nil)
	cfg := a.config()
	cfg.LeaveDelay = time.Hour
	k := newHooks(t, cfg, nil, &journal{})
	k.Occupied("board")
	k.Vacated("board") // a page is reloaded
	k.Occupied("board")
	k.Vacated("board")
	a.await("occupy board")
	k.Occupied("news")
	a.await("occupy board", "occupy news")
	if err := shutHooks(t, k); err != nil { // nobody can come back
		t.Error(err)
	}
	a.await("occupy board", "occupy news", "vacate board")
}

func TestHooks_VacatedIsToldAfterTheDelay(t *testing.T) {
	a := newHookApp(t, nil)
	cfg := a.config()
	cfg.LeaveDelay = 5 * time.Millisecond
	k := newHooks(t, cfg, nil, &journal{})
	k.Occupied("board")
	k.Vacated("board")
	a.await("occupy board", "vacate board")
}

func TestHooks_ShutdownTellsWhatIsQueued(t *testing.T) {
	release := make(chan struct{})
	a := newHookApp(t, func(http.ResponseWriter, told) bool { <-release; return false })
	k := newHooks(t, a.config(), NewMemory(History{}).KV(), &journal{})
	const clients = 100
	for i := range clients {
		c := aClient(fmt.Sprint("C", i))
		k.Connect(c)
		k.Disconnect(c, 1012, "service restart")
	}
	close(release)
	if err := shutHooks(t, k); err != nil {
		t.Error(err)
	}
	if n := len(a.has()); n != 2*clients {
		t.Errorf("told %d", n)
	}
	k.Connect(aClient("late"))
	if k.queue.left() != 0 {
		t.Error("something was taken after Shutdown")
	}
	if _, err := k.Message(t.Context(), aClient("late"), true, nil); err == nil {
		t.Error("a message was taken after Shutdown")
	}
}

func TestHooks_ShutdownGivesUpInTime(t *testing.T) {
	a := newHookApp(t, func(_ http.ResponseWriter, _ told) bool { panic(http.ErrAbortHandler) })
	log := &journal{}
	k := newHooks(t, a.config(), nil, log)
	k.Connect(aClient("A1"))
	log.await(t, EventHookRetry, "event=connect", "cause=failed")
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := k.Shutdown(ctx); err == nil || err.Error() != "1 events were not told to the app" {
		t.Errorf("got %v", err)
	}
}

func TestHooks_ShutdownBeforeRun(t *testing.T) {
	k, err := NewHooks(newHookApp(t, nil).config(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	k.Connect(aClient("A1"))
	k.Vacated("board")
	if err := k.Shutdown(t.Context()); err == nil {
		t.Error("two events were told?")
	}
	if err := k.Run(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestHooks_RunOnce(t *testing.T) {
	k := newHooks(t, newHookApp(t, nil).config(), nil, &journal{})
	eventually(t, "it runs", func() bool { k.mu.Lock(); defer k.mu.Unlock(); return k.running })
	if err := k.Run(t.Context()); err == nil {
		t.Error("ran twice")
	}
}

func TestNewHooks_RefusesABadConfigOrSecret(t *testing.T) {
	if _, err := NewHooks(Webhooks{Queue: -1}, nil, nil); err == nil {
		t.Error("NewHooks takes anything")
	}
	if _, err := NewHooks(Webhooks{URL: "http://app.test", SecretFile: t.TempDir()}, nil, nil); err == nil || !strings.Contains(err.Error(), "webhook secret") {
		t.Errorf("a folder as the secret: %v", err)
	}
}
