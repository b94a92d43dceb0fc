package screen

import (
	"strings"
	"testing"
	"time"
	"unicode"
)

func TestFigures_AreShort(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{Bytes(0), "0 B"}, {Bytes(999), "999 B"}, {Bytes(999.6), "1.0 kB"}, {Bytes(1000), "1.0 kB"}, {Bytes(9949), "9.9 kB"}, {Bytes(9950), "10 kB"},
		{Bytes(999499), "999 kB"}, {Bytes(999500), "1.0 MB"}, {Bytes(uint64(1) << 63), "9.2 EB"},
		{Count(0), "0"}, {Count(999), "999"}, {Count(1000), "1,000"}, {Count(1234567), "1,234,567"}, {Count(-1234), "-1,234"},
		{Rate(0), "0"}, {Rate(0.04), "0.0"}, {Rate(9.94), "9.9"}, {Rate(9.96), "10"}, {Rate(12345.6), "12,346"},
		{Age(-time.Second), "0s"}, {Age(59999 * time.Millisecond), "59s"}, {Age(time.Minute), "1m0s"}, {Age(time.Hour), "1h0m"},
		{Age(24 * time.Hour), "1d0h"}, {Age(100 * 24 * time.Hour), "100d"},
		{Left(noon, noon), "expired"}, {Left(noon, noon.Add(47*time.Hour)), "1d23h"}, {Left(noon, noon.Add(49*time.Hour)), "2 days"},
		{Ping(0), "-"}, {Ping(0.0004), "0.4 ms"}, {Ping(0.25), "250 ms"}, {Ping(12), "12 s"},
		{plural(1, "tunnel", "tunnels"), "1 tunnel"}, {plural(1200, "tunnel", "tunnels"), "1,200 tunnels"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

func TestTable_WideCharactersKeepTheColumns(t *testing.T) {
	table := Table{Columns: []Column{{Head: "NAME", Least: 4}, {Head: "N", Right: true}}}
	table.Row("日本語の名前", "1")
	table.Row("plain", "22")
	for _, width := range []int{0, 16, 12, 8} {
		s := Style{Width: width}
		all := table.Lines(s)
		for _, line := range all[1:] {
			if textWidth(line) != textWidth(all[1]) || width > 0 && textWidth(line) > width {
				t.Errorf("width %d: %q", width, all)
			}
		}
	}
}

func FuzzClean(f *testing.F) {
	for _, s := range []string{"", "plain", "\x1b[31m", "\u009b", "\u202e", "日本", "\xff", "a\nb"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Clean(s)
		if strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q becomes %q", s, got)
		}
		if Clean(got) != got {
			t.Errorf("%q is not clean", got)
		}
	})
}
