package frame

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestAppendPing_IsLawfulOnEitherSide(t *testing.T) {
	for _, side := range []Side{FromClient, FromBackend} {
		for _, n := range []int{0, 8, 125, 300} {
			payload := bytes.Repeat([]byte("p"), n)
			b := AppendPing([]byte("before"), side, payload)
			frame, ok := bytes.CutPrefix(b, []byte("before"))
			p, complete := parse(frame)
			if !ok || !complete || p.first != fin|opPing || !bytes.Equal(p.payload, payload[:min(n, 125)]) {
				t.Errorf("side %d: %x", side, b)
			}
			if _, err := feedAll(newFollower(t, side, Rules{Validate: true}), frame, 0); err != nil {
				t.Errorf("side %d: %v", side, err)
			}
		}
	}
}

func TestAppendPing_MaskIsFreshEachTime(t *testing.T) {
	keys := map[string]bool{}
	for range 100 {
		keys[string(AppendPing(nil, FromClient, nil)[2:6])] = true
	}
	if len(keys) < 99 {
		t.Errorf("%d different keys in 100 pings", len(keys))
	}
}

func TestAppendClose_IsLawfulOnEitherSide(t *testing.T) {
	cases := []struct {
		code   uint16
		reason string
		want   string
	}{
		{1001, "", "\x03\xe9"},
		{1009, "message too big", "\x03\xf1message too big"},
		{4000, strings.Repeat("r", 123), "\x0f\xa0" + strings.Repeat("r", 123)},
		{4000, strings.Repeat("r", 124), "\x0f\xa0" + strings.Repeat("r", 123)},
		{1000, strings.Repeat("r", 122) + "é", "\x03\xe8" + strings.Repeat("r", 122)},
		{1000, strings.Repeat("r", 120) + "🌍", "\x03\xe8" + strings.Repeat("r", 120)},
		{1005, "left out", ""},
		{1006, "left out", ""},
		{0, "left out", ""},
	}
	for _, side := range []Side{FromClient, FromBackend} {
		for _, c := range cases {
			frame := AppendClose(nil, side, c.code, c.reason)
			p, complete := parse(frame)
			if !complete || p.first != fin|opClose || string(p.payload) != c.want || !utf8.Valid([]byte(c.want[min(2, len(c.want)):])) {
				t.Errorf("%d %q: %x", c.code, c.reason, frame)
			}
			if _, err := feedAll(newFollower(t, side, Rules{Validate: true}), frame, 0); err != nil {
				t.Errorf("%d %q: %v", c.code, c.reason, err)
			}
		}
	}
}

// TestAppendClose_TakesEveryViolation: its code and reason reach the offender
// uncut.
func TestAppendClose_TakesEveryViolation(t *testing.T) {
	for k := badOpcode; k <= tooMany; k++ {
		v := k.violation()
		p, _ := parse(AppendClose(nil, FromClient, v.Code, v.Reason))
		if v.Reason == "" || len(p.payload) != 2+len(v.Reason) || string(p.payload[2:]) != v.Reason {
			t.Errorf("fault %d: %+v became %q", k, v, p.payload)
		}
	}
}
