package frame

import (
	"bytes"
	"fmt"
	"testing"
)

var nonce = [8]byte{0x81, 0, 0x8a, 8, 0xff, 'x', 'y', 'z'}

func TestFollower_OwnPongIsTakenOutHoweverSplit(t *testing.T) {
	for _, side := range []Side{FromClient, FromBackend} {
		mine := data(side, fin|opPong, nonce[:])
		parts := [][]byte{
			mine,
			text(side, "before"), mine,
			data(side, opText, []byte("frag")), mine, mine,
			data(side, fin|opContinuation, []byte("ment")), mine,
		}
		stream := join(parts...)
		want := join(parts[1], parts[3], parts[6])
		for _, rules := range []Rules{{}, {Validate: true}} {
			for n := 1; n <= len(stream); n++ {
				f := newFollower(t, side, rules)
				f.ExpectPong(nonce)
				passed, err := feedSplit(f, stream, n, 0)
				if err != nil || !bytes.Equal(passed, want) {
					t.Fatalf("side %d, %+v, reads of %d: passed %x, want %x, err %v", side, rules, n, passed, want, err)
				}
				messages, size, controls := f.Counts()
				if !f.PongSeen() || !f.AtBoundary() || messages != 2 || size != 14 || controls != 0 {
					t.Errorf("reads of %d: seen %v, boundary %v, counts %d %d %d", n, f.PongSeen(), f.AtBoundary(), messages, size, controls)
				}
			}
		}
	}
}

func TestFollower_OtherPongsPassUntouched(t *testing.T) {
	almost := nonce
	almost[7]++
	long := append(nonce[:len(nonce):len(nonce)], 0)
	side := FromClient
	notMine := map[string][]byte{
		"other payload":       data(side, fin|opPong, almost[:]),
		"shorter":             data(side, fin|opPong, nonce[:7]),
		"empty":               data(side, fin|opPong, nil),
		"longer":              data(side, fin|opPong, long),
		"a ping of the peers": data(side, fin|opPing, nonce[:]),
		"a message":           data(side, fin|opBinary, nonce[:]),
		"a longer form":       masking(side, []byte{fin | opPong, 126, 0, 8}, nonce[:]),
	}
	for name, frame := range notMine {
		t.Run(name, func(t *testing.T) {
			stream := join(frame, text(side, "next"))
			for n := 1; n <= len(stream); n++ {
				f := newFollower(t, side, Rules{})
				f.ExpectPong(nonce)
				passed, err := feedSplit(f, stream, n, 0)
				lost := name == "a longer form"
				if err != nil || !bytes.Equal(passed, stream) || f.PongSeen() || f.Lost() != lost {
					t.Errorf("reads of %d: passed %x of %x, seen %v, lost %v, err %v", n, passed, stream, f.PongSeen(), f.Lost(), err)
				}
			}
		})
	}
}

func TestFollower_PongWithoutExpectationPassesAtOnce(t *testing.T) {
	f := newFollower(t, FromBackend, Rules{})
	mine := data(FromBackend, fin|opPong, nonce[:])
	for i := range mine {
		if pass, err := feedAll(f, mine[i:i+1], 0); len(pass) != 1 || err != nil {
			t.Fatalf("byte %d: passed %x, err %v", i, pass, err)
		}
	}
}

func TestFollower_ExpectationWithinAPongLeavesThatOneAlone(t *testing.T) {
	mine := data(FromBackend, fin|opPong, nonce[:])
	for i := 1; i < len(mine); i++ {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			f := newFollower(t, FromBackend, Rules{})
			first, _ := feedAll(f, mine[:i], 0)
			f.ExpectPong(nonce)
			second, err := feedAll(f, mine[i:], 0)
			if got := join(first, second); err != nil || !bytes.Equal(got, mine) || f.PongSeen() {
				t.Errorf("passed %x of %x, seen %v, err %v", got, mine, f.PongSeen(), err)
			}
			if third, _ := feedAll(f, mine, 0); len(third) != 0 || !f.PongSeen() {
				t.Errorf("the next one: passed %x, seen %v", third, f.PongSeen())
			}
		})
	}
}

func TestFollower_PongSeenStartsAnewWithEachPing(t *testing.T) {
	f := newFollower(t, FromClient, Rules{})
	mine := data(FromClient, fin|opPong, nonce[:])
	for range 3 {
		f.ExpectPong(nonce)
		if f.PongSeen() {
			t.Error("seen before it came")
		}
		if _, err := feedAll(f, mine, 0); err != nil || !f.PongSeen() {
			t.Errorf("not seen, err %v", err)
		}
	}
}

func TestFollower_HeldBytesOfAnEndedSource(t *testing.T) {
	f := newFollower(t, FromBackend, Rules{})
	f.ExpectPong(nonce)
	start := data(FromBackend, fin|opPong, nonce[:])[:9]
	pass, err := feedSplit(f, start, 4, 0)
	if len(pass) != 0 || err != nil || !bytes.Equal(f.Held(), start) {
		t.Errorf("passed %x, held %x, err %v", pass, f.Held(), err)
	}
	f = newFollower(t, FromClient, Rules{})
	start = data(FromClient, fin|opClose, []byte("\x03\xe8a reason longer than a header"))[:30]
	pass, err = feedSplit(f, start, 4, 0)
	if _, closed := f.Closed(); len(pass) != 0 || err != nil || !bytes.Equal(f.Held(), start) || closed || !f.AtBoundary() {
		t.Errorf("passed %x, held %x, closed %v, err %v", pass, f.Held(), closed, err)
	}
}
