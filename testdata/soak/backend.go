package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// backend is an app: pages, uploads, and sockets that send back what they get.
type backend struct {
	address string

	mu       sync.Mutex
	listener net.Listener
	server   *http.Server
	open     map[net.Conn]bool
}

func newBackend() (*backend, error) {
	b := &backend{address: "127.0.0.1:0", open: map[net.Conn]bool{}}
	if err := b.live(); err != nil {
		return nil, err
	}
	return b, nil
}

// live begins to serve, at the address of the life before.
func (b *backend) live() error {
	l, err := net.Listen("tcp", b.address)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, page) })
	mux.HandleFunc("POST /steady/upload", func(w http.ResponseWriter, r *http.Request) {
		sum := sha256.New()
		if _, err := io.Copy(sum, r.Body); err == nil {
			fmt.Fprintf(w, "%x", sum.Sum(nil))
		}
	})
	mux.HandleFunc("/websocket", b.echo)
	mux.HandleFunc("/mortal-socket", b.echo)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.address, b.listener = l.Addr().String(), l
	b.server = &http.Server{Handler: mux, ConnState: b.note}
	go b.server.Serve(l) // ended by close and die, which need not wait
	return nil
}

var page = strings.Repeat("a page of the app\n", 500)

// note keeps the connections, taken over ones too, so that they can be cut.
func (b *backend) note(conn net.Conn, state http.ConnState) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch state {
	case http.StateNew:
		b.open[conn] = true
	case http.StateClosed:
		delete(b.open, conn)
	}
}

func (b *backend) echo(w http.ResponseWriter, r *http.Request) {
	u := websocket.Upgrader{ReadBufferSize: 512, WriteBufferSize: 512, WriteBufferPool: &sync.Pool{}}
	c, err := u.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer func() {
		c.Close()
		b.note(c.NetConn(), http.StateClosed)
	}()
	for {
		kind, p, err := c.ReadMessage()
		if err != nil || c.WriteMessage(kind, p) != nil {
			return
		}
	}
}

// cut ends every connection, as a process does that is killed.
func (b *backend) cut() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for conn := range b.open {
		conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
	}
	clear(b.open)
}

func (b *backend) close() {
	b.mu.Lock()
	server := b.server
	b.mu.Unlock()
	server.Close()
	b.cut()
}

// die ends the backend again and again, for a second each.
func (b *backend) die(ctx context.Context, c *counts, every time.Duration) {
	for pause(ctx, every) {
		b.close()
		c.kills.Add(1)
		pause(ctx, time.Second)
		if err := b.live(); err != nil {
			c.note(&c.dialsFailed, "the backend does not live again: %v", err)
			return
		}
	}
}
