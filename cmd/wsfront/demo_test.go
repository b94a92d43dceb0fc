package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// watched is a writer on which a test can wait for a text.
type watched struct {
	mu   sync.Mutex
	text strings.Builder
	more chan struct{} // has a value after each write
}

func newWatched() *watched { return &watched{more: make(chan struct{}, 1)} }

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case w.more <- struct{}{}:
	default:
	}
	return w.text.Write(p)
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// await waits until the text is there.
func (w *watched) await(t *testing.T, text string) {
	t.Helper()
	timeout := time.After(patience)
	for !strings.Contains(w.String(), text) {
		select {
		case <-w.more:
		case <-timeout:
			t.Fatalf("%q was not written; this was:\n%s", text, w)
		}
	}
}

func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// The demo is what a newcomer sees first: page, socket, timed message, a
// message from one page to all, publishing by the printed key, and an end.
func TestDemo_PageSocketAndPublishWork(t *testing.T) {
	state, listen, publish := t.TempDir(), freeAddress(t), freeAddress(t)
	out, errors := newWatched(), newWatched()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan int, 1)
	go func() { // ended by cancel, awaited below
		done <- run(ctx, []string{"demo", "--listen", listen, "--publish-listen", publish, "--state", state}, nil, out, errors)
	}()
	t.Cleanup(cancel)
	out.await(t, "Ctrl-C")

	pem, err := os.ReadFile(filepath.Join(state, "internal-ca", "root.crt"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	config := &tls.Config{RootCAs: roots, ServerName: "localhost"}

	transport := &http.Transport{TLSClientConfig: config.Clone()}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Get("https://" + listen + "/")
	if err != nil {
		t.Fatal(err)
	}
	page, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || !strings.Contains(string(page), "The board") {
		t.Fatalf("page: %v, %s", err, page)
	}

	dialer := websocket.Dialer{TLSClientConfig: config}
	socket, _, err := dialer.Dial("wss://"+listen+"/websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	expect := func(text string) {
		t.Helper()
		socket.SetReadDeadline(time.Now().Add(patience))
		for {
			_, message, err := socket.ReadMessage()
			if err != nil {
				t.Fatalf("waiting for %q: %v", text, err)
			}
			if strings.Contains(string(message), text) {
				return
			}
		}
	}
	expect("websocket test: received msg [")
	out.await(t, "1 page watching the board")
	if err := socket.WriteMessage(websocket.TextMessage, []byte("from one window")); err != nil {
		t.Fatal(err)
	}
	expect("from one window")
	if code := run(ctx, []string{"publish", "board", "from the shell", "--publish-listen", publish, "--state", state}, nil, io.Discard, errors); code != 0 {
		t.Fatalf("publish: exit status %d, %s", code, errors)
	}
	expect("from the shell")

	cancel()
	if code := <-done; code != 0 {
		t.Fatalf("exit status %d, %s", code, errors)
	}
}

func TestTimedMessage_IsTheFoundingDocuments(t *testing.T) {
	at := time.Date(2019, 5, 17, 9, 8, 7, 0, time.Local)
	got := timedMessage(at)
	if !strings.HasPrefix(got, "websocket test: received msg [") || !strings.HasSuffix(got, "] from server at <2019-05-17 09:08:07>") {
		t.Fatalf("%s", got)
	}
	if timedMessage(at) == got {
		t.Fatal("two messages have one id")
	}
}
