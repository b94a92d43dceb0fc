package frame

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

// invalid are frames that RFC 6455 forbids, after a good message. follows tells
// that a follower without rules still knows where frames end.
var invalid = []struct {
	name    string
	side    Side
	stream  []byte
	reason  string
	follows bool
}{
	{"opcode 3", FromClient, data(FromClient, fin|3, nil), "reserved opcode", false},
	{"opcode 7", FromClient, data(FromClient, fin|7, []byte("x")), "reserved opcode", false},
	{"opcode 11", FromBackend, data(FromBackend, fin|11, nil), "reserved opcode", false},
	{"opcode 15", FromBackend, data(FromBackend, fin|15, nil), "reserved opcode", false},
	{"RSV1", FromClient, data(FromClient, fin|0x40|opText, nil), "reserved bits", false},
	{"RSV2", FromBackend, data(FromBackend, fin|0x20|opText, nil), "reserved bits", false},
	{"RSV3 on a ping", FromBackend, data(FromBackend, fin|0x10|opPing, nil), "reserved bits", false},
	{"RSV1 on a Close", FromClient, data(FromClient, fin|0x40|opClose, []byte{3, 232}), "reserved bits", false},
	{"client without mask", FromClient, text(FromBackend, "x"), "must mask", false},
	{"client's Close without mask", FromClient, data(FromBackend, fin|opClose, []byte{3, 232}), "must mask", false},
	{"server with mask", FromBackend, text(FromClient, "x"), "must mask", false},
	{"top bit of the length", FromBackend, []byte{fin | opBinary, 127, 0x80, 0, 0, 0, 0, 0, 0, 1}, "top bit", false},
	{"ping of 126 bytes", FromClient, data(FromClient, fin|opPing, make([]byte, 126)), "control frame", false},
	{"Close of 126 bytes", FromBackend, data(FromBackend, fin|opClose, make([]byte, 126)), "control frame", false},
	{"pong with a 64-bit length", FromBackend, []byte{fin | opPong, 127, 0, 0, 0, 0, 0, 0, 0, 0}, "control frame", false},
	{"fragmented ping", FromClient, data(FromClient, opPing, nil), "control frame", false},
	{"fragmented Close", FromClient, data(FromClient, opClose, nil), "control frame", false},
	{"continuation of nothing", FromClient, data(FromClient, fin|opContinuation, []byte("x")), "without a message", false},
	{"message within a message", FromBackend, join(data(FromBackend, opText, []byte("a")), text(FromBackend, "b")), "before the end", false},
	{"16 bits for 125", FromClient, masking(FromClient, []byte{fin | opText, 126, 0, 125}, make([]byte, 125)), "shortest", true},
	{"64 bits for 65535", FromBackend, masking(FromBackend, []byte{fin | opText, 127, 0, 0, 0, 0, 0, 0, 255, 255}, make([]byte, 65535)), "shortest", true},
	{"message after Close", FromClient, join(data(FromClient, fin|opClose, nil), text(FromClient, "x")), "after a close", true},
}

func TestRules_ValidateRefusesWith1002(t *testing.T) {
	for _, c := range invalid {
		t.Run(c.name, func(t *testing.T) {
			good := text(c.side, "good")
			// What the frame refused comes after, like a first fragment, passes.
			lead := join(good, lawfulStart(c.name, c.stream))
			for _, n := range []int{1, 2, 3, 5, 11, 1 << 20} {
				f := newFollower(t, c.side, Rules{Validate: true})
				passed, err := feedSplit(f, join(good, c.stream, good), n, 0)
				checkViolation(t, err, 1002, c.reason)
				if !bytes.Equal(passed, lead) || !f.AtBoundary() || f.Lost() {
					t.Errorf("reads of %d: passed %x, want %x, boundary %v, lost %v", n, passed, lead, f.AtBoundary(), f.Lost())
				}
				if again, rest, err2 := f.Feed(good, 0); len(again) != 0 || len(rest) != 0 || err2 == nil || err2.Error() != err.Error() {
					t.Errorf("fed after the violation: %x, %x, %v", again, rest, err2)
				}
			}
		})
	}
}

