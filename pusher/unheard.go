package pusher

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// unheardInterval is the time between two lines about rechecks to which there
// was no answer: while an application restarts, each client may have one.
const unheardInterval = 10 * time.Second

// unheard logs rechecks without an answer, many in one line.
type unheard struct {
	mu      sync.Mutex
	logged  time.Time
	clients int // since then
}

func (u *unheard) log(log *slog.Logger, r *Refusal) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.clients++
	if now := time.Now(); now.Sub(u.logged) >= unheardInterval {
		log.LogAttrs(context.Background(), slog.LevelWarn, EventRecheck,
			append([]slog.Attr{slog.Int("status", r.Status), slog.String("reason", r.Reason), slog.Int("clients", u.clients)}, r.Attrs...)...)
		u.logged, u.clients = now, 0
	}
}
