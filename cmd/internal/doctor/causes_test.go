package doctor

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"wsfront/proxy/diagnosis"
)

const (
	apachePage  = "<!DOCTYPE HTML PUBLIC \"-//IETF//DTD HTML 2.0//EN\">\n<html><head>\n<title>Error</title>\n</head><body>\n"
	haproxyPage = "<html><body><h1>503 Service Unavailable</h1>\nNo server is available to handle this request.\n</body></html>\n"
	djangoHost  = "<!doctype html>\n<html lang=\"en\">\n<head>\n  <title>Bad Request (400)</title>\n</head>\n"
)

// TestRun_NamesTheCause has a server for each way in which a handshake fails.
// GETs without Upgrade get page, "hi" where it is empty.
func TestRun_NamesTheCause(t *testing.T) {
	for name, c := range map[string]struct {
		page   string // the answer to a plain GET
		answer func(c net.Conn, r *http.Request, behind *bufio.Reader)
		o      Options
		path   string
		want   diagnosis.Cause
		exit   int
	}{
		"page":                         {answer: fixed(status(200, "<title>Board</title>", "Server: Apache")), want: diagnosis.PageAnswered, exit: 4},
		"app":                          {answer: fixed(status(200, "hi", "Server: gunicorn")), want: diagnosis.AppAnswered, exit: 4},
		"dwebsocket":                   {answer: fixed(status(400, "", "Server: Apache", "Content-Type: text/html; charset=utf-8")), want: diagnosis.AppAnswered, exit: 4},
		"400 to a handshake only":      {answer: fixed(status(400, "no")), want: diagnosis.AppAnswered, exit: 4},
		"400 to all":                   {page: status(400, "no"), answer: fixed(status(400, "no")), want: diagnosis.UpgradeDropped, exit: 4},
		"Tornado without Upgrade":      {page: status(400, `Can "Upgrade" only to "WebSocket".`), answer: fixed(status(400, `Can "Upgrade" only to "WebSocket".`)), want: diagnosis.UpgradeDropped, exit: 4},
		"426":                          {answer: fixed(status(426, "Upgrade Required")), want: diagnosis.UpgradeDropped, exit: 4},
		"404":                          {page: status(404, "no"), answer: fixed(status(404, "no", "Server: nginx")), want: diagnosis.PathUnknown, exit: 4},
		"404, with a slash 101":        {answer: only("/websocket/", status(404, "no")), want: diagnosis.PathMangled, exit: 4},
		"page, without a slash 101":    {answer: only("/websocket", status(200, "<title>Board</title>")), path: "/websocket/", want: diagnosis.PathMangled, exit: 4},
		"404, doubled 101":             {answer: only("//websocket", status(404, "no")), want: diagnosis.PathMangled, exit: 4},
		"Connection exact":             {answer: byConnection(chrome), want: diagnosis.ConnectionExact, exit: 4},
		"Connection exactly Firefox's": {answer: byConnection(firefox), want: diagnosis.ConnectionExact, exit: 4},
		"ALLOWED_HOSTS":                {page: status(400, djangoHost), answer: fixed(status(400, djangoHost)), want: diagnosis.HostRefused, exit: 4},
		"misdirected":                  {answer: fixed(status(421, "no")), want: diagnosis.HostRefused, exit: 4},
		"Origin": {answer: func(c net.Conn, r *http.Request, behind *bufio.Reader) {
			if r.Header.Get("Origin") != "" {
				write(c, status(403, "no"))
				return
			}
			accept(c, r, behind)
		}, want: diagnosis.OriginRefused, exit: 4},
		"gorilla's Origin": {answer: fixed(status(403, "Forbidden\n", "Sec-Websocket-Version: 13")), want: diagnosis.OriginRefused, exit: 4},
		"user":             {answer: fixed(status(403, "no")), want: diagnosis.LoginRequired, exit: 4},
		"basic auth":       {answer: fixed(status(401, "no", `WWW-Authenticate: Basic realm="x"`)), want: diagnosis.LoginRequired, exit: 4},
		"redirect":         {answer: fixed(status(301, "", "Location: https://app.test/websocket")), want: diagnosis.Redirect, exit: 4},
		"login":            {answer: fixed(status(302, "", "Location: /login?next=/websocket")), want: diagnosis.Redirect, exit: 4},
		"session":          {answer: fixed(status(400, `{"code":1,"message":"Session ID unknown"}`)), want: diagnosis.SessionUnknown, exit: 4},
		"AH01144":          {answer: fixed(status(500, apachePage, "Server: Apache")), want: diagnosis.ModuleMissing, exit: 4},
		"AH00669":          {answer: fixed(status(403, apachePage, "Server: Apache")), want: diagnosis.RewriteWithoutProxy, exit: 4},
		"app fails":        {answer: fixed(status(500, "Traceback", "Server: gunicorn")), want: diagnosis.AppFailed, exit: 4},
		"teapot":           {answer: fixed(status(418, "short and stout")), want: diagnosis.Refused, exit: 4},
		"502":              {answer: fixed(status(502, "", "Server: Caddy")), want: diagnosis.BackendDown, exit: 4},
		"503":              {answer: fixed(status(503, haproxyPage)), want: diagnosis.BackendDown, exit: 4},
		"wrong scheme":     {answer: fixed(status(502, apachePage+"Reason: <strong>Error reading from remote server</strong>", "Server: Apache")), want: diagnosis.BackendScheme, exit: 4},
		"timeout of Apache's": {answer: func(c net.Conn, _ *http.Request, _ *bufio.Reader) {
			<-time.After(slowFailure)
			write(c, status(502, apachePage+"Reason: <strong>Error reading from remote server</strong>", "Server: Apache"))
		}, want: diagnosis.BackendSilent, exit: 4},
		"504":                          {answer: fixed(status(504, "")), want: diagnosis.BackendSilent, exit: 4},
		"limit":                        {answer: fixed(status(429, "")), want: diagnosis.TooMany, exit: 4},
		"told by a wsfront":            {answer: fixed(status(404, "no", "Wsfront-Diagnosis: backend-scheme; The front")), want: diagnosis.BackendScheme, exit: 4},
		"silent handshake":             {answer: func(c net.Conn, _ *http.Request, behind *bufio.Reader) { _, _ = io.Copy(io.Discard, behind) }, o: Options{Timeout: soon}, want: diagnosis.BackendSilent, exit: 4},
		"closed in place of an answer": {answer: fixed(""), want: diagnosis.AnswerMissing, exit: 4},
		"other protocol":               {page: "220 mail.test ESMTP\r\n", answer: fixed("220 mail.test ESMTP\r\n"), want: diagnosis.NotHTTP, exit: 4},
		"alert":                        {page: "\x15\x03\x01\x00\x02\x02\x46", answer: fixed("\x15\x03\x01\x00\x02\x02\x46"), want: diagnosis.TLSRequired, exit: 3},
		"plain HTTP to a TLS backend":  {answer: fixed(status(400, "Client sent an HTTP request to an HTTPS server.\n")), want: diagnosis.BackendScheme, exit: 4},

		"101 without Upgrade":    {answer: rewritten("Upgrade: websocket\r\n", ""), want: diagnosis.SwitchHeaders, exit: 4},
		"101 without Connection": {answer: rewritten("Connection: Upgrade\r\n", ""), want: diagnosis.SwitchHeaders, exit: 4},
		"101 for another key": {answer: func(c net.Conn, r *http.Request, _ *bufio.Reader) {
			r.Header.Set("Sec-WebSocket-Key", "x")
			write(c, switching(r))
		}, want: diagnosis.AcceptWrong, exit: 4},
		"no subprotocol":               {answer: accept, o: Options{Subprotocol: "chat"}, want: diagnosis.SubprotocolLost, exit: 4},
		"extension not offered":        {answer: rewritten("Upgrade: websocket\r\n", "Upgrade: websocket\r\nSec-WebSocket-Extensions: x-snappy\r\n"), want: diagnosis.FramesBroken, exit: 5},
		"compressed without agreement": {answer: says("\xc1\x01x"), want: diagnosis.FramesBroken, exit: 5},
		"text between the frames":      {answer: says(server(1, "hi") + "<script></script>"), want: diagnosis.FramesBroken, exit: 5},
		"masked frames":                {answer: says("\x81\x81\x00\x00\x00\x00x"), want: diagnosis.FramesBroken, exit: 5},
		"end within a frame": {answer: func(c net.Conn, r *http.Request, behind *bufio.Reader) {
			write(c, switching(r)+"\x81\x05h")
			if half, ok := c.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
				_, _ = io.Copy(io.Discard, behind) // a ping that was not read would make the end a reset
			}
		}, want: diagnosis.FramesBroken, exit: 5},
		"end at once":   {answer: func(c net.Conn, r *http.Request, _ *bufio.Reader) { write(c, switching(r)) }, want: diagnosis.ClosedAtOnce, exit: 5},
		"close at once": {answer: says(server(opClose, "\x03\xf0who are you")), want: diagnosis.ClosedAtOnce, exit: 5},
		"no pong": {answer: func(c net.Conn, r *http.Request, behind *bufio.Reader) {
			write(c, switching(r))
			_, _ = io.Copy(io.Discard, behind)
		}, want: diagnosis.NoPong, exit: 5},
		"idle": {answer: func(c net.Conn, r *http.Request, behind *bufio.Reader) {
			write(c, switching(r))
			for {
				_ = c.SetReadDeadline(time.Now().Add(time.Second))
				f, err := readMasked(behind)
				if err != nil || f.opcode == opClose {
					return
				}
				write(c, server(opPong, string(f.payload)))
			}
		}, o: Options{Idle: 3 * time.Second}, want: diagnosis.IdleCut, exit: 5},
		"session of another process": {path: "/socket.io/?EIO=4&transport=websocket", answer: func(c net.Conn, r *http.Request, behind *bufio.Reader) {
			switch {
			case isHandshake(r):
				accept(c, r, behind)
			case r.URL.Query().Get("sid") == "":
				write(c, status(200, `0{"sid":"abc-_1","upgrades":["websocket"]}`))
			default:
				write(c, status(400, `{"code":1,"message":"Session ID unknown"}`))
			}
		}, page: "-", want: diagnosis.SessionUnknown, exit: 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, nil, func(conn net.Conn, r *http.Request, behind *bufio.Reader) {
				switch {
				case isHandshake(r) || c.page == "-":
					c.answer(conn, r, behind)
				case c.page != "":
					write(conn, c.page)
				default:
					write(conn, status(200, "hi"))
				}
			})
			c.o.URL = s.url("ws", "/websocket")
			if c.path != "" {
				c.o.URL = s.url("ws", c.path)
			}
			expect(t, examine(t, c.o), c.want, c.exit)
		})
	}
}

