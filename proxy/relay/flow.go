package relay

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
)

// bufferSize is what one TLS record can carry (RFC 8446 §5.1): a read of TLS
// never returns more, so a larger buffer would stand half empty.
const bufferSize = 16 << 10

// buffers is shared by all tunnels, so that short ones do not make garbage. It
// holds nothing that one tunnel could see of another: a flow writes no byte of
// a buffer that it has not just read into it.
var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// A flow is one direction of a tunnel.
type flow struct {
	src, dst net.Conn
	leftover []byte // precedes what src still says

	srcName, dstName string // for errors
	// What it means for the tunnel that src ended, or that either broke off.
	srcClosed, srcAborted, dstAborted Reason

	bytes int64 // handed to dst; only the flow's goroutine, until it has ended

	// owing is true while dst has not yet taken what was read from src.
	owing atomic.Bool
}

// pump copies until src ends cleanly, which returns a nil error, or until one
// of the two fails. It calls touch whenever a byte has moved.
func (f *flow) pump(touch func()) (Reason, error) {
	if len(f.leftover) > 0 {
		if err := f.write(f.leftover); err != nil {
			return f.dstAborted, err
		}
		touch()
	}
	buf := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buf)
	for {
		n, err := f.src.Read(buf[:])
		if n > 0 {
			touch()
			if err := f.write(buf[:n]); err != nil {
				return f.dstAborted, err
			}
			touch()
		}
		if err == io.EOF {
			return f.srcClosed, nil
		}
		if err != nil {
			return f.srcAborted, fmt.Errorf("read from %s: %w", f.srcName, err)
		}
	}
}

func (f *flow) write(p []byte) error {
	f.owing.Store(true)
	n, err := f.dst.Write(p)
	f.bytes += int64(n)
	if err != nil {
		return fmt.Errorf("write to %s: %w", f.dstName, err)
	}
	f.owing.Store(false)
	return nil
}

// ordinary tells a peer that went away, which is how many tunnels end, from a
// failure that an operator should read about.
func ordinary(err error) bool {
	return err == nil ||
		errors.Is(err, io.EOF) ||
		errors.Is(err, io.ErrUnexpectedEOF) || // TLS: FIN within a record
		errors.Is(err, io.ErrClosedPipe) ||
		errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE)
}
