//go:build unix

package record

import (
	"io"
	"net"
	"os"
	"syscall"
)

// rawConn is nc's access to its file descriptor, nil if it has none.
func rawConn(nc net.Conn) syscall.RawConn {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil // closed; reading nc will tell
	}
	return raw
}

// readFD reads once, without blocking. again: there is nothing to read now.
func readFD(fd uintptr, p []byte) (n int, again bool, err error) {
	for {
		n, err := syscall.Read(int(fd), p)
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			return 0, true, nil
		case err != nil:
			return 0, false, os.NewSyscallError("read", err)
		case n == 0:
			return 0, false, io.EOF
		}
		return n, false, nil
	}
}

// writeFD writes what goes without blocking. What becomes of it is not asked:
// it is for a last word to a peer that may no longer listen.
func writeFD(fd uintptr, p []byte) {
	for {
		if _, err := syscall.Write(int(fd), p); err != syscall.EINTR {
			return
		}
	}
}
