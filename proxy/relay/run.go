package relay

import (
	"context"
	"net"
)

// Run carries one tunnel by goroutines, without an engine, and returns once it
// is over. See Engine.Start for its arguments. When ctx is done, the tunnel is
// cut. It may be called concurrently.
func Run(ctx context.Context, client, backend net.Conn, o *Options, early Early) Result {
	over := make(chan Result, 1)
	t := newEngine().startGoing(client, backend, o, early, func(r Result) { over <- r })
	// Should it come too late to be stopped, Cut finds the tunnel over.
	defer context.AfterFunc(ctx, t.Cut)()
	return <-over
}
