package proxy

import (
	"strings"
	"testing"
	"time"

	"wsfront/proxy/http1"
)

// eachMode runs test for a front with a tunnel route "/" and for one of an app
// route, whose tunnels the relay has, and for one of mode message.
func eachMode(t *testing.T, o Route, test func(t *testing.T, f *front, ends <-chan *wsEnd)) {
	t.Parallel()
	for _, mode := range []string{"tunnel", "app", "message"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			host, ends := rawTunnels(t, "")
			r := o
			r.Path = "/"
			switch mode {
			case "tunnel":
				r.Tunnel = Tunnel{Backend: "ws://" + host}
			case "app":
				r.App = "http://" + host
			case "message":
				r.Tunnel = Tunnel{Backend: "ws://" + host, Mode: TunnelMessage}
			}
			test(t, serveFront(t, r), ends)
		})
	}
}

// backendWritten is the backend of the front's only route as it stands in the
// configuration.
func (f *front) backendWritten() string {
	r := f.cfg.Sites[0].Routes[0]
	return r.App + r.Tunnel.Backend
}

func TestTunnels_WhatIsOpenIsListed(t *testing.T) {
	eachMode(t, Route{}, func(t *testing.T, f *front, ends <-chan *wsEnd) {
		if got := f.Tunnels(); len(got) != 0 {
			t.Fatalf("before any was opened: %+v", got)
		}
		began := time.Now()
		client, _ := f.handshake("/chat", "\nUser-Agent: one/1.0\t(bell)")
		backend := f.backendOf(ends)
		exchangeFrames(client, backend)
		client.write(client.frame(finPing, "x")) // no message
		if f.cfg.Sites[0].Routes[0].messagesOf() {
			client.wantFrame(finPong, "x")
		} else {
			backend.wantFrame(finPing, "x")
		}
		list := f.Tunnels()
		if len(list) != 1 {
			t.Fatalf("%d are listed, want 1: %+v", len(list), list)
		}
		got := list[0]
		line := f.log.await(t, "msg=tunnel.open")
		if !strings.Contains(line, "id="+got.ID+" ") || len(got.ID) != 16 {
			t.Errorf("the id is %q, the log has %s", got.ID, line)
		}
		if got.Opened.Before(began) || got.Moved.Before(got.Opened) || got.Moved.After(time.Now()) {
			t.Errorf("opened at %v, moved at %v; it began at %v", got.Opened, got.Moved, began)
		}
		sent := int64(len(client.frame(finText, "in")) + len(client.frame(finPing, "x")))
		want := TunnelState{
			ID: got.ID, Client: "127.0.0.1", UserAgent: "one/1.0(bell)", Site: "*", Route: "/", Backend: f.backendWritten(),
			Opened: got.Opened, Moved: got.Moved, BytesIn: sent, BytesOut: got.BytesOut, MessagesIn: 1, MessagesOut: 1,
		}
		if got != want || got.BytesOut < int64(len(backend.frame(finText, "out"))) {
			t.Errorf("listed as\n%+v\nwant\n%+v", got, want)
		}
		exchangeFrames(openRaw(f, "/later", ends))
		if list := f.Tunnels(); len(list) != 2 || list[0].ID != got.ID {
			t.Errorf("the older one is not the first of %+v", list)
		}
		client.write(client.frame(finClose, closing(1000, "")))
		_ = client.conn.(interface{ CloseWrite() error }).CloseWrite()
		backend.wantClose(1000)
		f.closed("id=" + got.ID)
		if list := f.Tunnels(); len(list) != 1 || list[0].ID == got.ID {
			t.Errorf("once it is over: %+v", list)
		}
	})
}

func (r Route) messagesOf() bool { return r.Tunnel.Mode == TunnelMessage }

