package pusher

import (
	"bytes"
	"net"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestIdle_ClientsHoldNoGoroutineAndLittleMemory has clients that are sockets and
// nothing else, so that all that the heap gains is on the service's side.
func TestIdle_ClientsHoldNoGoroutineAndLittleMemory(t *testing.T) {
	const clients, most = 2000, 2 << 10
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil || files.Cur < 2*clients+200 {
		t.Skipf("only %d files may be open, %v", files.Cur, err)
	}
	s := newService(t, Config{PingInterval: time.Hour}, Endpoint{Channel: "board"})
	s.bareDial(t) // starts what all share
	goroutines, heap := runtime.NumGoroutine(), heapInUse()
	fds := make([]int, clients)
	for i := range fds {
		fds[i] = s.bareDial(t)
	}
	if n := s.Subscribers("board"); n != clients+1 {
		t.Fatalf("%d subscribers", n)
	}
	s.publishText("board", "one")
	for _, fd := range fds {
		if got := readUntil(t, fd, "one"); got != "\x81\x03one" {
			t.Fatalf("got %q", got)
		}
	}
	eventually(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= goroutines })
	each := (heapInUse() - heap) / clients
	t.Logf("%d bytes of heap for each client", each)
	if each > most {
		t.Errorf("%d bytes of heap for each client, want %d at most", each, most)
	}
}

// bareDial opens a WebSocket without the net package, whose connections are on
// the heap as well.
func (s *service) bareDial(t *testing.T) (fd int) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	timeout := unix.NsecToTimeval(int64(patience / time.Nanosecond))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout); err != nil {
		t.Fatal(err)
	}
	address := s.server.Listener.Addr().(*net.TCPAddr)
	// The runtime's own signals interrupt calls that wait; a connect that was
	// interrupted goes on by itself.
	for {
		err := unix.Connect(fd, &unix.SockaddrInet4{Port: address.Port, Addr: [4]byte(address.IP.To4())})
		if err == nil || err == unix.EISCONN {
			break
		}
		if err != unix.EINTR && err != unix.EALREADY {
			t.Fatal(err)
		}
	}
	const handshake = "GET /websocket HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"X-Request-Id: k3v9q2mx7c5d8f1a\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	if _, err := unix.Write(fd, []byte(handshake)); err != nil {
		t.Fatal(err)
	}
	readUntil(t, fd, "\r\n\r\n")
	return fd
}

// readUntil reads up to what ends so.
func readUntil(t *testing.T, fd int, end string) string {
	t.Helper()
	var got []byte
	for buf := make([]byte, 512); !bytes.HasSuffix(got, []byte(end)); {
		n, err := unix.Read(fd, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			t.Fatalf("%q and then %d %v", got, n, err)
		}
		got = append(got, buf[:n]...)
	}
	return string(got)
}
