package proxy_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"

	"wsfront/proxy"
)

// A program puts the front before its app, and adds a push service of its own
// on the same URL: plain requests still reach the app.
func Example() {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "page for %s, by %s", r.Host, r.Header.Get("X-Forwarded-Proto"))
	}))
	defer app.Close()
	events := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, "data: hello\n\n")
	})

	front, err := proxy.New(proxy.Config{
		HTTPListen: proxy.Addresses{"127.0.0.1:0"},
		AccessLog:  proxy.AccessLog{Format: proxy.AccessOff},
		Sites: []proxy.Site{{
			Hosts: []string{"*"},
			TLS:   proxy.TLS{Mode: proxy.TLSOff},
			Routes: []proxy.Route{
				{Path: "/live", Handler: events},
				{Path: "/", App: app.URL},
			},
		}},
	}, slog.New(slog.DiscardHandler), io.Discard)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := front.Listen(); err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	done := make(chan error, 1)
	go func() { done <- front.Run(ctx) }() // ended by stop, awaited below

	_, plain := front.Addrs()
	for _, accept := range []string{"text/html", "text/event-stream"} {
		r, _ := http.NewRequest(http.MethodGet, "http://"+plain[0].String()+"/live", nil)
		r.Host = "app.example.com"
		r.Header.Set("Accept", accept)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			fmt.Println(err)
			return
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		fmt.Printf("%s: %q\n", accept, body)
	}
	http.DefaultClient.CloseIdleConnections()
	stop()
	fmt.Println("ended:", <-done)
	// Output:
	// text/html: "page for app.example.com, by http"
	// text/event-stream: "data: hello\n\n"
	// ended: <nil>
}
