package proxy

import (
	"bufio"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// The time that an application takes is no reason to ask it once more.
func TestForward_SilentBackendIsAskedOnce(t *testing.T) {
	var asked atomic.Int32
	addr := rawBackend(t, func(conn net.Conn, r *bufio.Reader) {
		for {
			if _, err := readRequest(r); err != nil {
				return
			}
			if asked.Add(1) == 1 {
				_, _ = io.WriteString(conn, okAnswer)
			}
		}
	})
	f := serveFront(t, Route{Path: "/", App: "http://" + addr, ResponseTimeout: 300 * time.Millisecond})
	f.ask("GET / HTTP/1.1\nHost: a")
	if res, _ := f.ask("GET / HTTP/1.1\nHost: a"); res.StatusCode != 504 || asked.Load() != 2 {
		t.Errorf("%s after %d requests, want 504 after 2", res.Status, asked.Load())
	}
}
