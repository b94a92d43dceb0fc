package systemd

import (
	"context"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// Watch tells systemd that the service is alive, twice in the time that its unit
// allows to pass (WatchdogSec=), until ctx is done. Each time alive is asked
// before, and has a quarter of that time to answer. While it returns an error
// nothing is told, so that systemd in the end has the process dump its
// goroutines (SIGABRT) and starts another.
func (m *Manager) Watch(ctx context.Context, alive func(context.Context) error) {
	allowed, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		m.log.Warn(eventNotifyFailed, "state", daemon.SdNotifyWatchdog, "error", err.Error())
	}
	if allowed == 0 {
		return
	}
	ticker := time.NewTicker(allowed / 2)
	defer ticker.Stop()
	for {
		m.watchOnce(ctx, allowed/4, alive)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (m *Manager) watchOnce(ctx context.Context, patience time.Duration, alive func(context.Context) error) {
	asking, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	switch err := alive(asking); {
	case ctx.Err() != nil:
	case err != nil:
		m.log.Error(eventWatchdogWithheld, "reason", err.Error())
	default:
		m.tell(daemon.SdNotifyWatchdog)
	}
}
