package relay

import "time"

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
	LifetimeOver   Reason = "max lifetime"
	Drained        Reason = "drained"  // by Engine.Shutdown, in its turn
	Canceled       Reason = "canceled" // cut, as the engine or its time to drain ended
	Failed         Reason = "internal error"
)

// Result is the account of one tunnel.
type Result struct {
	// FromClient and FromBackend are the bytes of that side which were handed
	// to the other one's connection, early ones included. Of a tunnel that was
	// cut while a side of TLS did not read, they may be more than it took, by
	// what the tunnel held for it.
	FromClient, FromBackend int64

	Reason Reason

	// Err is the failure behind ClientAborted, BackendAborted or Failed. It is
	// nil if that side simply went away (reset, broken pipe, a FIN within a TLS
	// record), and for every other Reason.
	Err error

	// Duration is how long the tunnel lived.
	Duration time.Duration
}

// Stats is the account of a tunnel that lives.
type Stats struct {
	// FromClient and FromBackend are counted as in Result.
	FromClient, FromBackend int64

	// Opened is when the tunnel began, Moved when a byte last moved in it.
	Opened, Moved time.Time
}
