package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"wsfront/cmd/internal/config"
	"wsfront/proxy"
	"wsfront/pusher"
)

// demoPage stands in for the founding page.
//
//go:embed demo.html
var demoPage []byte

// demoEvery is the founding document's interval between two timed messages.
const demoEvery = 1500 * time.Millisecond

func newDemo() *cobra.Command {
	d := &demo{}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show what wsfront does, with nothing else installed",
		Long: `Starts a small web application, wsfront in front of it with a certificate of its
own CA, and a timed message that every open page shows at once. Ctrl-C ends it.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d.out = &lineWriter{out: cmd.OutOrStdout()}
			return d.run(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&d.listen, "listen", "127.0.0.1:8443", "`ADDR` for https")
	cmd.Flags().StringVar(&d.publish, "publish-listen", config.DefaultPublishListen, "`ADDR` of the publish API")
	cmd.Flags().StringVar(&d.state, "state", filepath.Join(proxy.DefaultState(), "demo"), "`DIR` for the demo's CA and key")
	return cmd
}

// demo is the front with everything around it, in one process.
type demo struct {
	listen, publish, state string
	out                    *lineWriter
}

func (d *demo) run(ctx context.Context) error {
	app, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen for the demo's app: %w", err)
	}
	server := &http.Server{Handler: demoApp(), ReadHeaderTimeout: 10 * time.Second}
	var wg sync.WaitGroup
	wg.Go(func() { server.Serve(app) }) // ended by Close below
	defer wg.Wait()
	defer server.Close()

	file := d.file(app.Addr().String())
	s, err := newService(file, publishFlags{}, nil, io.Discard, io.Discard)
	if err != nil {
		return inFlags(err, file, "")
	}
	s.log = slog.New(slog.DiscardHandler)
	if err := d.greet(); err != nil {
		return err
	}
	hub := s.push.hub                                   // which s.run gives up at its end
	wg.Go(func() { d.tick(ctx, hub) })                  // ends with ctx, as s.run does
	if err = s.run(ctx); errors.Is(err, proxy.ErrCut) { // a page that was open still
		err = nil
	}
	d.out.printf("\n  Goodbye.\n")
	return err
}

// file is the demo's configuration: what a person would write for it.
func (d *demo) file(app string) *config.File {
	file := &config.File{
		Config: proxy.Config{
			Listen: proxy.Addresses{d.listen}, HTTPListen: proxy.Addresses{}, State: d.state,
			AccessLog: proxy.AccessLog{Format: proxy.AccessOff}, DrainTimeout: 500 * time.Millisecond,
		},
		Sites: []config.Site{{
			Site: proxy.Site{Hosts: []string{"localhost", "127.0.0.1"}, TLS: proxy.TLS{Mode: proxy.TLSInternal}},
			Routes: []config.Route{
				{Route: proxy.Route{Path: "/websocket"}, Push: &pusher.Endpoint{Channel: "board", Inbound: pusher.InboundPublish}},
				{Route: proxy.Route{Path: "/", App: "http://" + app}},
			},
		}},
	}
	file.Push.Publish.Listen = d.publish
	return file
}

// greet says what runs and what to try.
func (d *demo) greet() error {
	_, root, err := proxy.InternalCA(d.state)
	if err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(d.listen)
	if err != nil {
		return fmt.Errorf("--listen %s: %w; write 127.0.0.1:8443", d.listen, err)
	}
	key := filepath.Join(d.state, "publish.key")
	d.out.printf(`
  wsfront demo

    browser ──https──▶ wsfront ──http──▶ a small web app
                          │
                          └── /websocket: push, channel board

  Open        https://localhost:%s/   in two windows, and type into one
  Certificate the browser will not know it: go on all the same, or trust
              %s
  Publish     curl -H "Authorization: Bearer $(cat %s)" \
                   -d 'hello from the shell' http://%s/channels/board
  End         Ctrl-C

`, port, root, key, d.publish)
	return nil
}

// tick publishes the timed message until ctx is done, and tells who got it.
func (d *demo) tick(ctx context.Context, hub *pusher.Hub) {
	every := time.NewTicker(demoEvery)
	defer every.Stop()
	pages, sent := 0, 0
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-every.C:
			done, err := hub.Publish(ctx, "board", pusher.Message{Text: true, Data: []byte(timedMessage(now))})
			if err != nil {
				return // shutting down
			}
			n := done.Subscribers
			sent++
			if n != pages || sent == 1 {
				d.out.printf("  %s  %s\n", now.Format(time.TimeOnly), watching(n))
				pages = n
			}
			d.out.status("  %s  message %d sent to %s", now.Format(time.TimeOnly), sent, plural(n, "page"))
		}
	}
}

func watching(pages int) string {
	if pages == 0 {
		return "nobody is watching yet"
	}
	return plural(pages, "page") + " watching the board"
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// demoApp is the web application that the demo forwards to.
func demoApp() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Write(demoPage)
	})
	return mux
}

// lineWriter prints lines, and on a terminal one status line below them that
// is written over again and again. It may be used concurrently.
type lineWriter struct {
	mu       sync.Mutex
	out      io.Writer
	hasState bool
}

func (l *lineWriter) printf(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clear()
	fmt.Fprintf(l.out, format, args...)
}

// status replaces the status line; elsewhere than on a terminal there is none.
func (l *lineWriter) status(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !isTerminal(l.out) {
		return
	}
	l.clear()
	io.WriteString(l.out, strings.TrimSuffix(fmt.Sprintf(format, args...), "\n"))
	l.hasState = true
}

func (l *lineWriter) clear() {
	if l.hasState {
		io.WriteString(l.out, "\r\x1b[2K")
		l.hasState = false
	}
}
