package proxy

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// observation is what came of a script.
type observation struct {
	answers []gotAnswer
	// then is what became of the connection: kept, closed, tunnel, garbage
	// (no answer by the grammar), or stuck (nothing came any more).
	then string
	raw  string // what came after a 101
	seen []*seenRequest

	sent, received bytes.Buffer // by the client, to print
}

// gotAnswer is an answer as the client got it.
type gotAnswer struct {
	status  int
	fields  http.Header
	body    string
	trailer http.Header
	cut     bool // the body broke off
}

// interim reports whether another answer follows.
func (a gotAnswer) interim() bool {
	return a.status < 200 && a.status != http.StatusSwitchingProtocols
}

// scriptedClient plays the client of a script on one connection after another.
type scriptedClient struct {
	conn    net.Conn
	r       *bufio.Reader
	script  script
	dial    func() (net.Conn, error)
	backend *scriptedBackend
	split   func(text string) []string // into writes
	o       *observation
	finals  int  // final answers so far
	ended   bool // our half is closed
	over    bool // no more answers can come
}

// run plays the whole script and finds out what became of the connection.
func (c *scriptedClient) run() error {
	if err := c.connect(); err != nil {
		return err
	}
	defer func() { c.conn.Close() }()
	for _, s := range c.script.client {
		if err := c.step(s); err != nil {
			return err
		}
	}
	for !c.over && c.finals < len(c.script.methods) {
		c.readAnswer()
	}
	c.findFate()
	return nil
}

func (c *scriptedClient) connect() error {
	conn, err := c.dial()
	if err != nil {
		return err
	}
	_ = conn.SetDeadline(time.Now().Add(cmp.Or(c.script.patience, patience)))
	c.conn, c.r = conn, bufio.NewReader(io.TeeReader(conn, &c.o.received))
	return nil
}

func (c *scriptedClient) step(s step) error {
	switch s.do {
	case "send":
		for _, piece := range c.split(s.text) {
			c.o.sent.WriteString(piece)
			if _, err := io.WriteString(c.conn, piece); err != nil {
				return nil // closed already: reading will tell
			}
		}
	case "await":
		for !c.over {
			if c.readAnswer(); len(c.o.answers) > 0 && c.o.answers[len(c.o.answers)-1].status == s.n {
				return nil
			}
		}
	case "seen":
		return c.backend.await(fmt.Sprintf("request %d is seen", s.n), func() bool { return len(c.backend.seen) >= s.n })
	case "end":
		c.ended = true
		return c.conn.(interface{ CloseWrite() error }).CloseWrite()
	case "close":
		c.over, c.o.then = true, "closed"
		c.conn.Close()
	case "new":
		c.conn.Close()
		c.over, c.ended = false, false
		return c.connect()
	default:
		return fmt.Errorf("<%s> is nothing that a client does", s.do)
	}
	return nil
}

// readAnswer reads one answer whole, or finds out that none comes.
func (c *scriptedClient) readAnswer() {
	method := http.MethodGet
	if c.finals < len(c.script.methods) {
		method = c.script.methods[c.finals]
	}
	if _, err := c.r.Peek(1); err != nil {
		c.end(err)
		return
	}
	res, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		c.over, c.o.then = true, "garbage"
		return
	}
	if res.Close && len(res.Header["Connection"]) == 0 {
		res.Header.Set("Connection", "close") // ReadResponse takes it away
	}
	a := gotAnswer{status: res.StatusCode, fields: res.Header}
	if a.status >= 200 {
		body, err := io.ReadAll(res.Body)
		a.body, a.trailer, a.cut = string(body), res.Trailer, err != nil
		if err != nil {
			c.end(err)
		}
	}
	c.o.answers = append(c.o.answers, a)
	if !a.interim() {
		c.finals++
	}
}

// end notes why no more answers come.
func (c *scriptedClient) end(err error) {
	c.over, c.o.then = true, "closed"
	var network net.Error
	if errors.As(err, &network) && network.Timeout() {
		c.o.then = "stuck"
	}
}

// findFate asks the connection once more when the script is over.
func (c *scriptedClient) findFate() {
	switch last := len(c.o.answers) - 1; {
	case c.over:
		return
	case last >= 0 && c.o.answers[last].status == http.StatusSwitchingProtocols:
		raw, err := io.ReadAll(c.r)
		c.o.raw, c.o.then = string(raw), "tunnel"
		if c.end(err); c.o.then == "closed" {
			c.o.then = "tunnel"
		}
		return
	case c.ended:
		for !c.over {
			c.readAnswer()
		}
		return
	}
	// A closed connection may refuse this; reading tells in any case.
	_, _ = io.WriteString(c.conn, "GET "+probeTarget+" HTTP/1.1\r\nHost: app.test\r\n\r\n")
	for !c.over {
		c.readAnswer()
		if last := len(c.o.answers) - 1; last >= 0 && c.o.answers[last].body == probeBody {
			c.o.answers = c.o.answers[:last]
			c.o.then = "kept"
			return
		}
	}
}

// dialFront connects as a browser would.
func dialFront(addr string, secure bool) func() (net.Conn, error) {
	d := &net.Dialer{Timeout: patience}
	if !secure {
		return func() (net.Conn, error) { return d.Dial("tcp", addr) }
	}
	return func() (net.Conn, error) {
		return tls.DialWithDialer(d, "tcp", addr, &tls.Config{ServerName: "app.test", InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	}
}

// String is the raw exchange, for failures.
func (o *observation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "client sent\n%sclient received\n%sthen %s", quoteLines(o.sent.String()), quoteLines(o.received.String()), o.then)
	if o.raw != "" {
		fmt.Fprintf(&b, ", raw %s", quoteShort(o.raw))
	}
	for i, q := range o.seen {
		fmt.Fprintf(&b, "\nbackend saw %d: %s", i+1, q)
	}
	return b.String()
}

func (q *seenRequest) String() string {
	var b strings.Builder
	if q.push {
		b.WriteString("push ")
	}
	fmt.Fprintf(&b, "%s %s", q.method, quoteShort(q.target))
	for _, f := range q.fields {
		fmt.Fprintf(&b, "\n    %s: %s", f.name, quoteShort(f.value))
	}
	fmt.Fprintf(&b, "\n    body %s whole=%v raw %s", quoteShort(q.body), q.whole, quoteShort(q.raw))
	for _, f := range q.trailer {
		fmt.Fprintf(&b, "\n    trailer %s: %s", f.name, quoteShort(f.value))
	}
	if q.malformed != "" {
		fmt.Fprintf(&b, "\n    MALFORMED %s", q.malformed)
	}
	return b.String()
}

// quoteLines shows bytes line by line with their ends.
func quoteLines(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString("    " + quoteShort(line) + "\n")
	}
	return b.String()
}

func quoteShort(text string) string {
	if len(text) > 300 {
		return fmt.Sprintf("%.150q… (%d bytes) …%q", text, len(text), text[len(text)-50:])
	}
	return fmt.Sprintf("%q", text)
}
