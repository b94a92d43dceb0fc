package proxy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

// ruleRoutes are a route for each option that refuses frames, once as a tunnel
// and once as an app.
func ruleRoutes(host string) (routes []Route) {
	for _, r := range []Route{
		{Path: "/validate", Validate: true},
		{Path: "/size", MaxMessage: 100},
		{Path: "/fragments", MaxFragments: 3},
		{Path: "/rate", MessageRate: 5},
		{Path: "/free"},
	} {
		for _, kind := range tunnelOrApp(r, host) {
			routes = append(routes, kind)
		}
	}
	return routes
}

// offence is what a side may send behind a first message, and what comes of it.
type offence struct {
	name, path string
	sent       func(e *wsEnd) string
	code       uint16
	reason     string
	side       string // the only one for which it is wrong; "" for both
}

func frames(list ...any) func(e *wsEnd) string {
	return func(e *wsEnd) (text string) {
		for i := 0; i < len(list); i += 2 {
			text += e.frame(byte(list[i].(int)), list[i+1].(string))
		}
		return text
	}
}

func offences() []offence {
	long := strings.Repeat("x", 60)
	return []offence{
		{"long message", "/size", frames(finText, long+long), 1009, "message too big", ""},
		{"long in fragments", "/size", frames(0x01, long, 0x80, long), 1009, "message too big", ""},
		{"long announced only", "/size", func(e *wsEnd) string { return e.frame(finText, long+long)[:e.headSize()] }, 1009, "message too big", ""},
		{"fourth fragment", "/fragments", frames(0x01, "a", 0, "b", 0, "c", 0, "d"), 1008, "message in too many fragments", ""},
		{"sixth message", "/rate", frames(finText, "2", finText, "3", finText, "4", finText, "5", finText, "6"), 1008, "too many messages", "client"},
		{"sixth ping", "/rate", frames(finPing, "2", finPing, "3", finPing, "4", finPing, "5", finPing, "6"), 1008, "too many messages", "client"},
		{"reserved opcode", "/validate", frames(0x83, "x"), 1002, "reserved opcode", ""},
		{"reserved control", "/validate", frames(0x8b, ""), 1002, "reserved opcode", ""},
		{"compressed without agreement", "/validate", frames(0xc1, "x"), 1002, "reserved bits", ""},
		{"wrong masking", "/validate", func(e *wsEnd) string { return wsFrame(finText, !e.masks, "x") }, 1002, "mask", ""},
		{"ping in fragments", "/validate", frames(0x09, "x"), 1002, "control frame", ""},
		{"long ping", "/validate", frames(finPing, long+long+long), 1002, "control frame", ""},
		{"stray continuation", "/validate", frames(0x80, "x"), 1002, "continuation", ""},
		{"message in a message", "/validate", frames(0x01, "x", finText, "y"), 1002, "before the end", ""},
		{"padded length", "/validate", (*wsEnd).padded, 1002, "shortest form", ""},
		{"close of one byte", "/validate", frames(finClose, "x"), 1002, "half a status code", ""},
		{"close of 1005", "/validate", frames(finClose, closing(1005, "")), 1002, "must not be sent", ""},
		{"close not in UTF-8", "/validate", frames(finClose, closing(1000, "\xff")), 1002, "UTF-8", ""},
		{"no frames at all", "/size", func(*wsEnd) string { return "\x83\x83\x83\x83\x83\x83\x83\x83" }, 1002, "reserved opcode", ""},
	}
}

// headSize is that of a frame's head with less than 126 bytes of payload.
func (e *wsEnd) headSize() int { return len(e.frame(finText, "")) }

// padded is a frame that writes the length of its payload longer than it needs.
func (e *wsEnd) padded() string {
	short := e.frame(finText, "x")
	return short[:1] + string([]byte{short[1]&0x80 | 126, 0, 1}) + short[2:]
}

