package doctor

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"wsfront/proxy/diagnosis"
)

// handshake is one way to ask for a WebSocket (RFC 6455 §4.1).
type handshake struct {
	connection  string // the Connection field
	origin      string // "" for none
	subprotocol string // "" for none
	path        string
}

// chrome is the handshake as Chrome sends it, and firefox as Firefox does.
const (
	chrome  = "Upgrade"
	firefox = "keep-alive, Upgrade"
)

// slowFailure is how long a front waits at least that gives up a backend which
// says nothing. Apache, whose timeout this is, answers as for a broken answer.
const slowFailure = time.Second

// ordinary is the handshake of the page that is meant to get through.
func (e *exam) ordinary() handshake {
	h := handshake{connection: chrome, origin: e.o.Origin, subprotocol: e.o.Subprotocol, path: e.target.path}
	if h.origin == "" {
		h.origin = e.target.origin()
	}
	return h
}

// request writes a handshake. Like every browser's it offers permessage-deflate.
func (h handshake) request(host, key string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: %s\r\nPragma: no-cache\r\nCache-Control: no-cache\r\nUser-Agent: %s\r\nUpgrade: websocket\r\n",
		h.path, host, h.connection, userAgent)
	if h.origin != "" {
		fmt.Fprintf(&b, "Origin: %s\r\n", h.origin)
	}
	fmt.Fprintf(&b, "Sec-WebSocket-Version: 13\r\nAccept-Language: en\r\nSec-WebSocket-Key: %s\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n", key)
	if h.subprotocol != "" {
		fmt.Fprintf(&b, "Sec-WebSocket-Protocol: %s\r\n", h.subprotocol)
	}
	b.WriteString("\r\n")
	return b.Bytes()
}

// newKey is a Sec-WebSocket-Key.
func newKey() string {
	var nonce [16]byte
	_, _ = rand.Read(nonce[:]) // never fails
	return base64.StdEncoding.EncodeToString(nonce[:])
}

// attempt is what came of a handshake.
type attempt struct {
	sent   diagnosis.Sent
	answer *answer       // nil when none came
	err    error         // why none came
	conn   net.Conn      // of a 101; the caller closes it
	rest   *bufio.Reader // behind the 101
	took   time.Duration // from the request to the answer's end
	cause  diagnosis.Cause
	facts  string // the evidence for cause
}

// switched reports whether the handshake got a 101 that a browser takes.
func (a *attempt) switched() bool { return a.answer != nil && a.cause == "" }

func (a *attempt) close() {
	if a.conn != nil {
		a.conn.Close()
	}
}

// brief is the outcome in a few words.
func (a *attempt) brief() string {
	if a.answer != nil {
		return a.answer.brief()
	}
	return visible(reason(a.err).Error())
}

// try sends a handshake on a connection of its own. The caller closes it.
func (e *exam) try(ctx context.Context, h handshake) *attempt {
	key := newKey()
	a := &attempt{sent: diagnosis.Sent{Scheme: e.target.scheme, Host: e.target.host, Path: h.path, Origin: h.origin, Key: key, Subprotocols: h.subprotocol}}
	conn, err := e.connect(ctx, "http/1.1")
	if err != nil {
		a.err = err
		a.judge()
		return a
	}
	a.conn = conn
	begin := time.Now()
	a.answer, a.rest, a.err = exchange(ctx, conn, h.request(e.target.host, key))
	a.took = time.Since(begin)
	a.judge()
	if !a.switched() {
		conn.Close()
	}
	return a
}

// judge names the cause of what came back.
func (a *attempt) judge() {
	switch {
	case errors.Is(a.err, errNotHTTP):
		a.cause, a.facts = diagnosis.NotHTTP, "what came back begins with no HTTP"
		if a.answer != nil {
			a.facts = fmt.Sprintf("what came back begins with %q", a.answer.first)
			if isAlert(a.answer.first) {
				a.cause = diagnosis.TLSRequired
			}
			a.answer, a.err = nil, errNotHTTP
		}
	case a.err != nil:
		a.cause, a.facts = diagnosis.OfError(a.err, chainOf(a.err)), visible(reason(a.err).Error())
		a.answer = nil
		switch a.cause {
		case "":
			a.cause = diagnosis.NotHTTP
		case diagnosis.PortSilent:
			a.facts = "no answer to the handshake within " + stepTimeout.String()
		}
	default:
		a.cause, a.facts = diagnosis.OfAnswer(a.answer.diagnose(a.sent))
		if a.cause == "" {
			a.cause, a.facts = foreignExtensions(a.answer)
		}
	}
}

// isAlert reports whether bytes are the beginning of a TLS alert, by which a TLS
// server answers plain HTTP.
func isAlert(first []byte) bool { return len(first) > 1 && first[0] == 0x15 && first[1] == 3 }

// foreignExtensions finds an extension in a 101 that was not offered, at which
// browsers fail (RFC 6455 §9.1).
func foreignExtensions(a *answer) (diagnosis.Cause, string) {
	for extension := range strings.SplitSeq(strings.Join(a.fields.Values("Sec-WebSocket-Extensions"), ","), ",") {
		name, _, _ := strings.Cut(extension, ";")
		if name = strings.TrimSpace(name); name != "" && !strings.EqualFold(name, "permessage-deflate") {
			return diagnosis.FramesBroken, fmt.Sprintf("101 with the extension %q, which was not offered", visible(name))
		}
	}
	return "", ""
}

