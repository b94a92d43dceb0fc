package pusher

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxWait is the longest time that a poll waits for a message, whatever it asks
// for; defaultWait is that of a poll whose preference has no number.
const (
	maxWait     = 60 * time.Second
	defaultWait = 25 * time.Second
)

// waitOf is for how long r is ready to wait (RFC 7240 §4.3), and whether it says
// so at all: that makes it a poll.
func waitOf(r *http.Request) (time.Duration, bool) {
	if r.Method != http.MethodGet {
		return 0, false
	}
	for _, field := range r.Header["Prefer"] {
		for preference := range strings.SplitSeq(field, ",") {
			preference, _, _ = strings.Cut(preference, ";")
			name, value, given := strings.Cut(preference, "=")
			if !strings.EqualFold(strings.TrimSpace(name), "wait") {
				continue
			}
			seconds, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(value), `"`), 10, 31)
			if !given || err != nil {
				return defaultWait, true
			}
			return min(time.Duration(seconds)*time.Second, maxWait), true
		}
	}
	return 0, false
}

// poll is a client that is given one block of messages.
type poll struct{ stream }

// servePoll answers with the messages behind the client's position: at once if
// there are any, or when there is one, or with none when the time is over. The
// field Next says where the following poll is to begin, and Resume how this one
// continues the one before.
func (e *endpoint) servePoll(w http.ResponseWriter, r *http.Request, a *arrival, wait time.Duration) {
	s, ok := e.newStream(w, r, wait)
	if !ok {
		return
	}
	f, kind := formLine, "text/plain; charset=utf-8"
	if accepts(r, "application/json") || accepts(r, "application/x-ndjson") {
		f, kind = formJSON, "application/x-ndjson"
	}
	c, how, at, ok := e.join(w, r, a, f)
	if !ok {
		return
	}
	defer e.hub.spare(c)
	s.client = c
	p := &poll{*s}
	c.seen = at.Seq
	if how == resumeGap {
		wait = 0 // that is news
	}
	// Until the answer is written: who does not read it is there all the same.
	e.hub.stay(r.RemoteAddr)
	defer e.hub.exit(r.RemoteAddr)
	block, next, written, ok := p.await(r, wait)
	defer written()
	if !ok {
		e.turnAway(w, r, goingDown())
		return
	}
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("Preference-Applied", "wait="+strconv.Itoa(int(wait/time.Second)))
	header.Add("Vary", "Prefer, Accept")
	header.Set("Resume", string(how))
	header.Set("Next", Position{e.hub.epoch, next}.String())
	e.shareWith(w, r)
	if len(block) == 0 && how != resumeGap {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	header.Set("Content-Type", kind)
	_, _ = w.Write(block) // whoever left does not want it
}

// await waits for a block, and says what the client has seen with it, and what is
// to be called when it is written. It reports false if the client was cut off before.
func (p *poll) await(r *http.Request, wait time.Duration) (block []byte, next uint64, written func(), ok bool) {
	p.mu.Lock()
	if p.state == gone {
		p.mu.Unlock()
		return nil, 0, func() {}, false
	}
	p.start(&p.stream)
	if wait == 0 { // what is there, or the word that nothing is
		p.finish(nil, ending{reason: "answered", cause: causeAnswered}, false)
	}
	p.mu.Unlock()
	if wait == 0 {
		wait = closeTimeout
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-p.awake:
	case <-timer.C:
	case <-r.Context().Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	// Nothing has followed the block, as the line is busy from then on.
	block, next, written = p.given, p.seen, p.outlive()
	p.end(ending{reason: "answered", cause: causeAnswered}, false)
	return block, next, written, true
}