// Who sends what the route refuses gets the code for it, the other side 1001,
// and the log has both who it was and why.
func TestTunnelRules_OffenderGetsTheCodeAndTheOtherSide1001(t *testing.T) {
	eachScheme(t, func(t *testing.T, s scheme) {
		host, ends := rawTunnels(t, "")
		f := s.serve(t, Config{}, ruleRoutes(host)...)
		for _, o := range offences() {
			for _, route := range []string{"/tunnel", "/app"} {
				for i, side := range []string{"client", "backend"} {
					if o.side != "" && o.side != side {
						continue
					}
					t.Run(strings.Join([]string{o.name, route, side}, " "), func(t *testing.T) {
						f := f.with(t)
						f.log.reset()
						client, backend := openRaw(f, route+o.path, ends)
						offender, other := [2]*wsEnd{client, backend}[i], [2]*wsEnd{client, backend}[1-i]
						offender.write(offender.frame(finText, "before"))
						other.wantFrame(finText, "before")
						offender.write(o.sent(offender))
						told := make(chan struct{})
						go func() { // ends with the tunnel, awaited below
							defer close(told)
							other.wantClose(1001)
						}()
						offender.wantClose(o.code)
						receive(t, told)
						f.closed(fmt.Sprintf("close_code=%d closed_by=front", o.code), fmt.Sprintf(`reason="%s violation: `, side), o.reason)
					})
				}
			}
		}
	})
}

// What is just within the rules passes as it is, whatever stands beside it.
func TestTunnelRules_WhatTheyAllowPasses(t *testing.T) {
	hundred := strings.Repeat("x", 100)
	eachScheme(t, func(t *testing.T, s scheme) {
		host, ends := rawTunnels(t, "")
		f := s.serve(t, Config{}, ruleRoutes(host)...)
		for _, c := range []struct {
			path, side string
			frames     []any
		}{
			{"/size", "", []any{finText, hundred, 0x01, hundred[:50], 0x80, hundred[50:], finText, hundred}},
			{"/fragments", "", []any{0x01, "a", 0x00, "b", finPing, "between", 0x80, "c", finText, "d"}},
			{"/rate", "client", []any{finText, "1", 0x01, "2", 0x00, "still 2", 0x80, "still 2", finText, "3", finPing, "4", finPong, "free", finText, "5"}},
			{"/rate", "backend", []any{finText, "1", finText, "2", finText, "3", finText, "4", finText, "5", finText, "6", finText, "7", finText, "8"}},
			{"/validate", "", []any{finText, "", 0x02, "a", finPing, hundred, 0x80, "b", finPong, "unasked", finClose, closing(4000, "grüß dich")}},
			{"/free", "", []any{0x83, "reserved", finText, "there"}},
		} {
			for _, route := range []string{"/tunnel", "/app"} {
				for i, side := range []string{"client", "backend"} {
					if c.side != "" && c.side != side {
						continue
					}
					client, backend := openRaw(f, route+c.path, ends)
					from, to := [2]*wsEnd{client, backend}[i], [2]*wsEnd{client, backend}[1-i]
					from.write(frames(c.frames...)(from))
					for j := 0; j < len(c.frames); j += 2 {
						to.wantFrame(byte(c.frames[j].(int)), c.frames[j+1].(string))
					}
					client.conn.Close()
					backend.conn.Close()
				}
			}
		}
	})
}

// Compressed messages set a reserved bit, which is lawful once both sides have
// agreed on it, and count towards max_message as they are on the wire.
func TestTunnelRules_CompressionAgreedUponPasses(t *testing.T) {
	eachScheme(t, func(t *testing.T, s scheme) {
		host, _ := hookedBackend(t, nil)
		f := s.serve(t, Config{}, Route{Path: "/", App: "http://" + host, Validate: true, MaxMessage: 64 << 10})
		conn, res := dialWS(t, f, websocket.Dialer{EnableCompression: true}, "/")
		if !strings.Contains(res.Header.Get("Sec-WebSocket-Extensions"), "permessage-deflate") {
			t.Fatal("client and backend agreed on no compression")
		}
		echo(t, conn, make([]byte, 1<<20))
		_ = conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""), noDeadline)
		wantCloseError(t, "client", endOf(conn), 1000)
		conn.Close()
		line := f.closed("close_code=1000 closed_by=client", "messages_in=1 messages_out=1")
		var in int
		if _, err := fmt.Sscanf(line[strings.Index(line, "bytes_in="):], "bytes_in=%d", &in); err != nil || in > 64<<10 {
			t.Errorf("a MiB of zeros was not compressed: %s", line)
		}
	})
}

