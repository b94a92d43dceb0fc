package relay

import (
	"fmt"
	"runtime/debug"
	"time"
)

// Reason says what ended a tunnel. Its text is stable, for logs.
type Reason string

// The reasons. A side that closed ended cleanly, and was the first to do so; a
// side that aborted was reset, or could no longer be read or written.
const (
	ClientClosed   Reason = "client closed"
	BackendClosed  Reason = "backend closed"
	ClientAborted  Reason = "client aborted"
	BackendAborted Reason = "backend aborted"
	IdleTimedOut   Reason = "idle timeout"
	LingerTimedOut Reason = "linger timeout"
	// No byte came from that side when it was to answer a ping.
	ClientSilent  Reason = "ping timeout of the client"
	BackendSilent Reason = "ping timeout of the backend"
	LifetimeOver  Reason = "max lifetime"
	// One that violated sent frames that Options.Frames refuse.
	ClientViolated  Reason = "client violation"
	BackendViolated Reason = "backend violation"
	Drained         Reason = "drained"                // by Engine.Shutdown, in its turn
	Closed          Reason = "closed by the operator" // by Tunnel.Close
	Canceled        Reason = "canceled"               // cut: by Tunnel.Cut, or as the engine or its time to drain ended
	Failed          Reason = "internal error"
)

// Traffic is what one side said.
type Traffic struct {
	// Bytes are those that were handed to the other side's connection, early
	// ones included. Of a tunnel that was cut while a side of TLS did not read,
	// they may be more than it took, by what the tunnel held for it. What the
	// front itself put in or took out is not counted.
	Bytes int64

	// Messages are the complete WebSocket messages, without control frames; 0
	// where frames are not followed.
	Messages int64
}

// Result is the account of one tunnel.
type Result struct {
	FromClient, FromBackend Traffic

	Reason Reason

	// Err is the failure behind ClientAborted, BackendAborted or Failed, and a
	// *frame.Violation behind ClientViolated and BackendViolated; behind Failed
	// it may be a *Panic. It is nil if
	// that side simply went away (reset, broken pipe, a FIN within a TLS
	// record), and for every other Reason.
	Err error

	// CloseCode is the status code of the first Close frame (RFC 6455 §7.4):
	// 1005 if it had none, 0 if none was seen. Where the front refused
	// something, it is the code for the side that had sent it.
	CloseCode uint16

	// CloseReason is the reason in that frame, of at most 123 bytes as a rule, and
	// mostly "". Of a client's and a backend's it is UTF-8 only where their frames
	// are validated.
	CloseReason string

	// ClosedBy is who ended the tunnel: "client", "backend" or "front". That is
	// who sent that Close; without one the side that was the first to end, or
	// broke off, or did not answer a ping; and for every other Reason the front.
	ClosedBy string

	// Duration is how long the tunnel lived.
	Duration time.Duration
}

// Stats is the account of a tunnel that lives.
type Stats struct {
	FromClient, FromBackend Traffic

	// Opened is when the tunnel began, Moved when a byte last moved in it.
	Opened, Moved time.Time

	// Ponged is when the client last answered a ping of Options.Ping, zero for
	// never, and PingRoundTrip how long that took, without the time in which
	// nothing was read from it as the backend did not take what it had said before.
	Ponged        time.Time
	PingRoundTrip time.Duration
}

// Panic is a fault in this program that ended one tunnel.
type Panic struct {
	Value any // that it panicked with
	Stack []byte
}

// newPanic is called by what has recovered from value.
func newPanic(value any) *Panic { return &Panic{value, debug.Stack()} }

func (p *Panic) Error() string { return fmt.Sprintf("panic: %v", p.Value) }
