package frame

import (
	"encoding/binary"
	"testing"
)

// key masks the frames that tests build for the client's side.
var key = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// data builds a frame with any first byte and a length in its shortest form.
func data(side Side, first byte, payload []byte) []byte {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 127), uint64(n))
	}
	return masking(side, b, payload)
}

// masking completes a header without a masking key as side must.
func masking(side Side, header, payload []byte) []byte {
	if side == FromBackend {
		return append(header, payload...)
	}
	header[1] |= 0x80
	header = append(header, key[:]...)
	for i, c := range payload {
		header = append(header, c^key[i%4])
	}
	return header
}

func text(side Side, s string) []byte { return data(side, fin|opText, []byte(s)) }

// join makes one stream of frames.
func join(frames ...[]byte) []byte {
	var all []byte
	for _, f := range frames {
		all = append(all, f...)
	}
	return all
}

// feedAll feeds p as one read and returns all that passes.
func feedAll(f *Follower, p []byte, now int64) (passed []byte, err error) {
	for {
		var pass []byte
		pass, p, err = f.Feed(p, now)
		passed = append(passed, pass...)
		if err != nil || len(p) == 0 {
			return passed, err
		}
	}
}

// feedSplit feeds p in reads of n bytes.
func feedSplit(f *Follower, p []byte, n int, now int64) (passed []byte, err error) {
	for len(p) > 0 && err == nil {
		k := min(n, len(p))
		var pass []byte
		// A buffer of its own, as a follower must not look at it later.
		pass, err = feedAll(f, append([]byte(nil), p[:k]...), now)
		passed = append(passed, pass...)
		p = p[k:]
	}
	return passed, err
}

func newFollower(t testing.TB, side Side, rules Rules) *Follower {
	t.Helper()
	f := new(Follower)
	f.Init(side, &rules)
	return f
}
