package pusher

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestAppAuth_AnAppThatIsNotThereAdmitsNobody(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	auth, err := NewAppAuth(AppAuth{Path: "/auth"}, &http.Transport{}, &url.URL{Scheme: "http", Host: l.Addr().String()}, slog.New(&journal{}))
	if err != nil {
		t.Fatal(err)
	}
	_, r := auth.Authorize(visit("/board"), nil)
	if r == nil || r.Status != 502 || r.Final() || r.Header.Get("Retry-After") != "1" || attr(r, "error") == "" || attr(r, "hint") != "is the app running?" {
		t.Errorf("got %+v", r)
	}
}

func TestAppAuth_AnAnswerWithoutEndAdmitsNobody(t *testing.T) {
	const timeout = 300 * time.Millisecond
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		status int
	}{
		"no answer": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 504},
		"a body that stops": {func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(200)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}, 504},
		"a refusal that stops": {func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(403)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}, 504},
		"a body without end": {func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = w.Write(make([]byte, 4096))
			}
		}, 502},
		"a body cut short": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "10")
			_, _ = io.WriteString(w, "x")
		}, 502},
		"other protocols": {func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
			conn.Close()
		}, 502},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, AppAuth{Path: "/auth", Timeout: timeout}, c.answer)
			if r := a.refuses(visit("/board")); r.Status != c.status || r.Final() {
				t.Errorf("refused with %d %s %v", r.Status, r.Reason, r.Attrs)
			}
		})
	}
}

func TestAppAuth_AClientThatLeavesEndsItsQuestion(t *testing.T) {
	arrived, ended := make(chan struct{}), make(chan struct{})
	a := newApp(t, AppAuth{Path: "/auth"}, func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
		close(ended)
	})
	ctx, leave := context.WithCancel(context.Background())
	go func() { <-arrived; leave() }()
	if r := a.refuses(visit("/board").WithContext(ctx)); r.Status != 503 || r.Reason != "left before the app answered" {
		t.Errorf("refused with %d %s", r.Status, r.Reason)
	}
	<-ended
}

func TestAppAuth_AsksNoMoreThanItsTurnsAtOnce(t *testing.T) {
	release := make(chan struct{})
	a := newApp(t, AppAuth{Path: "/auth", Timeout: patience}, func(http.ResponseWriter, *http.Request) { <-release })
	var clients sync.WaitGroup
	for range maxQuestions {
		clients.Go(func() {
			if _, r := a.Authorize(visit("/board"), nil); r != nil {
				t.Errorf("refused: %s %v", r.Reason, r.Attrs)
			}
		})
	}
	eventually(t, "all turns are taken", func() bool { return len(a.questions()) == maxQuestions })
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if r := a.refuses(visit("/board").WithContext(ctx)); attr(r, "error") != "too many questions wait for the app" {
		t.Errorf("refused: %s %v", r.Reason, r.Attrs)
	}
	if n := len(a.questions()); n != maxQuestions {
		t.Errorf("%d questions at once", n)
	}
	close(release)
	clients.Wait()
	a.admits(visit("/board"))
}

func TestAppAuth_AgainTellsADecisionFromAnAppThatIsDown(t *testing.T) {
	status := 200
	a := newApp(t, AppAuth{Path: "/auth"}, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
	again := func() *Refusal {
		r := visit("/board", "Cookie", "sessionid=s3cr3t")
		gone, cancel := context.WithCancel(r.Context())
		cancel()
		_, refusal := a.Again(context.Background(), r.WithContext(gone), nil)
		return refusal
	}
	if r := again(); r != nil {
		t.Errorf("200: %v", r)
	}
	for _, status = range []int{302, 400, 401, 403, 404, 410} {
		if r := again(); r == nil || !r.Final() {
			t.Errorf("%d: %v", status, r)
		}
	}
	if lines := a.log.find(EventRecheck); len(lines) != 0 {
		t.Errorf("decisions are for the caller to log, here are %q", lines)
	}
	for _, status = range []int{408, 425, 429, 500, 502, 503, 504} {
		if r := again(); r == nil || r.Final() {
			t.Errorf("%d: %v", status, r)
		}
	}
	lines := a.log.find(EventRecheck)
	if len(lines) != 1 || !strings.HasPrefix(lines[0], "WARN status=408 reason=the app answers 408 clients=1 auth=/auth cookies=sessionid ") {
		t.Errorf("one line for all that come together, got %q", lines)
	}
}
