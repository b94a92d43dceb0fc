package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"
)

// Limits of the publish API's connections.
const (
	publishHeaderTimeout = 10 * time.Second
	publishIdleTimeout   = 5 * time.Minute // publishers keep their connection
	publishDrainTimeout  = 5 * time.Second
)

// publishServer serves the publish API on its own address, away from the sites.
type publishServer struct {
	listener net.Listener
	http     *http.Server
}

// listenPublish binds host:port or unix:/path.
func listenPublish(address string, api http.Handler) (*publishServer, error) {
	network := "tcp"
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, address = "unix", path
	}
	l, err := net.Listen(network, address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("listen %s for publishing: another program has this address; stop it, or choose another by --publish-listen (push.publish.listen in the file)", address)
	case err != nil:
		return nil, fmt.Errorf("listen for publishing: %w", err)
	}
	if network == "unix" {
		if err := os.Chmod(address, 0o660); err != nil {
			l.Close()
			return nil, fmt.Errorf("make the publish socket private: %w", err)
		}
	}
	return &publishServer{listener: l, http: &http.Server{
		Handler:           api,
		ReadHeaderTimeout: publishHeaderTimeout,
		IdleTimeout:       publishIdleTimeout,
	}}, nil
}

func (p *publishServer) address() string { return p.listener.Addr().String() }

// run serves until ctx is done and publishes under way are answered.
func (p *publishServer) run(ctx context.Context) error {
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { // awaited by <-done
		defer close(done)
		drain, cancel := context.WithTimeout(context.Background(), publishDrainTimeout)
		defer cancel()
		p.http.Shutdown(drain)
	})
	if err := p.http.Serve(p.listener); !errors.Is(err, http.ErrServerClosed) {
		stop()
		return fmt.Errorf("serve the publish API: %w", err)
	}
	<-done
	return nil
}

// close gives the address back before run was called. It may be called on nil.
func (p *publishServer) close() {
	if p != nil {
		p.listener.Close()
	}
}
