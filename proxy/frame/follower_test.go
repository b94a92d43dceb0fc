package frame

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// conversation is a lawful stream with every form of frame: all lengths, control
// frames between fragments, empty frames, and a Close with a reason.
func conversation(side Side) []byte {
	return join(
		text(side, "hello"),
		data(side, fin|opBinary, nil),
		data(side, opText, []byte("in ")),
		data(side, fin|opPing, []byte("between")),
		data(side, opContinuation, nil),
		data(side, fin|opPong, nil),
		data(side, fin|opContinuation, []byte("parts")),
		data(side, fin|opBinary, make([]byte, 125)),
		data(side, fin|opBinary, make([]byte, 126)),
		data(side, fin|opBinary, make([]byte, 65535)),
		data(side, fin|opBinary, make([]byte, 65536)),
		data(side, fin|opPing, bytes.Repeat([]byte("p"), 125)),
		data(side, fin|opClose, []byte("\x03\xe9going away now")),
	)
}

const (
	conversationMessages = 7
	conversationBytes    = 5 + 8 + 125 + 126 + 65535 + 65536
	conversationControls = 4
)

func TestFollower_LawfulFramesPassUnchangedHoweverSplit(t *testing.T) {
	for _, side := range []Side{FromClient, FromBackend} {
		stream := conversation(side)
		for _, rules := range []Rules{{}, {Validate: true}, {Validate: true, MaxMessage: 65536, MaxFragments: 3, MessageRate: 1, Burst: 9}} {
			for _, n := range []int{1, 2, 3, 7, 13, 14, 15, 1000, len(stream)} {
				t.Run(fmt.Sprintf("side=%d/%+v/n=%d", side, rules, n), func(t *testing.T) {
					f := newFollower(t, side, rules)
					f.ExpectPong([8]byte{9, 9})
					passed, err := feedSplit(f, stream, n, 1)
					if err != nil || !bytes.Equal(passed, stream) {
						t.Fatalf("passed %d of %d bytes, err %v", len(passed), len(stream), err)
					}
					checkConversation(t, f)
				})
			}
		}
	}
}

func checkConversation(t *testing.T, f *Follower) {
	t.Helper()
	messages, size, controls := f.Counts()
	if messages != conversationMessages || size != conversationBytes || controls != conversationControls {
		t.Errorf("counted %d messages, %d bytes, %d control frames", messages, size, controls)
	}
	if code, ok := f.Closed(); !ok || code != 1001 {
		t.Errorf("closed with %d, %v", code, ok)
	}
	if !f.AtBoundary() || f.InMessage() || f.Lost() || f.PongSeen() || f.Held() != nil {
		t.Errorf("boundary %v, in message %v, lost %v, pong %v, held %x",
			f.AtBoundary(), f.InMessage(), f.Lost(), f.PongSeen(), f.Held())
	}
}

func TestFollower_ManyFramesPassInOnePiece(t *testing.T) {
	f := newFollower(t, FromClient, Rules{Validate: true, MaxMessage: 1 << 20})
	f.ExpectPong([8]byte{1})
	stream := conversation(FromClient)
	pass, rest, err := f.Feed(stream, 0)
	if err != nil || len(rest) != 0 || &pass[0] != &stream[0] || len(pass) != len(stream) {
		t.Errorf("pass is %d of %d bytes, rest %d, err %v", len(pass), len(stream), len(rest), err)
	}
}

// TestFollower_BoundaryAfterEachByte feeds byte by byte and compares AtBoundary
// with where frames really end on the other side.
func TestFollower_BoundaryAfterEachByte(t *testing.T) {
	frames := [][]byte{
		text(FromBackend, "ab"),
		data(FromBackend, opText, nil),
		data(FromBackend, fin|opPing, []byte("x")),
		data(FromBackend, fin|opContinuation, make([]byte, 200)),
		data(FromBackend, fin|opClose, []byte("\x03\xe8bye")),
	}
	ends := map[int]bool{0: true}
	total := 0
	for _, frame := range frames {
		total += len(frame)
		ends[total] = true
	}
	for _, rules := range []Rules{{}, {Validate: true}} {
		f := newFollower(t, FromBackend, rules)
		passed := 0
		for i, c := range join(frames...) {
			pass, err := feedAll(f, []byte{c}, 0)
			if err != nil {
				t.Fatal(err)
			}
			passed += len(pass)
			if f.AtBoundary() != ends[passed] {
				t.Errorf("%+v: after byte %d, of which %d passed: AtBoundary is %v", rules, i, passed, f.AtBoundary())
			}
		}
		if passed != total {
			t.Errorf("%+v: passed %d of %d bytes", rules, passed, total)
		}
	}
}

