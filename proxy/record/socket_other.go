//go:build !unix

package record

import (
	"net"
	"syscall"
)

// rawConn is nil: elsewhere reading cannot be tried without blocking, and
// socket reads with a buffer in the hand.
func rawConn(net.Conn) syscall.RawConn { return nil }

func readFD(uintptr, []byte) (int, bool, error) { return 0, false, syscall.ENOSYS }

func writeFD(uintptr, []byte) {}
