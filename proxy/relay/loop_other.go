//go:build !linux

package relay

import "net"

// A loop is what only Linux has; elsewhere every tunnel has goroutines.
type loop struct{}

func openLoops(*Engine) ([]*loop, error) { return nil, nil }

func (*loop) run() {}

func (*loop) stop() {}

func (*Engine) startLooped(_, _ net.Conn, _ *Options, _ Early, _ Owner) *Tunnel { return nil }
