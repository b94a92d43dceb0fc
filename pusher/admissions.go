package pusher

import (
	"container/list"
	"context"
	"crypto/sha256"
	"net/http"
	"sync"
	"time"
)

// admissions keeps what the application granted, for a while, and has questions
// that say the same and come at once asked once. Refusals are not kept: whoever
// has just logged in is not to wait.
type admissions struct {
	lasts time.Duration
	size  int

	mu    sync.Mutex
	kept  map[[sha256.Size]byte]*list.Element // of *grant
	order *list.List                          // oldest first, which is first to end
	asked map[[sha256.Size]byte]*asking
}

// grant is an admission that is kept.
type grant struct {
	key       [sha256.Size]byte
	until     time.Time
	admission Admission
}

// asking is a question under way.
type asking struct {
	done      chan struct{} // closed once the rest is set
	admission Admission
	refusal   *Refusal
}

func newAdmissions(lasts time.Duration, size int) *admissions {
	return &admissions{lasts: lasts, size: size, order: list.New(),
		kept: map[[sha256.Size]byte]*list.Element{}, asked: map[[sha256.Size]byte]*asking{}}
}

// get gives the admission that is kept under key, or the answer to ask.
func (s *admissions) get(ctx context.Context, key [sha256.Size]byte, ask func(context.Context) (Admission, *Refusal)) (Admission, *Refusal) {
	s.mu.Lock()
	if e := s.kept[key]; e != nil {
		if g := e.Value.(*grant); time.Now().Before(g.until) {
			defer s.mu.Unlock()
			return g.admission.copied(), nil
		}
	}
	return s.join(ctx, key, ask)
}

// renew gives the answer to ask, whatever is kept.
func (s *admissions) renew(ctx context.Context, key [sha256.Size]byte, ask func(context.Context) (Admission, *Refusal)) (Admission, *Refusal) {
	s.mu.Lock()
	return s.join(ctx, key, ask)
}

// join unlocks s.mu and waits for the question under way, or asks it.
func (s *admissions) join(ctx context.Context, key [sha256.Size]byte, ask func(context.Context) (Admission, *Refusal)) (Admission, *Refusal) {
	if a := s.asked[key]; a != nil {
		s.mu.Unlock()
		select {
		case <-a.done:
			return a.admission.copied(), a.refusal.copied()
		case <-ctx.Done():
			return Admission{}, refuse(http.StatusServiceUnavailable, "left before the app answered", "the question to the application was given up")
		}
	}
	// The refusal stands for as long as ask has not returned: if it panics, those
	// who wait are not admitted.
	a := &asking{done: make(chan struct{}), refusal: refuse(http.StatusInternalServerError, "the question to the app broke off", "internal error")}
	s.asked[key] = a
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.asked, key)
		s.settle(key, a)
		close(a.done)
	}()
	// Others may wait for it, whose clients have not left.
	a.admission, a.refusal = ask(context.WithoutCancel(ctx))
	return a.admission.copied(), a.refusal.copied()
}

// settle keeps an admission, and forgets the one that the application has
// withdrawn. s.mu is held.
func (s *admissions) settle(key [sha256.Size]byte, a *asking) {
	if a.refusal != nil && !a.refusal.Final() {
		return
	}
	if e := s.kept[key]; e != nil {
		s.drop(e)
	}
	if a.refusal != nil {
		return
	}
	now := time.Now()
	for e := s.order.Front(); e != nil && (s.order.Len() >= s.size || !now.Before(e.Value.(*grant).until)); e = s.order.Front() {
		s.drop(e)
	}
	g := &grant{key: key, until: now.Add(s.lasts), admission: a.admission}
	if expires := a.admission.Expires; !expires.IsZero() && expires.Before(g.until) {
		g.until = expires
	}
	s.kept[key] = s.order.PushBack(g)
}

func (s *admissions) drop(e *list.Element) {
	delete(s.kept, e.Value.(*grant).key)
	s.order.Remove(e)
}
