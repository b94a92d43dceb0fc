package doctor

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"wsfront/proxy/diagnosis"
	"wsfront/proxy/frame"
)

// idleDefaults are timeouts of whose kind there are many, in seconds.
var idleDefaults = []struct {
	seconds int
	whose   string
}{
	{30, "gunicorn's --timeout, and of many load balancers"},
	{50, "HAProxy's timeout client and timeout server in its own examples, where timeout tunnel is missing"},
	{60, "nginx's proxy_read_timeout, Apache's Timeout, and AWS load balancers' (ALB)"},
	{100, "Cloudflare's and .NET YARP's"},
	{120, "Microsoft IIS's, and of many cloud load balancers"},
	{180, "Traefik's idleTimeout"},
	{240, "Azure's load balancers'"},
	{300, "Apache's Timeout as Debian sets it, and Envoy's stream_idle_timeout"},
	{350, "AWS network load balancers'"},
	{600, "Google Cloud's, and of many firewalls"},
}

// whose names the owner of the default that a tunnel was cut by.
func whose(d time.Duration) string {
	for _, known := range idleDefaults {
		if math.Abs(d.Seconds()-float64(known.seconds)) <= 1.5 {
			return fmt.Sprintf("%d s is a default: %s", known.seconds, known.whose)
		}
	}
	return "no default is known for that: somebody has set it"
}

// stayIdle opens a tunnel once more and is silent, as a page is that waits for
// news. It answers pings, since a browser does.
func (e *exam) stayIdle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, e.o.Idle+2*stepTimeout)
	defer cancel()
	a := e.try(ctx, e.ordinary())
	defer a.leave()
	if !a.switched() {
		e.step("idle", Failed, "%s this time", a.brief())
		e.find(some, a.cause, "a handshake that got a 101 before got "+a.brief())
		return
	}
	stop := context.AfterFunc(ctx, a.close) // a person who interrupts does not wait
	defer stop()
	t := newTunnel(a)
	begin := time.Now()
	last := begin
	err := t.until(begin.Add(e.o.Idle), func(wsFrame) bool { last = time.Now(); return false })
	if ctx.Err() != nil {
		e.step("idle", Skipped, "interrupted after %.1f s", time.Since(begin).Seconds())
		return
	}
	if err == nil {
		err = t.alive(ctx, e.waits.pong)
	}
	if err != nil {
		e.cut(t, err, time.Since(begin), time.Since(last))
		return
	}
	e.step("idle", OK, "alive after %v%s", e.o.Idle, t.heard())
}

// errSilent says that a tunnel was cut without a word to this side.
var errSilent = errors.New("nothing comes back any more")

// alive asks a tunnel that looks alive.
func (t *tunnel) alive(ctx context.Context, wait time.Duration) error {
	pong := false
	_ = t.conn.SetDeadline(deadline(ctx, wait))
	if _, err := t.conn.Write(frame.AppendPing(nil, frame.FromClient, []byte("wsfront"))); err != nil {
		return err
	}
	err := t.until(deadline(ctx, wait), func(f wsFrame) bool { pong = f.opcode == opPong; return pong })
	if err == nil && !pong {
		return errSilent
	}
	return err
}

// heard says what a silent tunnel brought.
func (t *tunnel) heard() string {
	text := ""
	if t.pings > 0 {
		text = fmt.Sprintf("; the server pings (%d times), which keeps timeouts away", t.pings)
	}
	if t.data > 0 {
		text += fmt.Sprintf("; it sent %d frames, so that it was not silent", t.data)
	}
	return text
}

// cut tells when a tunnel died, counted from the last frame that came.
func (e *exam) cut(t *tunnel, err error, age, silence time.Duration) {
	how := endOf(err)
	if err == errSilent {
		how = err.Error()
	}
	e.step("idle", Failed, "cut after %.1f s of silence: %s", silence.Seconds(), how)
	e.find(some, diagnosis.IdleCut,
		fmt.Sprintf("open for %.1f s, silent for %.1f s, then %s", age.Seconds(), silence.Seconds(), how), whose(silence), t.pingAdvice())
}

func (t *tunnel) pingAdvice() string {
	if t.pings > 0 {
		return fmt.Sprintf("the server pings (%d times), yet not often enough", t.pings)
	}
	return "the server does not ping"
}
