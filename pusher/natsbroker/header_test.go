package natsbroker

import (
	"testing"
	"time"
)

func TestRecord_GoesThroughTheHeader(t *testing.T) {
	for want, r := range map[string]record{
		"t 0 0 0":                    {kind: kindText},
		"b 12 345 1700000000123":     {kind: kindBinary, prev: 12, total: 345, expires: time.UnixMilli(1700000000123)},
		"p 18446744073709551615 1 0": {kind: kindPurge, prev: 1<<64 - 1, total: 1},
	} {
		if got := r.String(); got != want {
			t.Errorf("%+v is %q, want %q", r, got, want)
		}
		if got, ok := parseRecord(want); !ok || got != r {
			t.Errorf("%q is %+v, %v, want %+v", want, got, ok, r)
		}
	}
}

func FuzzParseRecord(f *testing.F) {
	for _, seed := range []string{"t 0 0 0", "b 1 2 3", "p 5 6 0", "", "t", "x 0 0 0", "t -1 0 0", "t 0 -1 0", "t 0 0 -1", "t 0 0", "t 0 0 0 0", "tt 0 0 0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, ok := parseRecord(s)
		if !ok {
			return
		}
		if again, ok := parseRecord(r.String()); !ok || again != r {
			t.Errorf("%q becomes %+v and then %+v, %v", s, r, again, ok)
		}
	})
}
