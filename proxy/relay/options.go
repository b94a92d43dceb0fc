package relay

import (
	"time"

	"wsfront/proxy/frame"
)

// DefaultLinger is the Linger of Options that name none.
const DefaultLinger = 10 * time.Second

// Options are the terms of tunnels. All tunnels of one route share them: Start
// keeps the pointer, and nobody may change them while one of them lives. The
// zero value is ready to use: no limit but DefaultLinger, and nothing known of
// what the bytes mean.
type Options struct {
	// IdleTimeout ends a tunnel in which no byte moved in either direction for
	// this long; traffic in one direction keeps both alive. A write that waits
	// for a peer to read does not count as movement, so a peer that takes
	// longer than this for what the tunnel holds for it is taken for stalled.
	// Zero or less: never.
	IdleTimeout time.Duration

	// Linger is how long the side that still talks may be silent after the
	// other one has ended its half. It is counted from the last byte, not from
	// the end of the half, so that a long reply arrives whole. An IdleTimeout
	// shorter than Linger holds here too. Zero or less: DefaultLinger.
	Linger time.Duration

	// MaxLifetime ends a tunnel this long after its start, however much moves
	// in it. Zero or less: never.
	MaxLifetime time.Duration

	// Frames has WebSocket frames followed as they pass: counted, limited, and
	// with control frames put in between them. Nil: the bytes are passed as
	// they are, and all that says Close or ping is left out.
	Frames *Frames

	// Ping has a ping sent to a side that has said nothing for this long, and to
	// one that nothing was sent to for this long, so that no timeout of its own
	// and no NAT on the way ends the tunnel. The pongs are taken out. A side
	// that then says nothing for as long again is taken for dead, and the
	// tunnel cut. Pings and their pongs are no movement for IdleTimeout. Zero or
	// less: never. It needs Frames.
	Ping time.Duration

	// Group is what the tunnels can be ended by, apart from all others; see
	// Engine.Dissolve. Options may share one. Nil: none.
	Group *Group
}

// Frames are the rules for what each side sends. Where a side breaks one, it is
// sent a Close with the code of the violation, and the other side one with
// 1001; see Tunnel.Close.
type Frames struct {
	FromClient, FromBackend frame.Rules
}

func (o *Options) linger() time.Duration {
	if o.Linger <= 0 {
		return DefaultLinger
	}
	return o.Linger
}

// Early is what arrived together with the handshakes, from either side. It is
// delivered to the other side before anything else, and counted. The slices
// are kept until then, and must not be changed.
type Early struct {
	FromClient, FromBackend []byte
}
