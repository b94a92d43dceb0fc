package http2

import (
	"sync"
	"time"
)

// A waiter is where one goroutine waits for a change, with a deadline.
type waiter struct {
	changed chan struct{} // has room for one
	timer   *time.Timer   // nil until one was needed
}

func (w *waiter) wake() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// wait waits without the lock until wake was called, maybe before, or the
// deadline is over, which it reports. A zero deadline means none.
func (w *waiter) wait(mu *sync.Mutex, deadline time.Time) (late bool) {
	mu.Unlock()
	defer mu.Lock()
	if deadline.IsZero() {
		<-w.changed
		return false
	}
	d := time.Until(deadline)
	if d <= 0 {
		return true
	}
	if w.timer == nil {
		w.timer = time.NewTimer(d)
	} else {
		w.timer.Reset(d)
	}
	select {
	case <-w.changed:
		w.timer.Stop()
		return false
	case <-w.timer.C:
		return true
	}
}

func expired(deadline time.Time) bool { return !deadline.IsZero() && !time.Now().Before(deadline) }
