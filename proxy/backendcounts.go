package proxy

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"wsfront/proxy/http1"
	"wsfront/proxy/tally"
)

// Why no connection to a backend came about.
const (
	connectRefused       = "refused"
	connectTimeout       = "timeout"
	connectDNS           = "dns"
	connectTLS           = "tls"
	connectReset         = "reset"
	connectNoSocket      = "no_socket"
	connectPermission    = "permission"
	connectUnreachable   = "unreachable"    // no way there
	connectNoDescriptors = "no_descriptors" // of our own
	connectOther         = "other"
)

// Why an attempt gave no answer, or half of one.
const (
	answerTimeout   = "timeout"
	answerClosed    = "closed" // the connection was, in place of an answer
	answerMalformed = "malformed"
	answerBrokenOff = "broken_off"
	answerOther     = "other"
)

// backendID is what a backend is known by over reloads: its pool's name, or "",
// and its address as it stands in the configuration.
type backendID struct{ pool, written string }

// backendAccount is what is counted of one backend, by all routes that lead
// there and over all reloads that leave it. It may be used concurrently.
type backendAccount struct {
	connects        atomic.Uint64
	connectFailures byReason
	connectDuration *tally.Histogram
	answers         *tally.Histogram // how long they took
	failures        byReason

	// out says that the last attempt to reach it failed. It changes nothing about
	// where requests go.
	out     atomic.Bool
	failure atomic.Pointer[backendOutage] // the last one; nil for none

	probing sync.Mutex // over probed and heard
	probed  time.Time  // when it was last looked after
	heard   uint64     // answers until then
}

// backendOutage is an attempt to reach a backend that failed.
type backendOutage struct {
	at     time.Time
	reason string
}

func newBackendAccount() *backendAccount {
	return &backendAccount{
		connectFailures: newByReason(connectRefused, connectTimeout, connectDNS, connectTLS, connectReset, connectNoSocket, connectPermission,
			connectUnreachable, connectNoDescriptors, connectOther),
		connectDuration: tally.NewHistogram(tally.Latencies()),
		answers:         tally.NewHistogram(tally.Latencies()),
		failures:        newByReason(answerTimeout, answerClosed, answerMalformed, answerBrokenOff, answerOther),
	}
}

// connected counts a connection that came about.
func (a *backendAccount) connected(took time.Duration) {
	a.connects.Add(1)
	a.connectDuration.Add(took)
	a.reached()
}

// answered counts the head of an answer.
func (a *backendAccount) answered(took time.Duration) {
	a.answers.Add(took)
	a.reached()
}

// reached notes that the backend is there.
func (a *backendAccount) reached() {
	if a.out.Load() { // else there is no need for every core to have its own copy again
		a.out.Store(false)
	}
}

// unreached notes why the backend could not be reached. That there was no
// descriptor for it is nothing about the backend.
func (a *backendAccount) unreached(b *backend, err error) {
	if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
		return
	}
	_, reason := b.explain(err)
	a.failure.Store(&backendOutage{time.Now(), reason})
	a.out.Store(true)
}

// connectFailure is the reason for which dial has failed.
func connectFailure(err error) string {
	var dns *net.DNSError
	var record tls.RecordHeaderError
	var handshake *backendTLSError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return connectRefused
	case errors.As(err, &dns): // one that is not answered in time included
		return connectDNS
	case isTimeout(err):
		return connectTimeout
	case errors.As(err, &record):
		return connectTLS
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return connectReset
	case errors.As(err, &handshake):
		return connectTLS
	case errors.Is(err, os.ErrNotExist):
		return connectNoSocket
	case errors.Is(err, os.ErrPermission):
		return connectPermission
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return connectUnreachable
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return connectNoDescriptors
	}
	return connectOther
}

// answerFailure is the reason for which an attempt has given no answer.
func answerFailure(err error) string {
	var malformed *http1.Error
	switch {
	case isTimeout(err):
		return answerTimeout
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return answerClosed
	case errors.As(err, &malformed), errors.Is(err, errTooManyInterim), errors.Is(err, errSwitchUnasked), errors.Is(err, errHeadTooLong), errors.Is(err, errSpeaksTLS):
		return answerMalformed
	}
	return answerOther
}

// backendCounts are the accounts of all backends that routes lead to, in the
// order of the configuration.
func (t *table) backendCounts() []BackendCounts {
	var counts []BackendCounts
	at := map[backendID]int{}
	for _, p := range t.pools.all {
		for _, m := range p.members {
			id := backendID{p.name, m.backend.written}
			up, open := p.state(m)
			if i, known := at[id]; known { // one pool that routes reach by TLS of different kinds, or one backend of several routes
				counts[i].Up = counts[i].Up && up
				counts[i].Open += open
				continue
			}
			a := m.backend.account
			at[id] = len(counts)
			counts = append(counts, BackendCounts{
				Pool: id.pool, Backend: id.written, Up: up, Open: open,
				Connects: a.connects.Load(), ConnectFailures: a.connectFailures.counts(), ConnectDuration: a.connectDuration.Distribution(),
				ResponseDuration: a.answers.Distribution(), Failures: a.failures.counts(),
			})
		}
	}
	return counts
}

// state is whether a member is up, and how many exchanges and tunnels are under
// way there. Of a single backend the last attempt to reach it tells, and nobody
// counts.
func (p *pool) state(m *member) (up bool, open int) {
	if p.name == "" {
		return !m.backend.account.out.Load(), 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return !m.down, m.load[plainRequest].open + m.load[openTunnel].open
}