func TestCloseTunnel_TellsBothSidesAndTheLog(t *testing.T) {
	eachMode(t, Route{}, func(t *testing.T, f *front, ends <-chan *wsEnd) {
		client, backend := openRaw(f, "/", ends)
		exchangeFrames(client, backend)
		id := f.Tunnels()[0].ID
		other, otherBackend := openRaw(f, "/", ends)
		for _, unknown := range []string{"", "aaaaaaaaaaaaaaaa", id[1:], id + "a"} {
			if f.CloseTunnel(unknown) {
				t.Errorf("%q is an id", unknown)
			}
		}
		if !f.CloseTunnel(id) {
			t.Fatal("the tunnel is unknown")
		}
		for _, e := range []*wsEnd{client, backend} {
			e.wantFrame(finClose, closing(1001, "closed by the operator"))
			e.write(e.frame(finClose, closing(1001, "")))
		}
		f.closed("id="+id, `reason="closed by the operator" close_code=1001 closed_by=front close_reason="closed by the operator"`)
		if f.CloseTunnel(id) {
			t.Error("one that is over was closed again")
		}
		exchangeFrames(other, otherBackend)
		if n := f.tunnelCounts()[routeID{"*", "/"}].Closed[TunnelEnd{"front", 1001, "closed by the operator"}]; n != 1 {
			t.Errorf("%d are counted as closed by the operator, want 1", n)
		}
	})
}

func TestTunnels_LastPingIsTold(t *testing.T) {
	eachMode(t, Route{Ping: time.Second}, func(t *testing.T, f *front, ends <-chan *wsEnd) {
		began := time.Now()
		client, backend := openRaw(f, "/", ends)
		for _, e := range []*wsEnd{client, backend} {
			go func() { // ends with the tunnel
				for {
					first, payload, err := e.read()
					if err != nil {
						return
					}
					if first == finPing {
						_, _ = e.conn.Write([]byte(e.frame(finPong, payload)))
					}
				}
			}()
		}
		until(t, "the client has answered a ping", func() bool {
			list := f.Tunnels()
			return len(list) == 1 && !list[0].Ponged.IsZero()
		})
		got := f.Tunnels()[0]
		if got.PingSeconds <= 0 || got.PingSeconds > time.Since(began).Seconds() || got.Ponged.Before(began) {
			t.Errorf("answered at %v within %v s", got.Ponged, got.PingSeconds)
		}
		if d := f.pingRoundTrip(); d.Count() == 0 || d.Sum <= 0 {
			t.Errorf("counted %d of %v", d.Count(), d.Sum)
		}
		if got.MessagesIn != 0 || !got.Moved.Equal(got.Opened) {
			t.Errorf("pings and pongs count as what the sides said: %+v", got)
		}
	})
}

func TestUserAgent_IsKeptShortAndPrintable(t *testing.T) {
	for sent, want := range map[string]string{
		"":                                  "",
		"Mozilla/5.0 (X11)":                 "Mozilla/5.0 (X11)",
		"a\x00b\x1b[31mc\x7f\u0085d":        "ab[31mcd",
		"\u202egnp.exe":                     "gnp.exe", // it would be shown backwards
		"caf\u00e9 \xff\xfe":                "caf\u00e9 ",
		strings.Repeat("x", 300):            strings.Repeat("x", 256),
		strings.Repeat("x", 255) + "\u00e9": strings.Repeat("x", 255),
	} {
		fields := []http1.Field{{Known: http1.UserAgent, Name: []byte("User-Agent"), Value: []byte(sent)}}
		if got := userAgent(fields).Value(); got != want {
			t.Errorf("%q is kept as %q, want %q", sent, got, want)
		}
	}
	if got := userAgent(nil).Value(); got != "" {
		t.Errorf("none is kept as %q", got)
	}
}

func TestTunnels_ManyAreListedEachOnce(t *testing.T) {
	const tunnels = 50
	eachMode(t, Route{}, func(t *testing.T, f *front, ends <-chan *wsEnd) {
		for i := range tunnels {
			client, backend := openRaw(f, "/", ends)
			for range i {
				exchangeFrames(client, backend)
			}
		}
		until(t, "the last one is listed", func() bool { return len(f.Tunnels()) == tunnels })
		ids, moved := map[string]bool{}, map[int64]bool{}
		for _, s := range f.Tunnels() {
			ids[s.ID], moved[s.MessagesIn] = true, true
			if s.MessagesIn != s.MessagesOut {
				t.Errorf("%d messages came and %d went", s.MessagesIn, s.MessagesOut)
			}
		}
		if len(ids) != tunnels || len(moved) != tunnels {
			t.Errorf("%d ids and %d accounts are listed, want %d", len(ids), len(moved), tunnels)
		}
	})
}
