package config

import (
	"strings"
	"testing"
	"time"
)

func TestParseSize(t *testing.T) {
	for s, want := range map[string]int64{"1": 1, "65536": 65536, "12B": 12, "64KiB": 64 << 10, "100 MiB": 100 << 20, "1GiB": 1 << 30, "8388607TiB": 8388607 << 40} {
		if got, err := parseSize(s); got != want || err != nil {
			t.Errorf("%s: got %d, %v; want %d", s, got, err, want)
		}
	}
	for s, remedy := range map[string]string{"100MB": "write 100MiB", "5k": "write 5KiB", "3x": "KiB, MiB or GiB", "8388608TiB": "more than can be counted", "0": "remove the key"} {
		if got, err := parseSize(s); err == nil || !strings.Contains(err.Error(), remedy) {
			t.Errorf("%s: got %d, %v; want %q", s, got, err, remedy)
		}
	}
}

func TestParseCount(t *testing.T) {
	for s, want := range map[string]int64{"1": 1, "1000": 1000, "007": 7, "2147483647": 2147483647} {
		if got, err := parseCount(s); got != want || err != nil {
			t.Errorf("%s: got %d, %v; want %d", s, got, err, want)
		}
	}
	for s, remedy := range map[string]string{
		"2147483648": "more than can be counted", "99999999999999999999": "more than can be counted", "0": "remove the key",
		"-1": "a whole one", "+1": "a whole one", "1.5": "a whole one", "1_000": "a whole one", "0x10": "a whole one", "": "a whole one",
	} {
		if got, err := parseCount(s); got != 0 || err == nil || !strings.Contains(err.Error(), remedy) {
			t.Errorf("%s: got %d, %v; want %q", s, got, err, remedy)
		}
	}
}

func TestParseDuration(t *testing.T) {
	for s, want := range map[string]time.Duration{"30s": 30 * time.Second, "1h30m": 90 * time.Minute, "0": 0, "365d": 8760 * time.Hour, "-1s": -time.Second} {
		if got, err := parseDuration(s); got != want || err != nil {
			t.Errorf("%s: got %v, %v; want %v", s, got, err, want)
		}
	}
	for s, remedy := range map[string]string{"30": "write 30s, 30m or 30h", "40000d": "a number with a unit", "soon": "a number with a unit"} {
		if got, err := parseDuration(s); err == nil || !strings.Contains(err.Error(), remedy) {
			t.Errorf("%s: got %v, %v; want %q", s, got, err, remedy)
		}
	}
}

func TestDistance_CountsASwapAsOne(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"tls", "tls", 0}, {"tsl", "tls", 1}, {"host", "hosts", 1}, {"tunel", "tunnel", 1}, {"", "app", 3}, {"path", "push", 2}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("%s to %s: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
