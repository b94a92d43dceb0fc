//go:build unix

package proxy

import (
	"syscall"
	"testing"
)

func TestOpenFilesLimit_IsTheOneInEffect(t *testing.T) {
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	now := was
	now.Cur /= 2
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &now); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &was); err != nil {
			t.Error(err)
		}
	})
	if got := openFilesLimit(); got != uint64(now.Cur) {
		t.Errorf("%d, want %d", got, now.Cur)
	}
	// A change of the limit counts from the next reload on.
	if got, want := validConfig().withDefaults().MaxTunnels, pairsWithin(uint64(now.Cur)); got != want {
		t.Errorf("%d tunnels, want %d", got, want)
	}
}
