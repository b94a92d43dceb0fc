//go:build !linux

package pusher

import "net"

// poller carries nothing: what it is made of, only Linux has.
type poller struct{}

func (*poller) start(*Hub) {}

func (*poller) carry(*client, net.Conn) bool { return false }

func (*poller) close() {}