func TestFollower_InMessageBetweenFragments(t *testing.T) {
	f := newFollower(t, FromBackend, Rules{})
	steps := []struct {
		frame []byte
		in    bool
	}{
		{text(FromBackend, "whole"), false},
		{data(FromBackend, opBinary, []byte("a")), true},
		{data(FromBackend, fin|opPing, []byte("a")), true},
		{data(FromBackend, opContinuation, nil), true},
		{data(FromBackend, fin|opContinuation, []byte("z")), false},
	}
	for i, step := range steps {
		if _, err := feedAll(f, step.frame, 0); err != nil {
			t.Fatal(err)
		}
		if f.InMessage() != step.in || !f.AtBoundary() {
			t.Errorf("after frame %d: in message %v, at boundary %v", i, f.InMessage(), f.AtBoundary())
		}
	}
}

func TestFollower_HeaderIsHeldOnlyWhereItMayBeRefused(t *testing.T) {
	message := data(FromClient, fin|opText, make([]byte, 300))
	header := message[:8]
	for i := 1; i < len(header); i++ {
		f := newFollower(t, FromClient, Rules{})
		if pass, err := feedAll(f, header[:i], 0); err != nil || !bytes.Equal(pass, header[:i]) || f.Held() != nil || f.AtBoundary() {
			t.Errorf("without rules, %d bytes: passed %x, held %x, boundary %v, err %v", i, pass, f.Held(), f.AtBoundary(), err)
		}
		f = newFollower(t, FromClient, Rules{MaxMessage: 1000})
		if pass, err := feedAll(f, header[:i], 0); err != nil || len(pass) != 0 || !bytes.Equal(f.Held(), header[:i]) || !f.AtBoundary() {
			t.Errorf("with a limit, %d bytes: passed %x, held %x, boundary %v, err %v", i, pass, f.Held(), f.AtBoundary(), err)
		}
	}
}

func TestFollower_CountsPayloadWhileItPasses(t *testing.T) {
	f := newFollower(t, FromBackend, Rules{})
	message := data(FromBackend, fin|opBinary, make([]byte, 1000))
	fed := 0
	for _, want := range []struct {
		upTo            int
		messages, bytes int64
	}{{504, 0, 500}, {1003, 0, 999}, {1004, 1, 1000}} {
		if _, err := feedAll(f, message[fed:want.upTo], 0); err != nil {
			t.Fatal(err)
		}
		fed = want.upTo
		if messages, size, _ := f.Counts(); messages != want.messages || size != want.bytes {
			t.Errorf("after %d bytes: %d messages, %d bytes", fed, messages, size)
		}
	}
}

func TestFollower_OtherBytesPassOnceFollowingIsLost(t *testing.T) {
	stream := join(text(FromClient, "one"), []byte("\x83GET / HTTP/1.1\r\n\r\n"), text(FromClient, "two"))
	for n := 1; n <= len(stream); n++ {
		f := newFollower(t, FromClient, Rules{})
		f.ExpectPong([8]byte{1})
		passed, err := feedSplit(f, stream, n, 0)
		if err != nil || !bytes.Equal(passed, stream) {
			t.Fatalf("reads of %d: passed %q, err %v", n, passed, err)
		}
		messages, _, _ := f.Counts()
		if !f.Lost() || f.AtBoundary() || messages != 1 {
			t.Errorf("reads of %d: lost %v, boundary %v, %d messages", n, f.Lost(), f.AtBoundary(), messages)
		}
	}
}

func TestFollower_NoAllocationInTheSteadyState(t *testing.T) {
	f := newFollower(t, FromClient, Rules{Validate: true, MaxMessage: 1 << 20, MaxFragments: 10, MessageRate: 1e9, Burst: 1e9})
	nonce := [8]byte{1, 2, 3}
	f.ExpectPong(nonce)
	stream := join(text(FromClient, strings.Repeat("a", 300)), data(FromClient, fin|opPong, nonce[:]), text(FromClient, "z"))
	now := int64(0)
	if n := testing.AllocsPerRun(100, func() {
		now += 1e9
		for i := range stream {
			for rest := stream[i : i+1]; len(rest) > 0; {
				_, rest, _ = f.Feed(rest, now)
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if messages, _, _ := f.Counts(); messages != 202 || !f.PongSeen() {
		t.Errorf("%d messages, pong seen %v", messages, f.PongSeen())
	}
}

// TestFollower_IsSmall guards the memory of idle tunnels, each of which holds two.
func TestFollower_IsSmall(t *testing.T) {
	if size := reflect.TypeFor[Follower]().Size(); size > 104 {
		t.Errorf("a follower has %d bytes", size)
	}
}
