package frame

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
)

func TestFollower_ClosedKnowsTheCode(t *testing.T) {
	cases := []struct {
		payload string
		code    uint16
	}{
		{"", 1005},
		{"\x03\xe8", 1000},
		{"\x0f\xa0enough", 4000},
		{"\x0f\xa0" + strings.Repeat("r", 123), 4000},
		// Unlawful ones pass as they are where nothing is validated.
		{"\x03", 1005},
		{"\x00\x00", 0},
		{"\x03\xeebroken", 1006},
	}
	for _, c := range cases {
		for _, side := range []Side{FromClient, FromBackend} {
			frame := data(side, fin|opClose, []byte(c.payload))
			for n := 1; n <= len(frame); n++ {
				f := newFollower(t, side, Rules{})
				if passed, err := feedSplit(f, frame[:len(frame)-1], n, 0); len(passed) != 0 || err != nil {
					t.Fatalf("%q in reads of %d: %x passed early, err %v", c.payload, n, passed, err)
				}
				if _, ok := f.Closed(); ok {
					t.Fatalf("%q: closed before the frame passed", c.payload)
				}
				passed, err := feedAll(f, frame[len(frame)-1:], 0)
				if err != nil || !bytes.Equal(passed, frame) {
					t.Fatalf("%q in reads of %d: passed %x of %x, err %v", c.payload, n, passed, frame, err)
				}
				if code, ok := f.Closed(); !ok || code != c.code || f.whole != nil {
					t.Errorf("%q in reads of %d: closed with %d, %v", c.payload, n, code, ok)
				}
				if got, want := f.CloseReason(), c.payload[min(2, len(c.payload)):]; got != want {
					t.Errorf("%q in reads of %d: closed for the reason %q", c.payload, n, got)
				}
			}
		}
	}
}

func TestFollower_FirstCloseCounts(t *testing.T) {
	f := newFollower(t, FromBackend, Rules{Validate: true})
	stream := join(data(FromBackend, fin|opClose, []byte{3, 233, 'a'}), data(FromBackend, fin|opPong, nil), data(FromBackend, fin|opClose, []byte{3, 232, 'b'}))
	if _, err := feedAll(f, stream, 0); err != nil {
		t.Fatal(err)
	}
	if code, ok := f.Closed(); !ok || code != 1001 || f.CloseReason() != "a" {
		t.Errorf("closed with %d %q, %v", code, f.CloseReason(), ok)
	}
}

func TestRules_ValidateJudgesCloseFrames(t *testing.T) {
	code := func(n uint16) string { return string(binary.BigEndian.AppendUint16(nil, n)) }
	good := []string{"", code(1000), code(1003), code(1007), code(1014), code(3000), code(4999), code(1001) + "grüße 🌍"}
	bad := map[string]string{
		"\x03":     "half a status code",
		code(0):    "must not be sent",
		code(999):  "must not be sent",
		code(1004): "must not be sent",
		code(1005): "must not be sent",
		code(1006): "must not be sent",
		code(1015): "must not be sent",
		code(1016): "must not be sent",
		code(2999): "must not be sent",
		code(5000): "must not be sent",
		code(1000) + "\xff and much more that follows": "not UTF-8",
		code(1000) + "cut\xc3":                         "not UTF-8",
	}
	for _, side := range []Side{FromClient, FromBackend} {
		for _, n := range []int{1, 5, 1000} {
			for _, payload := range good {
				f := newFollower(t, side, Rules{Validate: true})
				frame := data(side, fin|opClose, []byte(payload))
				if passed, err := feedSplit(f, frame, n, 0); err != nil || !bytes.Equal(passed, frame) {
					t.Errorf("%q: passed %x, %v", payload, passed, err)
				}
			}
			for payload, reason := range bad {
				f := newFollower(t, side, Rules{Validate: true})
				passed, err := feedSplit(f, data(side, fin|opClose, []byte(payload)), n, 0)
				checkViolation(t, err, 1002, reason)
				if _, ok := f.Closed(); ok || len(passed) != 0 || !f.AtBoundary() {
					t.Errorf("%q: passed %x, closed %v", payload, passed, ok)
				}
			}
		}
	}
}
