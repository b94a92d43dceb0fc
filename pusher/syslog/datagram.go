package syslog

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"os"
	"time"
)

// readPackets takes each datagram for a line (RFC 5426 §3.1) until the socket
// fails, which it does when it is closed.
func (l *Listener) readPackets(ctx context.Context) error {
	own, err := os.Hostname()
	if err != nil {
		own = "localhost"
	}
	limit := int(l.cfg.MaxMessage)
	buf := make([]byte, limit+1) // one more, to see that there was more
	for {
		n, from, err := l.packets.ReadFrom(buf)
		if err != nil {
			return err
		}
		received := line{source: own, at: time.Now()}
		if udp, ok := from.(*net.UDPAddr); ok {
			ip := addressOf(udp.AddrPort())
			if received.source = ip.String(); !l.cfg.allows(ip) {
				l.tally.add(EventRefused, received.source+" is not in allow")
				continue
			}
		}
		if n > limit {
			l.tally.add(EventCut, "a datagram is longer than max_message")
		}
		received.text = bytes.Clone(buf[:min(n, limit)])
		if l.at.network == "unixgram" {
			l.wait(ctx, received) // or ctx is done, and reading fails
			continue
		}
		select {
		case l.queue <- received:
		default:
			l.tally.add(EventDropped, "lines come faster than they are published, and queue is full")
		}
	}
}

// addressOf is the address as Config.Allow has it: IPv4 is not in its clothes of
// IPv6.
func addressOf(from netip.AddrPort) netip.Addr { return from.Addr().Unmap().WithZone("") }