// lawfulStart is what of a case's stream is lawful by itself.
func lawfulStart(name string, stream []byte) []byte {
	switch name {
	case "message within a message":
		return stream[:3]
	case "message after Close":
		return stream[:6]
	}
	return nil
}

func checkViolation(t *testing.T, err error, code uint16, reason string) {
	t.Helper()
	var v *Violation
	if !errors.As(err, &v) {
		t.Fatalf("no violation: %v", err)
	}
	if v.Code != code || !strings.Contains(v.Reason, reason) || len(v.Reason) > maxReason {
		t.Errorf("violation %d %q, want %d %q", v.Code, v.Reason, code, reason)
	}
}

func TestRules_WithoutRulesInvalidFramesPass(t *testing.T) {
	for _, c := range invalid {
		t.Run(c.name, func(t *testing.T) {
			stream := join(text(c.side, "good"), c.stream, text(c.side, "more"))
			for _, n := range []int{1, 2, 3, 5, 11, 1 << 20} {
				f := newFollower(t, c.side, Rules{})
				passed, err := feedSplit(f, stream, n, 0)
				if err != nil || !bytes.Equal(passed, stream) || f.Lost() == c.follows || f.AtBoundary() != c.follows {
					t.Errorf("reads of %d: passed %x of %x, lost %v, boundary %v, err %v", n, passed, stream, f.Lost(), f.AtBoundary(), err)
				}
			}
		})
	}
}

func TestRules_InvalidFramesDoNotEvadeALimit(t *testing.T) {
	for _, c := range invalid {
		for _, rules := range []Rules{{MaxMessage: 1 << 20}, {MaxFragments: 100}, {MessageRate: 1, Burst: 100}} {
			f := newFollower(t, c.side, rules)
			_, err := feedSplit(f, c.stream, 3, 0)
			if c.follows {
				if err != nil || f.Lost() {
					t.Errorf("%s, %+v: %v, lost %v", c.name, rules, err, f.Lost())
				}
				continue
			}
			checkViolation(t, err, 1002, c.reason)
		}
	}
}

func TestRules_ReservedBitsWithAnExtension(t *testing.T) {
	compression, anyUse := Rules{Validate: true, Compression: true}, Rules{Validate: true, AnyReserved: true}
	cases := []struct {
		name   string
		rules  Rules
		frames []byte
		ok     bool
	}{
		{"RSV1 on text", compression, data(FromClient, fin|rsv1|opText, []byte("x")), true},
		{"RSV1 on a first fragment", compression, data(FromClient, rsv1|opBinary, nil), true},
		{"RSV1 on a continuation", compression, join(data(FromClient, rsv1|opText, nil), data(FromClient, rsv1|opContinuation, nil)), false},
		{"RSV1 on a ping", compression, data(FromClient, fin|rsv1|opPing, nil), false},
		{"RSV1 and RSV2", compression, data(FromClient, fin|rsv1|0x20|opText, nil), false},
		{"RSV2", compression, data(FromClient, fin|0x20|opText, nil), false},
		{"any on text", anyUse, data(FromClient, fin|reserved|opText, nil), true},
		{"any on a continuation", anyUse, join(data(FromClient, opText, nil), data(FromClient, reserved|opContinuation, nil)), true},
		{"any on a Close", anyUse, data(FromClient, fin|reserved|opClose, []byte{1}), true},
	}
	for _, c := range cases {
		for _, n := range []int{1, 100} {
			_, err := feedSplit(newFollower(t, FromClient, c.rules), c.frames, n, 0)
			if (err == nil) != c.ok {
				t.Errorf("%s: %v", c.name, err)
			}
		}
	}
}

