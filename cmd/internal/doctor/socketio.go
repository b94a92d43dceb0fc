package doctor

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"wsfront/proxy/diagnosis"
)

// sessionChecks is how often a Socket.IO session is asked for: with two
// processes and no stickiness, one in 64 examinations misses it.
const sessionChecks = 6

var sessionID = regexp.MustCompile(`"sid":"([A-Za-z0-9_-]{1,64})"`)

// polls asks a Socket.IO server for a session and then for that session again,
// as its client does before it opens a WebSocket.
func (e *exam) polls(ctx context.Context) {
	path, _, _ := strings.Cut(e.target.path, "?")
	if !strings.Contains(path, "/socket.io") && !strings.Contains(path, "/engine.io") {
		return
	}
	t := e.target
	t.path = path + "?EIO=4&transport=polling"
	begun, err := e.fetch(ctx, t, e.addrs[0], "*/*")
	if err != nil || begun.status != 200 {
		e.step("session", Skipped, "no answer to polling")
		return
	}
	id := sessionID.FindSubmatch(begun.body)
	if id == nil {
		e.step("session", Skipped, "polling begins no session")
		return
	}
	t.path += "&sid=" + string(id[1])
	for range sessionChecks {
		a, err := e.fetch(ctx, t, e.addrs[0], "*/*")
		if err != nil {
			break // an old session may be held until there is news
		}
		if cause, facts := diagnosis.OfAnswer(a.diagnose(diagnosis.Sent{})); cause == diagnosis.SessionUnknown {
			e.step("session", Failed, "a session is not known to the next request")
			e.find(some, cause, fmt.Sprintf("polling begins session %s; the next request with it gets %s", id[1], facts))
			return
		}
	}
	e.step("session", OK, "the session is known to the requests that follow")
}
