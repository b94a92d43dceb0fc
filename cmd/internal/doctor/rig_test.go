package doctor

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"wsfront/proxy/diagnosis"
)

// site is a server that answers each request with the bytes that a test says.
type site struct {
	addr   string
	answer func(c net.Conn, r *http.Request, behind *bufio.Reader)
	mu     sync.Mutex
	open   []net.Conn
	wg     sync.WaitGroup
}

// serve starts a site; with TLS where cfg is given. All that it opened has ended
// when the test has.
func serve(t *testing.T, cfg *tls.Config, answer func(c net.Conn, r *http.Request, behind *bufio.Reader)) *site {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &site{addr: l.Addr().String(), answer: answer}
	s.wg.Go(func() { // ended by l.Close, awaited by Cleanup
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if cfg != nil {
				c = tls.Server(c, cfg)
			}
			s.mu.Lock()
			s.open = append(s.open, c)
			s.mu.Unlock()
			s.wg.Go(func() { s.carry(c) }) // ended by c.Close
		}
	})
	t.Cleanup(func() {
		l.Close()
		s.mu.Lock()
		open := s.open
		s.mu.Unlock()
		for _, c := range open {
			c.Close()
		}
		s.wg.Wait()
	})
	return s
}

func (s *site) carry(c net.Conn) {
	defer c.Close()
	behind := bufio.NewReader(c)
	r, err := http.ReadRequest(behind)
	if err != nil {
		return
	}
	s.answer(c, r, behind)
}

// port is where the site is.
func (s *site) port() string {
	_, port, _ := net.SplitHostPort(s.addr)
	return port
}

// url is the site's, by the name of every test.
func (s *site) url(scheme, path string) string {
	return scheme + "://app.test:" + s.port() + path
}

// brisk are waits that are long enough on loopback.
var brisk = waits{frames: 300 * time.Millisecond, pong: time.Second, close: 500 * time.Millisecond, stream: 1500 * time.Millisecond, held: 300 * time.Millisecond}

// examine runs the doctor with the name of every test resolved.
func examine(t *testing.T, o Options) *Report {
	t.Helper()
	if o.Resolve == nil {
		o.Resolve = []string{"app.test:127.0.0.1"}
	}
	r, err := run(context.Background(), o, brisk)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// expect checks the finding, and that nothing else is wrong with the report.
func expect(t *testing.T, r *Report, want diagnosis.Cause, exit int) {
	t.Helper()
	var got diagnosis.Cause
	if r.Cause != nil {
		got = r.Cause.ID
		if len(r.Cause.Evidence) == 0 || r.Cause.Sentence == "" || len(r.Cause.Fixes) == 0 {
			t.Errorf("a finding without evidence, sentence or fixes: %+v", r.Cause)
		}
	}
	failed := slices.ContainsFunc(r.Steps, func(s Step) bool { return s.Status == Failed })
	if got != want || r.Exit != exit || failed != (want != "") {
		var b strings.Builder
		_ = r.Print(&b, false)
		t.Errorf("cause %q, exit %d; want %q, %d\n%s", got, r.Exit, want, exit, b.String())
	}
}

// isHandshake reports whether a request asks for a WebSocket, as servers see it
// that read Connection as a list.
func isHandshake(r *http.Request) bool {
	return strings.EqualFold(r.Header.Get("Upgrade"), "websocket") && strings.Contains(strings.ToLower(r.Header.Get("Connection")), "upgrade")
}

// switching is a 101 that fits, with further fields.
func switching(r *http.Request, fields ...string) string {
	return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
		diagnosis.AcceptKey(r.Header.Get("Sec-WebSocket-Key")) + "\r\n" + strings.Join(append(fields, ""), "\r\n") + "\r\n"
}

// status is an answer without a word about who wrote it.
func status(code int, body string, fields ...string) string {
	return fmt.Sprintf("HTTP/1.1 %d %s\r\nContent-Length: %d\r\n%s\r\n%s", code, http.StatusText(code), len(body), strings.Join(append(fields, ""), "\r\n"), body)
}

// write sends an answer, and what does not arrive any more is the test's to see
// in the report.
func write(c net.Conn, text string) { _, _ = io.WriteString(c, text) }

// converse is a WebSocket server after its 101: it answers pings and closes, and
// says what it is told to at first.
func converse(c net.Conn, behind *bufio.Reader, first string) {
	write(c, first)
	for {
		f, err := readMasked(behind)
		if err != nil {
			return
		}
		switch f.opcode {
		case opPing:
			write(c, server(opPong, string(f.payload)))
		case opClose:
			write(c, server(opClose, string(f.payload)))
			return
		}
	}
}

// server is a short frame of a server's.
func server(opcode byte, payload string) string {
	return string([]byte{0x80 | opcode, byte(len(payload))}) + payload
}

// readMasked reads a client's control frame.
func readMasked(r *bufio.Reader) (wsFrame, error) {
	var head [6]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return wsFrame{}, err
	}
	if head[1]&0x80 == 0 || head[1]&0x7f > 125 {
		return wsFrame{}, errors.New("no masked control frame")
	}
	f := wsFrame{opcode: head[0] & 0xf, payload: make([]byte, head[1]&0x7f)}
	if _, err := io.ReadFull(r, f.payload); err != nil {
		return wsFrame{}, err
	}
	for i := range f.payload {
		f.payload[i] ^= head[2+i%4]
	}
	return f, nil
}

// soon bounds what a test waits for in vain.
const soon = 1500 * time.Millisecond
