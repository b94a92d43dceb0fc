package upgrade

import (
	"slices"
	"testing"
)

// What is meant for one process by its number would have the next one take
// descriptors for sockets that are none, or leave the watchdog alone.
func TestInheritable_LeavesOutWhatIsForOneProcess(t *testing.T) {
	got := inheritable([]string{"PATH=/bin", "LISTEN_FDS=2", "LISTEN_PID=7", "LISTEN_FDNAMES=a:b", "WATCHDOG_USEC=1", "WATCHDOG_PID=7",
		"NOTIFY_SOCKET=/run/n", environment + "={}", "X=LISTEN_FDS=1"})
	if want := []string{"PATH=/bin", "WATCHDOG_USEC=1", "NOTIFY_SOCKET=/run/n", "X=LISTEN_FDS=1"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}
