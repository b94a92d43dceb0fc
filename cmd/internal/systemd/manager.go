package systemd

import (
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// Manager is systemd, as far as it wants to know how this service is. Its
// methods may be called concurrently, and do nothing where nobody wants to know.
type Manager struct{ log *slog.Logger }

// NewManager returns the one that the environment names. That it cannot be told
// something goes to log.
func NewManager(log *slog.Logger) *Manager { return &Manager{log} }

// Ready tells that the service serves, at first or again after a reload. What
// it serves, or whatever else an operator may want to know, is shown by
// systemctl status.
func (m *Manager) Ready(status string) {
	m.tell(daemon.SdNotifyReady, "STATUS="+oneLine(status))
}

// Reloading tells that the configuration is read again. Ready is to follow.
func (m *Manager) Reloading() {
	m.tell(daemon.SdNotifyReloading, strings.TrimSpace(daemon.SdNotifyMonotonicUsec()))
}

// Succeed tells that another process is the service from now on, which then tells
// how it is.
func (m *Manager) Succeed(pid int) { m.tell(daemon.SdNotifyReady, fmt.Sprintf("MAINPID=%d", pid)) }

// Stopping tells that the service ends, within the given time. systemd grants
// that, even if its own TimeoutStopSec= is shorter.
func (m *Manager) Stopping(within time.Duration) {
	m.tell(daemon.SdNotifyStopping, fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", within.Microseconds()),
		fmt.Sprintf("STATUS=ending: what is open has %v", within))
}

func (m *Manager) tell(state ...string) {
	if _, err := daemon.SdNotify(false, strings.Join(state, "\n")); err != nil {
		m.log.Warn(eventNotifyFailed, "state", state[0], "error", err.Error())
	}
}

// oneLine is the first line of a text that goes on: each line is a message of
// its own to systemd.
func oneLine(text string) string {
	line, _, more := strings.Cut(text, "\n")
	if more {
		line += " ..."
	}
	return line
}
