package relay

// NewGoingEngine returns an engine all of whose tunnels have goroutines, as on
// systems that have no event loop.
func NewGoingEngine() *Engine { return newEngine() }
