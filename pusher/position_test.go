package pusher

import (
	"math"
	"testing"
)

func FuzzParsePosition(f *testing.F) {
	for _, seed := range []string{
		"abc.1", "abc.0", "abc.01", "abc.", ".1", "abc", "", "abc.18446744073709551615", "abc.18446744073709551616",
		"ABC.1", "abc.+1", "abc.-1", "abc. 1", "a b.1", "abc.1.2", "abc.1_0", "abc.0x1", "é.1",
		"abcdefghijklmnopqrstuvwxyz012345.1", "abcdefghijklmnopqrstuvwxyz0123456.1",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		p, ok := ParsePosition(token)
		if ok && p.String() != token {
			t.Errorf("%q became %q", token, p)
		}
		if !ok && p != (Position{}) {
			t.Errorf("%q gave %v", token, p)
		}
	})
}

func TestPosition_ComesBackAsItWent(t *testing.T) {
	for _, p := range []Position{{"a", 0}, {"0z", 1}, {"abcdefghijklmnopqrstuvwxyz012345", math.MaxUint64}, {NewEpoch(), 42}} {
		if got, ok := ParsePosition(p.String()); !ok || got != p {
			t.Errorf("%v became %v %t", p, got, ok)
		}
	}
}
