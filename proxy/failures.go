package proxy

import (
	"bytes"
	"cmp"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"wsfront/proxy/diagnosis"
)

// The kinds of failures, as FailureState has them.
const (
	failedHandshake = "handshake"
	failedRequest   = "request"
	failedTLS       = "tls"
)

// How many failures of each kind are remembered. Each kind has a place of its own,
// so that scanners, whom TLS refuses at all hours, push no handshake out.
const (
	keptHandshakes = 50
	keptRequests   = 30
	keptTLS        = 20
)

// maxFailureText is how much is kept of a text that a client or backend had a
// hand in.
const maxFailureText = 256

// failures are the last failures. They may be used concurrently; the zero value
// is empty. To note one costs a lock that is held for some copying, and no
// memory once its place has been used before.
type failures struct {
	mu         sync.Mutex
	handshakes [keptHandshakes]failedCase
	requests   [keptRequests]failedCase
	tls        [keptTLS]failedCase
	newest     [3]int // in each of them
}

// failedCase is one failure, or the newest of several alike. Texts that a client
// had a hand in lie in memory that is used again.
type failedCase struct {
	failureKey
	time               time.Time
	id                 [16]byte // zero for kind tls
	client             netip.Addr
	backend            string
	host, path, reason []byte
	count              uint64 // 0 for a place that was never used
}

// failureKey is what failures that follow each other have in common if they are
// remembered as one.
type failureKey struct {
	kind        string
	site, route string
	status      int
	cause       diagnosis.Cause
}

// place is the place for a failure: that of the newest one of its kind if that is
// alike. f.mu is held.
func (f *failures) place(k failureKey) *failedCase {
	ring, newest := f.handshakes[:], &f.newest[0]
	switch k.kind {
	case failedRequest:
		ring, newest = f.requests[:], &f.newest[1]
	case failedTLS:
		ring, newest = f.tls[:], &f.newest[2]
	}
	if c := &ring[*newest]; c.count > 0 && c.failureKey == k {
		return c
	}
	*newest = (*newest + 1) % len(ring)
	c := &ring[*newest]
	c.failureKey, c.count = k, 0
	return c
}

// note remembers a failure. now is when it was.
func (f *failures) note(k failureKey, now time.Time, id [16]byte, client netip.Addr, backend string, host, path []byte, reason string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.place(k)
	c.time, c.id, c.client, c.backend = now, id, client, backend
	c.host = append(c.host[:0], beginningOf(host)...)
	c.path = append(c.path[:0], beginningOf(path)...)
	c.reason = append(c.reason[:0], beginningOf(reason)...)
	c.count++
}

// beginningOf is as much of a text as is kept.
func beginningOf[T ~string | ~[]byte](text T) T { return text[:min(len(text), maxFailureText)] }

// list are all that are remembered, newest first.
func (f *failures) list() []FailureState {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := []FailureState{}
	for _, ring := range [][]failedCase{f.handshakes[:], f.requests[:], f.tls[:]} {
		for i := range ring {
			if ring[i].count > 0 {
				list = append(list, ring[i].state())
			}
		}
	}
	slices.SortStableFunc(list, func(a, b FailureState) int { return b.Time.Compare(a.Time) })
	return list
}

// state is what others get to see of a failure.
func (c *failedCase) state() FailureState {
	s := FailureState{
		Time: c.time, Kind: c.kind, Site: c.site, Route: c.route, Backend: c.backend, Host: asText(c.host), Path: asText(c.path),
		Status: c.status, Cause: string(c.cause), Sentence: c.cause.Sentence(), Reason: asText(c.reason), Count: c.count,
	}
	if c.id != [16]byte{} {
		s.ID = string(c.id[:])
	}
	if c.client.IsValid() {
		s.Client = c.client.WithZone("").String()
	}
	for _, fix := range c.cause.Fixes() {
		s.Fixes = append(s.Fixes, FixState{For: fix.For, Text: fix.Text})
	}
	return s
}

// asText makes text of what a client sent, and of what a cut has left of it.
func asText(b []byte) string { return string(bytes.ToValidUTF8(b, []byte("\uFFFD"))) }

// Failures are the last things that failed for clients, newest first: 50 WebSocket
// handshakes, 30 requests and 20 TLS handshakes at most, each of which may stand
// for many alike. Nothing of a query is in them. It may be called concurrently.
func (s *Server) Failures() []FailureState { return s.failures.list() }

// noteRefusal remembers a handshake that a route's Handler has refused, which is
// for the Handler to log.
func (s *Server) noteRefusal(x *exchange) {
	if !x.upgrade || x.status < http.StatusBadRequest || x.route == nil || x.route.Handler == nil {
		return
	}
	s.failures.note(failureKey{kind: failedHandshake, site: x.site.name, route: x.site.routeID(x.route).route, status: x.status}, time.Now(), x.id, x.client, "", x.host, x.req.Path,
		"the push service answered "+strconv.Itoa(x.status)+" "+statusText(x.status)+": "+cmp.Or(x.refusal, "the line push.refused in the log says why"))
}

// noteFailure logs and remembers an exchange that failed.
func (s *Server) noteFailure(x *exchange) {
	route, path, backend := "", "", ""
	if x.route != nil {
		route, path = x.route.name, x.site.routeID(x.route).route
		if x.route.pool != nil {
			backend = x.route.pool.written
		}
	}
	if x.choice.member != nil {
		backend = x.choice.member.backend.written
	}
	kind, cause := failedRequest, diagnosis.Cause("")
	if x.upgrade {
		kind, cause = failedHandshake, cmp.Or(x.cause, diagnosis.Refused)
	}
	happened := strings.TrimPrefix(x.reason, cause.Sentence()+" ") // which the state has beside it
	s.failures.note(failureKey{kind, x.site.name, path, x.status, cause}, time.Now(), x.id, x.client, backend, x.host, x.req.Path, happened)
	attributes := []any{"id", string(x.id[:]), "client", x.client, "site", x.site.name, "host", string(x.host), "route", route, "backend", backend,
		"method", string(x.req.Method), "path", string(x.req.Path), "status", x.status, "reason", x.reason}
	attributes = append(attributes, x.traceNames().nameAttributes()...)
	if x.upgrade {
		s.log.Warn(eventHandshakeFailed, append(attributes, "cause", string(cause))...)
		return
	}
	s.log.Warn(eventRequestFailed, attributes...)
}