// shakeHands takes the step that all is about, and, when it fails, those that
// tell why. It reports whether there was a tunnel, whatever became of it.
func (e *exam) shakeHands(ctx context.Context) bool {
	a := e.try(ctx, e.ordinary())
	defer a.close()
	if a.answer != nil {
		e.meet(a.answer)
	}
	if !a.switched() {
		e.step("handshake", Failed, "%s", a.brief())
		e.explain(ctx, a)
		return false
	}
	e.step("handshake", OK, "101, Sec-WebSocket-Accept fits")
	e.follow(ctx, a)
	return true
}

// explain finds the cause of a failed handshake by further ones.
func (e *exam) explain(ctx context.Context, a *attempt) {
	cause, facts := a.cause, []string{a.facts}
	if a.answer != nil {
		facts[0] = a.answer.proto + " " + a.facts
	}
	switch cause {
	case diagnosis.PortSilent:
		if e.page != nil {
			cause = diagnosis.BackendSilent
			facts = append(facts, "a plain GET of the same path is answered "+e.page.brief())
		}
	case diagnosis.AnswerMissing, diagnosis.NotHTTP:
		if !e.target.secure() && e.speaksTLS(ctx) {
			cause = diagnosis.TLSRequired
			facts = append(facts, "the port answers a TLS hello")
		}
	case diagnosis.TLSRequired:
		// In these words of a backend's a front passes on what its own plain
		// request was answered.
		if a.answer != nil && a.answer.status == 400 && !e.speaksTLS(ctx) {
			cause = diagnosis.BackendScheme
			facts = append(facts, "the port itself answers no TLS hello: it is behind it that TLS is spoken")
		}
	case diagnosis.BackendScheme:
		// A backend of another protocol is seen at once.
		if a.answer != nil && a.answer.status == 502 && a.took >= slowFailure {
			cause = diagnosis.BackendSilent
			facts = append(facts, fmt.Sprintf("the answer took %.1f s", a.took.Seconds()))
		}
	case diagnosis.OriginRefused, diagnosis.LoginRequired:
		cause, facts = e.judgeOrigin(ctx, a, facts)
	case diagnosis.UpgradeDropped:
		cause, facts = e.compareWithPage(a, facts)
	}
	if other := e.otherConnection(ctx, a); other != "" {
		cause, facts = diagnosis.ConnectionExact, append(facts, other)
	}
	switch cause {
	case diagnosis.PathUnknown, diagnosis.PageAnswered, diagnosis.AppAnswered, diagnosis.UpgradeDropped, diagnosis.BackendScheme:
		if other := e.otherPath(ctx); other != "" {
			cause, facts = diagnosis.PathMangled, append(facts, other)
		}
	}
	e.find(nobody, cause, facts...)
}

// compareWithPage tells a server that looks for a handshake in vain from an
// application that finds one and cannot take it: to the latter a plain GET is
// another matter.
func (e *exam) compareWithPage(a *attempt, facts []string) (diagnosis.Cause, []string) {
	if e.page == nil {
		return a.cause, facts
	}
	if e.sameAsPage(a.answer) {
		return a.cause, append(facts, "a plain GET of the same path gets the same answer")
	}
	facts = append(facts, "a plain GET of the same path is answered "+e.page.brief())
	if a.answer.status == 400 && e.page.status < 400 && a.answer.get("Sec-WebSocket-Version") == "" {
		return diagnosis.AppAnswered, facts
	}
	return a.cause, facts
}

// judgeOrigin asks once more without an Origin: where that makes no difference,
// it is the user that is refused, unless the answer speaks of the Origin.
func (e *exam) judgeOrigin(ctx context.Context, a *attempt, facts []string) (diagnosis.Cause, []string) {
	h := e.ordinary()
	origin := h.origin
	h.origin = ""
	without := e.try(ctx, h)
	defer without.leave()
	facts = append(facts, fmt.Sprintf("with Origin: %s %s; without Origin %s", origin, a.brief(), without.brief()))
	switch {
	case without.switched():
		return diagnosis.OriginRefused, facts
	case a.cause == diagnosis.OriginRefused && (a.answer.get("Sec-WebSocket-Version") != "" || strings.Contains(strings.ToLower(string(a.answer.body)), "origin")):
		return diagnosis.OriginRefused, facts
	}
	return diagnosis.LoginRequired, facts
}

// otherConnection tries Firefox's spelling of Connection, in case it gets
// through where Chrome's does not.
func (e *exam) otherConnection(ctx context.Context, a *attempt) string {
	if a.answer == nil {
		return ""
	}
	h := e.ordinary()
	h.connection = firefox
	other := e.try(ctx, h)
	defer other.leave()
	if !other.switched() {
		return ""
	}
	return fmt.Sprintf("with Connection: %s %s; with Connection: %s %s", chrome, a.brief(), firefox, other.brief())
}

// otherPath tries the path in other spellings of its slashes, in case one of
// them is a WebSocket.
func (e *exam) otherPath(ctx context.Context) string {
	h := e.ordinary()
	for _, path := range spellings(h.path) {
		h.path = path
		other := e.try(ctx, h)
		other.leave()
		if other.switched() {
			e.step("path", Warning, "%s is answered 101", visible(path))
			return fmt.Sprintf("%s is answered 101, %s is not", visible(path), visible(e.target.path))
		}
	}
	return ""
}

// spellings are other ways to write a path's slashes.
func spellings(path string) []string {
	path, query, has := strings.Cut(path, "?")
	if has {
		query = "?" + query
	}
	stem := strings.TrimRight(path, "/")
	var all []string
	if path != stem && stem != "" {
		all = append(all, stem+query)
	} else if stem != "" {
		all = append(all, stem+"/"+query)
	}
	if stem != "" && !strings.HasPrefix(path, "//") {
		all = append(all, "/"+path+query)
	}
	if clean := "/" + strings.TrimLeft(path, "/"); clean != path {
		all = append(all, clean+query)
	}
	return all
}
