package http1

import (
	"strings"
	"testing"
)

const ok = "HTTP/1.1 200 OK\r\n"

var responseVerdicts = []verdict{
	// The status line.
	{"RFC 9112 §4", ok + "\r\n", 0},
	{"RFC 9112 §4", "HTTP/1.0 200 OK\r\n\r\n", 0},
	{"RFC 9112 §4", "HTTP/1.1 200 \r\n\r\n", 0},
	{"RFC 9112 §4", "HTTP/1.1 200\r\n\r\n", 0},
	{"RFC 9112 §4", "HTTP/1.1 404 Nicht da, \xe9\tj\xc3\xa4\r\n\r\n", 0},
	{"RFC 9112 §4", "HTTP/1.1 100 Continue\r\n\r\n", 0},
	{"RFC 9112 §4", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", 0},
	{"RFC 9112 §4", "HTTP/1.1 599 X\r\n\r\n", 0},
	{"RFC 9110 §15", "HTTP/1.1 600 X\r\n\r\n", 502},
	{"RFC 9110 §15", "HTTP/1.1 999 X\r\n\r\n", 502},
	{"RFC 9110 §15", "HTTP/1.1 099 X\r\n\r\n", 502},
	{"RFC 9110 §15", "HTTP/1.1 000 X\r\n\r\n", 502},
	{"RFC 9112 §4", "HTTP/1.1 20 OK\r\n\r\n", 502},
	{"RFC 9112 §4", "HTTP/1.1 2000 OK\r\n\r\n", 502},
	{"RFC 9112 §4", "HTTP/1.1 2x0 OK\r\n\r\n", 502},
	{"RFC 9112 §4", "HTTP/1.1 +20 OK\r\n\r\n", 502},
	{"RFC 9112 §4", "HTTP/1.1  200 OK\r\n\r\n", 502},
	{"RFC 9112 §4", "HTTP/1.1\t200 OK\r\n\r\n", 502},
	{"RFC 9112 §4", "HTTP/1.1 200\tOK\r\n\r\n", 502},
	{"RFC 9112 §4", "HTTP/1.1 200 O\x00K\r\n\r\n", 502},
	{"RFC 9112 §4", "HTTP/1.1 200 O\x7fK\r\n\r\n", 502},
	{"RFC 9112 §4", "HTTP/1.1\r\n\r\n", 502},
	{"RFC 9112 §4", "Status: 200 OK\r\n\r\n", 502},
	{"RFC 9112 §4", "<html>", 502},
	{"RFC 9112 §2.2", "\r\n" + ok + "\r\n", 502},
	{"RFC 9112 §2.3", "HTTP/2.0 200 OK\r\n\r\n", 502},
	{"RFC 9112 §2.3", "HTTP/1.2 200 OK\r\n\r\n", 502},
	{"RFC 9112 §2.3", "HTTP/0.9 200 OK\r\n\r\n", 502},
	{"RFC 9112 §2.3", "http/1.1 200 OK\r\n\r\n", 502},
	{"RFC 9112 §2.3", "HTTP/1x1 200 OK\r\n\r\n", 502},

	// Lines and fields.
	{"RFC 9112 §2.2", "HTTP/1.1 200 OK\nX: a\n\n", 502},
	{"RFC 9112 §2.2", ok + "X: a\n\r\n", 502},
	{"RFC 9112 §2.2", ok + "X: a\r\n\n", 502},
	{"RFC 9112 §2.2", ok + "X: a\rb\r\n\r\n", 502},
	{"RFC 9112 §5.1", ok + "X : a\r\n\r\n", 502},
	{"RFC 9112 §5.2", ok + "X: a\r\n b\r\n\r\n", 502},
	{"RFC 9112 §5.2", ok + " X: a\r\n\r\n", 502},
	{"RFC 9112 §5", ok + "X\r\n\r\n", 502},
	{"RFC 9112 §5", ok + ": a\r\n\r\n", 502},
	{"RFC 9112 §5", ok + "X\xe9: a\r\n\r\n", 502},
	{"RFC 9110 §5.5", ok + "X: \xe9\r\n\r\n", 0},
	{"RFC 9110 §5.5", ok + "X: a\x00\r\n\r\n", 502},
	{"RFC 9110 §5.5", ok + "X: \x1b[m\r\n\r\n", 502},

	// Framing.
	{"RFC 9112 §6.2", ok + "Content-Length: 5\r\n\r\n", 0},
	{"RFC 9110 §8.6", ok + "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", 0},
	{"RFC 9110 §8.6", ok + "Content-Length: 5, 5,5\r\n\r\n", 0},
	{"RFC 9110 §8.6", ok + "Content-Length: 5, 6\r\n\r\n", 502},
	{"RFC 9110 §8.6", ok + "Content-Length: 5,\r\n\r\n", 502},
	{"RFC 9110 §8.6", ok + "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", 502},
	{"RFC 9110 §8.6", ok + "Content-Length: -1\r\n\r\n", 502},
	{"RFC 9110 §8.6", ok + "Content-Length: 1e3\r\n\r\n", 502},
	{"RFC 9110 §8.6", ok + "Content-Length:\r\n\r\n", 502},
	{"RFC 9112 §6.1", ok + "Transfer-Encoding: chunked\r\n\r\n", 0},
	{"RFC 9112 §6.1", ok + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", 502},
	{"RFC 9112 §6.1", ok + "Transfer-Encoding: gzip, chunked\r\n\r\n", 502},
	{"RFC 9112 §6.1", ok + "Transfer-Encoding: gzip\r\n\r\n", 502},
	{"RFC 9112 §6.1", ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 502},
	{"RFC 9112 §6.1", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 502},
	{"RFC 9112 §6.1", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", 502},
	{"RFC 9112 §6.1", "HTTP/1.1 101 X\r\nTransfer-Encoding: chunked\r\n\r\n", 502},
	{"RFC 9112 §6.1", "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", 0},
	{"RFC 9110 §8.6", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 0},
	{"RFC 9110 §8.6", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", 0},

	// Limits: the defaults.
	{"RFC 9110 §5.4", ok + strings.Repeat("X: a\r\n", 100) + "\r\n", 0},
	{"RFC 9110 §5.4", ok + strings.Repeat("X: a\r\n", 101) + "\r\n", 502},
	{"RFC 9110 §5.4", ok + "X: " + strings.Repeat("a", 40<<10), 502},
	{"RFC 9110 §5.4", "HTTP/1.1 200 " + strings.Repeat("a", 40<<10), 502},
}

func TestResponse_Verdicts(t *testing.T) {
	for _, v := range responseVerdicts {
		checkVerdict(t, v, func() parser { return new(Response) })
	}
}
