package logging

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// newLog is a log that a Sampler writes, without times.
func newLog(burst int) (log *slog.Logger, s *Sampler, out *bytes.Buffer) {
	out = new(bytes.Buffer)
	s = NewSampler(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey && len(groups) == 0 {
			return slog.Attr{}
		}
		return a
	}}), burst, 10*time.Second, "push.refused")
	return slog.New(s), s, out
}

func TestSampler_AFloodIsSomeLinesAndACount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, _, out := newLog(2)
		for range 100 {
			log.Warn("handshake.failed", "cause", "backend-down")
		}
		log.Warn("handshake.failed", "cause", "backend-silent")
		log.Error("request.panic")
		time.Sleep(9 * time.Second)
		log.Warn("handshake.failed", "cause", "backend-down")
		time.Sleep(2 * time.Second)
		synctest.Wait()
		log.Warn("handshake.failed", "cause", "backend-down") // of the next period
		want := strings.Repeat("level=WARN msg=handshake.failed cause=backend-down\n", 2) +
			"level=WARN msg=handshake.failed cause=backend-silent\nlevel=ERROR msg=request.panic\n" +
			"level=WARN msg=log.sampled event=handshake.failed cause=backend-down count=99 per=10s\n" +
			"level=WARN msg=handshake.failed cause=backend-down\n"
		if out.String() != want {
			t.Errorf("got\n%swant\n%s", out, want)
		}
		time.Sleep(10 * time.Second) // the timer ends
		synctest.Wait()
		if out.String() != want {
			t.Errorf("nothing was left out, and yet\n%s", out)
		}
	})
}

func TestSampler_KindsHideNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, s, out := newLog(1)
		for range 3 {
			log.Warn("request.failed", "status", 404)
			log.Warn("request.failed", "status", 502)
			log.Error("request.failed", "status", 502)
			log.Warn("limit.reached", "limit", "max_body")
			log.Warn("limit.reached", "limit", "max_header")
		}
		s.Flush()
		if n := strings.Count(out.String(), "msg=request.failed"); n != 3 {
			t.Errorf("%d lines of request.failed:\n%s", n, out)
		}
		for _, want := range []string{"WARN msg=log.sampled event=request.failed status=404 count=2", "WARN msg=log.sampled event=request.failed status=502 count=2",
			"ERROR msg=log.sampled event=request.failed status=502 count=2", "event=limit.reached limit=max_body count=2", "event=limit.reached limit=max_header count=2"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("no %q in\n%s", want, out)
			}
		}
	})
}

func TestSampler_InfoAndDebugAllPass(t *testing.T) {
	log, s, out := newLog(1)
	for range 50 {
		log.Info("tunnel.close")
		log.Debug("cert.refused")
	}
	s.Flush()
	if n := strings.Count(out.String(), "\n"); n != 100 {
		t.Errorf("%d lines", n)
	}
}

// A refusal is no warning, and yet whoever is outside can have a million of them.
func TestSampler_EventsThatAreCountedAtAnyLevel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, s, out := newLog(1)
		for range 3 {
			log.Info("push.refused", "status", 429)
			log.Info("push.refused", "status", 404)
		}
		log.Warn("push.refused", "status", 403)
		s.Flush()
		want := "level=INFO msg=push.refused status=429\nlevel=INFO msg=push.refused status=404\nlevel=WARN msg=push.refused status=403\n" +
			"level=INFO msg=log.sampled event=push.refused status=429 count=2 per=10s\nlevel=INFO msg=log.sampled event=push.refused status=404 count=2 per=10s\n"
		if out.String() != want {
			t.Errorf("got\n%swant\n%s", out, want)
		}
	})
}

func TestSampler_OffPassesAll(t *testing.T) {
	log, s, out := newLog(0)
	for range 50 {
		log.Error("x")
	}
	s.Flush()
	if n := strings.Count(out.String(), "\n"); n != 50 {
		t.Errorf("%d lines", n)
	}
}

func TestSampler_DerivedLogsCountTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, s, out := newLog(1)
		log.Warn("x")
		log.With("a", 1).Warn("x")
		log.WithGroup("g").Warn("x", "b", 1)
		log.With("a", 1).WithGroup("g").Warn("y", "b", 1)
		s.Flush()
		want := "level=WARN msg=x\nlevel=WARN msg=y a=1 g.b=1\nlevel=WARN msg=log.sampled event=x count=2 per=10s\n"
		if out.String() != want {
			t.Errorf("got\n%swant\n%s", out, want)
		}
	})
}

// Whatever comes, memory is bounded, and what is told at the end with it.
func TestSampler_KindsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, s, out := newLog(1)
		for i := range 3 * maxKinds {
			log.Warn(fmt.Sprint("event", i))
		}
		if len(s.seen) > maxKinds+1 || len(s.order) > maxKinds+1 {
			t.Errorf("%d kinds are remembered", len(s.seen))
		}
		s.Flush()
		if want := fmt.Sprintf("msg=log.sampled event=others count=%d", 2*maxKinds-1); !strings.Contains(out.String(), want) || strings.Count(out.String(), "log.sampled") != 1 {
			t.Errorf("no %s in\n%s", want, out.String()[max(0, out.Len()-200):])
		}
		if len(s.seen) != 0 {
			t.Error("the kinds of the last period stay")
		}
	})
}
