package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

// openAtOnce bounds the handshakes that the clients have under way.
const openAtOnce = 64

func (f *front) socket(ctx context.Context, path string, protocols ...string) (*websocket.Conn, *http.Response, error) {
	f.slots <- struct{}{}
	defer func() { <-f.slots }()
	d := websocket.Dialer{NetDialContext: f.dial, TLSClientConfig: clientTLS(), HandshakeTimeout: time.Minute, Subprotocols: protocols,
		ReadBufferSize: 512, WriteBufferSize: 512, WriteBufferPool: &f.buffers}
	return d.DialContext(ctx, "wss://app.test"+path, nil)
}

// tunnel keeps one tunnel open and sends a message through it each ten seconds
// or so, until ctx is done. It must never be cut.
func (f *front) tunnel(ctx context.Context, c *counts, i int) {
	ws, _, err := f.socket(ctx, "/websocket")
	if err != nil {
		if ctx.Err() == nil {
			c.note(&c.dialsFailed, "open a tunnel: %v", err)
		}
		return
	}
	c.tunnelsOpen.Add(1)
	defer c.tunnelsOpen.Add(-1)
	defer ws.Close()
	for n := 0; ctx.Err() == nil; n++ {
		want := fmt.Appendf(nil, "tunnel %d message %d", i, n)
		_ = ws.SetReadDeadline(time.Now().Add(time.Minute))
		err := ws.WriteMessage(websocket.TextMessage, want)
		var got []byte
		if err == nil {
			_, got, err = ws.ReadMessage()
		}
		if err != nil || !bytes.Equal(got, want) {
			c.note(&c.tunnelsCut, "tunnel %d after %d messages: %v %q", i, n, err, got)
			return
		}
		c.echoes.Add(1)
		pause(ctx, 5*time.Second+rand.N(10*time.Second))
	}
}

// mortalTunnel opens a tunnel to the backend that dies, whenever it lives.
func (f *front) mortalTunnel(ctx context.Context, c *counts) {
	for ctx.Err() == nil {
		ws, _, err := f.socket(ctx, "/mortal-socket")
		if err == nil {
			c.mortalTunnels.Add(1)
			stop := context.AfterFunc(ctx, func() { ws.Close() })
			_, _, _ = ws.ReadMessage() // until the backend dies
			stop()
			ws.Close()
		}
		pause(ctx, rand.N(2*time.Second))
	}
}

// publishNumbers sends numbers to the channel, one after the other.
func (f *front) publishNumbers(ctx context.Context, c *counts) {
	client := &http.Client{Timeout: 30 * time.Second}
	for n := 1; ctx.Err() == nil; n++ {
		r, err := http.NewRequest("POST", "http://"+f.publishAt+"/channels/soak", strings.NewReader(fmt.Sprintf("%d %s", n, strings.Repeat("x", 100))))
		if err == nil {
			r.Header.Set("Authorization", "Bearer "+f.key)
			var res *http.Response
			if res, err = client.Do(r); err == nil {
				_, _ = io.Copy(io.Discard, res.Body)
				if res.Body.Close(); res.StatusCode != http.StatusOK {
					err = fmt.Errorf("%s", res.Status)
				}
			}
		}
		if err != nil {
			c.note(&c.publishFailed, "publish: %v", err)
		} else {
			c.published.Add(1)
		}
		pause(ctx, 2*time.Second)
	}
	client.CloseIdleConnections()
}

// pushClient listens for some seconds, goes, and comes back with its position:
// every number must come, once and in order.
func (f *front) pushClient(ctx context.Context, c *counts) {
	position, last := "", 0
	pause(ctx, rand.N(10*time.Second))
	for ctx.Err() == nil {
		path := "/push"
		if position != "" {
			path += "?from=" + position
		}
		ws, _, err := f.socket(ctx, path, "resume.v1")
		if err != nil {
			if ctx.Err() == nil {
				c.note(&c.dialsFailed, "open a push client: %v", err)
				pause(ctx, time.Second)
			}
			continue
		}
		c.pushClients.Add(1)
		c.pushOpen.Add(1)
		leave := time.AfterFunc(10*time.Second+rand.N(30*time.Second), func() { _ = ws.SetReadDeadline(time.Unix(1, 0)) })
		stop := context.AfterFunc(ctx, func() { _ = ws.SetReadDeadline(time.Unix(1, 0)) })
		position, last = listen(ws, c, position, last)
		leave.Stop()
		stop()
		ws.Close()
		c.pushOpen.Add(-1)
		pause(ctx, rand.N(4*time.Second))
	}
}

// listen takes messages until the client wants to go.
func listen(ws *websocket.Conn, c *counts, position string, last int) (string, int) {
	for first := true; ; first = false {
		_, p, err := ws.ReadMessage()
		if err != nil {
			if !strings.Contains(err.Error(), "timeout") {
				c.note(&c.pushCut, "push client: %v", err)
			}
			return position, last
		}
		if first {
			at, state, _ := strings.Cut(string(p), " ")
			switch {
			case state == "resumed":
				c.resumed.Add(1)
			case state == "gap" || position != "":
				c.note(&c.gaps, "push client from %s: %s", position, p)
				last = 0
			}
			position = at
			continue
		}
		at, message, _ := bytes.Cut(p, []byte{'\n'})
		var n int
		if _, err := fmt.Sscanf(string(message), "%d", &n); err != nil || last > 0 && n != last+1 {
			c.note(&c.lost, "push client: %.40q after number %d", p, last)
		}
		position, last = string(at), n
		c.messages.Add(1)
	}
}
