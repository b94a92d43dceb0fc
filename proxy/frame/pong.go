package frame

// pong is whether pongs of ours are to be taken out.
type pong uint8

const (
	unexpected pong = iota
	expected
	seen
)

// ExpectPong has pongs with this payload taken out from now on: they answer pings
// that the tunnel put into the other direction, and the other side asked for
// none. One payload serves all pings of a tunnel; with another one, pongs of the
// last pass. It must be random, so that pongs for the peers' own pings, which
// pass, differ from it. PongSeen is false until the next such pong.
//
// A peer may answer only the last of several pings (RFC 6455 §5.5.3). So a ping
// belongs where the line is quiet, and a missing pong means nothing while other
// frames arrive.
func (f *Follower) ExpectPong(payload [8]byte) {
	f.nonce, f.pong = payload, expected
}

// PongSeen reports whether a pong of ours was taken out since ExpectPong was last
// called.
func (f *Follower) PongSeen() bool { return f.pong == seen }

// takesOut recognises a pong of ours among the pongs. b is what need asked for: of a pong that
// may be ours, all.
func (f *Follower) takesOut(b []byte) bool {
	if f.pong == unexpected || len(b) != headerSize(b[1])+len(f.nonce) {
		return false
	}
	var buf [len(f.nonce)]byte
	if [len(f.nonce)]byte(unmasked(buf[:0], b)) != f.nonce {
		return false
	}
	f.pong = seen
	return true
}
