package pusher

import (
	"context"
	"crypto/sha256"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestAppAuth_CacheAsksOnceForWhatSaysTheSame(t *testing.T) {
	a := newApp(t, AppAuth{Path: "/auth", Cache: time.Hour}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Push-User", r.Header.Get("Cookie"))
		w.Header().Set("X-Push-Channels", "a, b")
	})
	asks := func(more int, r *http.Request, want ...string) {
		t.Helper()
		before := len(a.questions())
		got := a.admits(r, want...)
		if n := len(a.questions()) - before; n != more {
			t.Errorf("%s %v: asked %d times, want %d", r.URL, r.Header, n, more)
		}
		if user := r.Header.Get("Cookie"); got.User != user {
			t.Errorf("%s was admitted as %s", user, got.User)
		}
		got.Channels[0] = "spoilt by its owner"
	}
	asks(1, visit("/board?x=1", "Cookie", "id=1"))
	asks(0, visit("/board?x=1", "Cookie", "id=1"))
	asks(0, visit("/board?from=e.1&x=1", "Cookie", "id=1"))
	asks(0, visit("/board?x=1&last=20&from=e.9", "Cookie", "id=1"))
	asks(0, visit("/board?x=1", "Cookie", "id=1", "X-Request-Id", "another"))
	asks(1, visit("/board?x=2", "Cookie", "id=1"))
	asks(1, visit("/other?x=1", "Cookie", "id=1"))
	asks(1, visit("/board?x=1", "Cookie", "id=2"))
	asks(1, visit("/board?x=1", "Cookie", "id=1", "Authorization", "Basic x"))
	asks(1, visit("/board?x=1", "Cookie", "id=1", "Origin", "https://app.test"))
	asks(1, visit("/board?x=1", "Cookie", "id=1"), "a")
	asks(1, visit("/board?x=1", "Cookie", "id=1"), "b")
	elsewhere := visit("/board?x=1", "Cookie", "id=1")
	elsewhere.RemoteAddr = "198.51.100.7:1"
	asks(1, elsewhere)
	asks(0, visit("/board?x=1", "Cookie", "id=1"))
	if got := a.admits(visit("/board?x=1", "Cookie", "id=1")); !slices.Equal(got.Channels, []string{"a", "b"}) {
		t.Errorf("what is kept was changed: %q", got.Channels)
	}
}

func TestAppAuth_ARecheckAsksInSpiteOfTheCache(t *testing.T) {
	status := 200
	a := newApp(t, AppAuth{Path: "/auth", Cache: time.Hour}, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
	a.admits(visit("/board"))
	status = 503
	if _, r := a.Again(context.Background(), visit("/board"), nil); r == nil || r.Final() {
		t.Errorf("got %v", r)
	}
	a.admits(visit("/board")) // as is kept
	status = 403
	if _, r := a.Again(context.Background(), visit("/board"), nil); r == nil || !r.Final() {
		t.Errorf("got %v", r)
	}
	a.refuses(visit("/board")) // withdrawn, and the refusal is not kept:
	status = 200
	a.admits(visit("/board"))
	if n := len(a.questions()); n != 5 {
		t.Errorf("asked %d times", n)
	}
}

func TestAdmissions_AskOnceForAllWhoComeMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newAdmissions(time.Minute, 10)
		answer := make(chan struct{})
		var asked atomic.Int32
		ask := func(ctx context.Context) (Admission, *Refusal) {
			asked.Add(1)
			<-answer
			if ctx.Err() != nil {
				return Admission{}, refuse(500, "given up", "")
			}
			return Admission{User: "7", Channels: []string{"a"}}, nil
		}
		var clients sync.WaitGroup
		first, leave := context.WithCancel(t.Context())
		clients.Go(func() { _, _ = s.get(first, [32]byte{}, ask) })
		synctest.Wait()
		for range 20 {
			clients.Go(func() {
				a, r := s.get(t.Context(), [32]byte{}, ask)
				if r != nil || a.User != "7" || a.Channels[0] != "a" {
					t.Errorf("got %+v %v", a, r)
				} else {
					a.Channels[0] = "spoilt by its owner"
				}
			})
		}
		clients.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, r := s.get(ctx, [32]byte{}, ask); r == nil || r.Final() {
				t.Errorf("who leaves gets %v", r)
			}
		})
		synctest.Wait()
		leave() // the first one leaves, the others stay
		time.Sleep(2 * time.Second)
		close(answer)
		clients.Wait()
		if n := asked.Load(); n != 1 {
			t.Errorf("asked %d times", n)
		}
	})
}

func TestAdmissions_AQuestionThatPanicsAdmitsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newAdmissions(time.Minute, 10)
		fail := make(chan struct{})
		ask := func(context.Context) (Admission, *Refusal) { <-fail; panic("test") }
		var clients sync.WaitGroup
		clients.Go(func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic was swallowed")
				}
			}()
			_, _ = s.get(t.Context(), [32]byte{}, ask)
		})
		synctest.Wait()
		clients.Go(func() {
			if a, r := s.get(t.Context(), [32]byte{}, ask); r == nil || r.Status != 500 {
				t.Errorf("admitted: %+v", a)
			}
		})
		synctest.Wait()
		close(fail)
		clients.Wait()
		if len(s.asked)+len(s.kept) != 0 {
			t.Errorf("%d and %d stay behind", len(s.asked), len(s.kept))
		}
	})
}

func TestAdmissions_EndInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newAdmissions(time.Minute, 3)
		var asked int
		admit := func(key byte, expires time.Time) {
			_, _ = s.get(t.Context(), [sha256.Size]byte{key}, func(context.Context) (Admission, *Refusal) {
				asked++
				return Admission{Expires: expires}, nil
			})
		}
		expect := func(want int, what string) {
			t.Helper()
			if asked != want {
				t.Errorf("%s: asked %d times, want %d", what, asked, want)
			}
			if len(s.kept) != s.order.Len() || len(s.kept) > 3 {
				t.Errorf("%d kept, %d in order", len(s.kept), s.order.Len())
			}
		}
		admit(1, time.Time{})
		admit(2, time.Now().Add(10*time.Second))
		time.Sleep(9 * time.Second)
		admit(1, time.Time{})
		admit(2, time.Time{})
		expect(2, "kept")
		time.Sleep(time.Second)
		admit(1, time.Time{})
		admit(2, time.Time{})
		expect(3, "an admission that has expired")
		time.Sleep(50 * time.Second)
		admit(1, time.Time{})
		expect(4, "a minute later")
		admit(3, time.Time{})
		admit(4, time.Time{})
		admit(1, time.Time{})
		admit(3, time.Time{})
		admit(4, time.Time{})
		expect(6, "as many as there is room for")
		admit(2, time.Time{})
		expect(7, "the oldest one had made room")
	})
}
