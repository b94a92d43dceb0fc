package proxy

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// rig is a front for one script after another. A reload puts the script's own
// backends behind it, so that no script meets a connection of the one before.
type rig struct {
	server *Server
	secure bool
	addr   string
	cfg    Config
	folder string // of files
	log    *lines
	stop   func()
}

// newRig starts a front, by TLS with the certificate files when secure.
func newRig(t testing.TB, secure bool, files TLS) *rig {
	t.Helper()
	g := &rig{secure: secure, log: newLines(), folder: writeTree(t, "hello.txt", "hello")}
	g.cfg = Config{Listen: Addresses{}, HTTPListen: Addresses{"127.0.0.1:0"}, AccessLog: AccessLog{Format: AccessOff}, State: t.TempDir(),
		Sites: []Site{{TLS: TLS{Mode: TLSOff}}}}
	if secure {
		g.cfg.Listen, g.cfg.HTTPListen = g.cfg.HTTPListen, g.cfg.Listen
		g.cfg.Sites[0].TLS = files
	}
	var err error
	if g.server, err = New(g.config(scriptConfig{}, "127.0.0.1:1", "127.0.0.1:1"), slog.New(slog.NewTextHandler(g.log, nil)), g.log); err != nil {
		t.Fatal(err)
	}
	if err := g.server.Listen(); err != nil {
		t.Fatal(err)
	}
	g.addr = g.server.listeners[0].Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.server.Run(ctx) }() // ended by cancel, awaited by stop
	g.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v\n%s", err, g.log)
		}
	})
	t.Cleanup(g.stop)
	return g
}

// config has the routes that the corpus knows: see its README.
func (g *rig) config(c scriptConfig, app, push string) Config {
	off := false
	cfg := g.cfg
	site := cfg.Sites[0]
	site.Hosts = []string{"app.test", "other.test"}
	if c.anyHost {
		site.Hosts = []string{"*"}
	}
	if c.trusted {
		cfg.TrustedProxies = loopback()
	}
	site.Routes = []Route{
		{Path: "/", App: "http://" + app},
		{Path: "/websocket", Tunnel: Tunnel{Backend: "ws://" + push}},
		{Path: "/mapped/", App: "http://" + app + "/inner/"},
		{Path: "/escaped/", App: "http://" + app, EncodedSlashes: true},
		{Path: "/small/", App: "http://" + app, MaxBody: 16},
		{Path: "/stream/", App: "http://" + app, RequestBuffering: &off},
		{Path: "/named/", App: "http://" + app, Host: "inner.test"},
		{Path: "/files/", Files: g.folder},
		{Path: "/echo/", Handler: http.HandlerFunc(echoBody), Whole: true},
	}
	cfg.Sites = []Site{site}
	return cfg
}

// echoBody is the handler of /echo/.
func echoBody(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, "the body cannot be read", http.StatusBadRequest)
		return
	}
	_, _ = w.Write(body)
}

// run plays a script. split cuts what the client sends into writes; nil leaves
// it whole.
func (g *rig) run(s script, split func(string) []string) (*observation, error) {
	if split == nil {
		split = func(text string) []string { return []string{text} }
	}
	o := &observation{}
	seen, err := g.with(s, func(b *scriptedBackend) error {
		c := &scriptedClient{script: s, dial: dialFront(g.addr, g.secure), backend: b, split: split, o: o}
		return c.run()
	})
	o.seen = seen
	return o, err
}

// with puts the script's own backends behind the front while play plays its
// client, and returns what they saw.
func (g *rig) with(s script, play func(*scriptedBackend) error) (seen []*seenRequest, err error) {
	b, err := newScriptedBackend(s)
	if err != nil {
		return nil, err
	}
	defer func() {
		err = errors.Join(err, b.close())
		seen = b.seen
	}()
	app, push := b.app.Addr().String(), b.push.Addr().String()
	for _, reply := range b.script.replies {
		for i := range reply {
			reply[i].text = strings.ReplaceAll(reply[i].text, "{app}", app)
		}
	}
	if err := g.server.Reload(g.config(s.config, app, push)); err != nil {
		return nil, err
	}
	return nil, play(b)
}

// scheme is what the client writes in its URLs.
func (g *rig) scheme() string {
	if g.secure {
		return "https"
	}
	return "http"
}

func (g *rig) String() string { return g.scheme() }

// rigs is a pool, as tests wait more than they work.
type rigs struct{ free chan *rig }

func newRigs(count int, start func() *rig) rigs {
	p := rigs{make(chan *rig, count)}
	for range count {
		p.free <- start()
	}
	return p
}

// run plays a script on a rig that is free.
func (p rigs) run(s script, split func(string) []string) (*observation, error) {
	g := <-p.free
	defer func() { p.free <- g }()
	return g.run(s.clone(), split)
}

// clone is a copy whose replies may be filled in.
func (s script) clone() script {
	replies := make([][]step, len(s.replies))
	for i, reply := range s.replies {
		replies[i] = append([]step(nil), reply...)
	}
	s.replies = replies
	return s
}