func TestRules_MaxMessageRefusesAtTheHeader(t *testing.T) {
	rules := Rules{MaxMessage: 1000}
	full := data(FromBackend, fin|opBinary, make([]byte, 1000))
	first, ping := data(FromBackend, opBinary, make([]byte, 600)), data(FromBackend, fin|opPing, make([]byte, 125))
	huge := []byte{fin | opBinary, 127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	cases := []struct {
		name   string
		stream []byte
		passes int
	}{
		{"one frame", join(full, data(FromBackend, fin|opBinary, make([]byte, 1001))), len(full)},
		{"its header only", join(full, []byte{fin | opBinary, 126, 0x03, 0xe9}), len(full)},
		{"the last of several frames", join(first, ping, data(FromBackend, opContinuation, make([]byte, 400)), data(FromBackend, fin|opContinuation, make([]byte, 1))),
			len(first) + len(ping) + 404},
		{"63 bits after a fragment", join(first, append([]byte{opContinuation}, huge[1:]...)), len(first)},
		{"63 bits", huge, 0},
	}
	for _, c := range cases {
		for _, n := range []int{1, 3, 8, 1 << 20} {
			f := newFollower(t, FromBackend, rules)
			passed, err := feedSplit(f, c.stream, n, 0)
			checkViolation(t, err, 1009, "too big")
			if !bytes.Equal(passed, c.stream[:c.passes]) || !f.AtBoundary() {
				t.Errorf("%s, reads of %d: passed %d bytes, want %d, boundary %v", c.name, n, len(passed), c.passes, f.AtBoundary())
			}
		}
	}
	f := newFollower(t, FromBackend, rules)
	if _, err := feedAll(f, join(full, first, data(FromBackend, fin|opContinuation, make([]byte, 400)), full), 0); err != nil {
		t.Errorf("messages of just the size: %v", err)
	}
}

func TestRules_HugeFrameWithoutLimitIsFollowed(t *testing.T) {
	f := newFollower(t, FromBackend, Rules{Validate: true})
	pass, err := feedAll(f, []byte{fin | opBinary, 127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 'x'}, 0)
	if err != nil || len(pass) != 11 || f.left != math.MaxInt64-1 || f.AtBoundary() {
		t.Errorf("passed %x, %d bytes to come, err %v", pass, f.left, err)
	}
}

func TestRules_MaxFragments(t *testing.T) {
	part, last := data(FromClient, opContinuation, nil), data(FromClient, fin|opContinuation, []byte("x"))
	first, ping := data(FromClient, opText, nil), data(FromClient, fin|opPing, nil)
	three := join(first, ping, part, ping, last)
	for _, n := range []int{1, 1 << 20} {
		f := newFollower(t, FromClient, Rules{MaxFragments: 3})
		passed, err := feedSplit(f, join(three, three, first, part, part, part), n, 0)
		checkViolation(t, err, 1008, "fragments")
		if len(passed) != 2*len(three)+3*len(part) || !f.AtBoundary() || !f.InMessage() {
			t.Errorf("reads of %d: passed %d bytes", n, len(passed))
		}
	}
}

func TestRules_MessageRate(t *testing.T) {
	second := int64(time.Second)
	message, ping, pong := text(FromClient, "x"), data(FromClient, fin|opPing, nil), data(FromClient, fin|opPong, nil)
	start := time.Now().UnixNano()
	f := newFollower(t, FromClient, Rules{MessageRate: 2, Burst: 3})
	good := func(at int64, stream ...[]byte) {
		t.Helper()
		if _, err := feedAll(f, join(stream...), start+at); err != nil {
			t.Fatalf("at %d: %v", at, err)
		}
	}
	good(0, message, ping, pong, pong, pong, data(FromClient, opText, nil), pong, data(FromClient, fin|opContinuation, nil))
	good(second/2, message)
	good(second, message)
	good(10*second, message, message, message)
	passed, err := feedAll(f, join(pong, message), start+10*second+second/2-1)
	checkViolation(t, err, 1008, "too many messages")
	if !bytes.Equal(passed, pong) || !f.AtBoundary() {
		t.Errorf("passed %x", passed)
	}

	f = newFollower(t, FromClient, Rules{MessageRate: 1e-200})
	good(0, message)
	if _, err := feedAll(f, ping, start+1000*second); err == nil {
		t.Error("a second message within the age of the universe passed")
	}
}
