package proxy

import "time"

// tunnelOf checks where a tunnel route leads and how.
func (v *validator) tunnelOf(at string, r Route) {
	// By its own name even in the short form: a file that has that form leads
	// from here to the one value it wrote.
	const backend = "tunnel.backend"
	if r.Tunnel.Backend == "" {
		v.failf(at+"."+backend, "missing; write where handshakes go, such as backend: ws://127.0.0.1:9000")
	} else {
		v.routeBackend(at, backend, r.Tunnel.Backend, "ws", "wss", r)
	}
	switch r.Tunnel.Mode {
	case "", TunnelRaw:
	case TunnelMessage:
		v.messageOptions(at, r)
	default:
		v.failf(at+".tunnel.mode", "%q is no mode of a tunnel; write raw or message", r.Tunnel.Mode)
	}
}

// messageOptions refuses options that mean nothing where both WebSockets end
// here.
func (v *validator) messageOptions(at string, r Route) {
	if r.Validate {
		v.failf(at+".validate", "has no effect with mode: message, where every frame is checked; remove it")
	}
	if r.MaxFragments > 0 {
		v.failf(at+".max_fragments", "has no effect with mode: message, where messages are put together and framed anew; remove it, and limit their length by max_message")
	}
}

// tunnelLimits checks the options that limit the tunnels of a route.
func (v *validator) tunnelLimits(at string, r Route) {
	v.duration(at+".idle_timeout", r.IdleTimeout)
	v.duration(at+".max_lifetime", r.MaxLifetime)
	v.duration(at+".ping", r.Ping)
	v.size(at+".max_message", r.MaxMessage)
	v.count(at+".max_fragments", r.MaxFragments)
	v.count(at+".message_rate", r.MessageRate)
	v.count(at+".max_tunnels", r.MaxTunnels)
	if 0 < r.Ping && r.Ping < time.Second {
		v.failf(at+".ping", "%s is less than a second, so that pings would outweigh the messages; write 1s or more, such as 30s", r.Ping)
	}
	if r.MaxLifetime <= 0 {
		return
	}
	// Ping and idle_timeout go well together whichever is longer: a side may
	// be silent, and get pings, while the other one sends.
	if r.Ping >= r.MaxLifetime {
		v.failf(at+".ping", "%s is not less than the max_lifetime of %s, so that no ping is ever sent; write less, such as 30s, or remove it", r.Ping, r.MaxLifetime)
	}
	if r.IdleTimeout >= r.MaxLifetime {
		v.failf(at+".idle_timeout", "%s is not less than the max_lifetime of %s, which always comes first; write less, or remove it", r.IdleTimeout, r.MaxLifetime)
	}
}

// count checks a number that must not be negative; 0 stands for the default.
func (v *validator) count(field string, n int) {
	if n < 0 {
		v.failf(field, "%d is negative; write a number such as 100, or leave it out for the default", n)
	}
}

// size checks a number of bytes that must not be negative; 0 stands for the
// default.
func (v *validator) size(field string, n int64) {
	if n < 0 {
		v.failf(field, "%d is negative; write a size such as 100MiB, or leave it out for the default", n)
	}
}
