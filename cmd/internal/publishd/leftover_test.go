package publishd

import (
	"net"
	"os"
	"path/filepath"
	"testing"
)

// The file of a unix socket outlives a process that was killed; it is no reason
// not to start again.
func TestListen_SocketOfADeadProcessIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	if l, err := Listen("unix:" + path); err == nil {
		l.Close()
		t.Fatal("a socket that is served was taken away")
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	l, err := Listen("unix:" + path)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()

	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err := Listen("unix:" + path); err == nil {
		l.Close()
		t.Error("another file was taken away")
	}
}