func TestTunnelRules_OnlyTheBitOfTheAgreedExtensionPasses(t *testing.T) {
	for _, c := range []struct {
		extensions string
		first      byte
		passes     bool
	}{
		{"", 0xc1, false},
		{"permessage-deflate; server_no_context_takeover", 0xc1, true},
		{"permessage-deflate", 0xa1, false}, // RSV2
		{"permessage-deflate", 0xc9, false}, // RSV1 on a ping (RFC 7692 §6)
		{"x-other", 0x91, true},             // nobody here knows what it does with RSV3
		{"x-other, permessage-deflate", 0xf1, true},
	} {
		t.Run(fmt.Sprintf("%s %#x", c.extensions, c.first), func(t *testing.T) {
			fields := ""
			if c.extensions != "" {
				fields = "Sec-WebSocket-Extensions: " + c.extensions + "\r\n"
			}
			host, ends := rawTunnels(t, fields)
			f := serveFront(t, Route{Path: "/", Tunnel: Tunnel{Backend: "ws://" + host}, Validate: true})
			for i := range 2 {
				client, backend := openRaw(f, "/", ends)
				from, to := [2]*wsEnd{client, backend}[i], [2]*wsEnd{client, backend}[1-i]
				from.write(from.frame(c.first, "x"))
				if c.passes {
					to.wantFrame(c.first, "x")
					client.conn.Close()
					backend.conn.Close()
					continue
				}
				told := make(chan struct{})
				go func() { // ends with the tunnel, awaited below
					defer close(told)
					to.wantClose(1001)
				}()
				from.wantClose(1002)
				receive(t, told)
			}
		})
	}
}

// A connection that served other requests by net/http before carries a tunnel
// with the same rules.
func TestTunnelRules_HoldOnAConnectionThatWasHandedOver(t *testing.T) {
	eachScheme(t, func(t *testing.T, s scheme) {
		host, ends := rawTunnels(t, "")
		routes := append(ruleRoutes(host), Route{Path: "/stream", Handler: streamRoutes()[0].Handler})
		f := s.serve(t, Config{}, routes...)
		conn, r := f.dial("GET /stream HTTP/1.1\r\nHost: app.test\r\nAccept: text/event-stream\r\n\r\n")
		if res, body := readAnswer(t, r, "GET"); res.StatusCode != 200 || body != "hello" {
			t.Fatalf("%s %q", res.Status, body)
		}
		client := &wsEnd{t: t, name: "client", conn: conn, r: r, masks: true}
		client.write(crlf(strings.Replace(handshakeText, "/websocket", "/tunnel/size", 1)) + client.frame(finText, "early"))
		if status, err := r.ReadString('\n'); err != nil || !strings.Contains(status, "101") {
			t.Fatalf("%q %v", status, err)
		}
		for line := ""; line != "\r\n"; {
			var err error
			if line, err = r.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
		backend := f.backendOf(ends)
		backend.wantFrame(finText, "early")
		client.write(client.frame(finText, strings.Repeat("x", 101)))
		told := make(chan struct{})
		go func() { // ends with the tunnel, awaited below
			defer close(told)
			backend.wantClose(1001)
		}()
		client.wantClose(1009)
		receive(t, told)
		f.closed("close_code=1009 closed_by=front", "messages_in=1", "message too big")
	})
}