// fixed is the same answer to every handshake.
func fixed(text string) func(net.Conn, *http.Request, *bufio.Reader) {
	return func(c net.Conn, _ *http.Request, _ *bufio.Reader) { write(c, text) }
}

// accept is a WebSocket that says nothing.
func accept(c net.Conn, r *http.Request, behind *bufio.Reader) {
	write(c, switching(r))
	converse(c, behind, "")
}

// says is a WebSocket that begins with these bytes.
func says(first string) func(net.Conn, *http.Request, *bufio.Reader) {
	return func(c net.Conn, r *http.Request, behind *bufio.Reader) {
		write(c, switching(r))
		converse(c, behind, first)
	}
}

// only is a WebSocket at one path, and another answer at all others.
func only(path, otherwise string) func(net.Conn, *http.Request, *bufio.Reader) {
	return func(c net.Conn, r *http.Request, behind *bufio.Reader) {
		if r.RequestURI == path {
			accept(c, r, behind)
			return
		}
		write(c, otherwise)
	}
}

// byConnection compares the Connection field as a whole.
func byConnection(exact string) func(net.Conn, *http.Request, *bufio.Reader) {
	return func(c net.Conn, r *http.Request, behind *bufio.Reader) {
		if r.Header.Get("Connection") == exact {
			accept(c, r, behind)
			return
		}
		write(c, status(404, "no"))
	}
}

// rewritten is a 101 with something in it changed.
func rewritten(old, now string) func(net.Conn, *http.Request, *bufio.Reader) {
	return func(c net.Conn, r *http.Request, behind *bufio.Reader) {
		write(c, strings.Replace(switching(r), old, now, 1))
		converse(c, behind, "")
	}
}
