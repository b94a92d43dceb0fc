package config

import (
	"errors"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
)

func FuzzParse(f *testing.F) {
	for _, dir := range []string{"good", "bad"} {
		for _, path := range yamlFiles(f, dir) {
			data, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse("wsfront.yaml", data)
		if err == nil {
			if err := file.Validate(); err != nil {
				t.Errorf("accepted, but %v", err)
			}
			if _, err := file.proxy(placeholder); err != nil {
				t.Errorf("accepted, but %v", err)
			}
			return
		}
		var problems Problems
		if !errors.As(err, &problems) || len(problems) == 0 {
			t.Fatalf("no problems in %v", err)
		}
		for i, p := range problems {
			if p.File != "wsfront.yaml" || p.Line < 1 || p.Column < 1 || p.Message == "" {
				t.Errorf("no position or message: %#v", p)
			}
			if i > 0 && problems[i-1].Line > p.Line {
				t.Errorf("not in order: %v before %v", problems[i-1].Position, p.Position)
			}
			if p.Line > strings.Count(string(data), "\n")+1 {
				t.Errorf("line %d is behind the end", p.Line)
			}
		}
		_ = err.Error()
	})
}

func FuzzParseSize(f *testing.F) {
	for _, s := range []string{"1", "64KiB", "100 MiB", "9007199254740992KiB", "8388608TiB", "8388607TiB", "1.5GiB", "-1", "10MB", "KiB", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := parseSize(s)
		if err == nil && n <= 0 || err != nil && n != 0 {
			t.Errorf("%q is %d, %v", s, n, err)
		}
	})
}

func FuzzParseCount(f *testing.F) {
	for _, s := range []string{"1", "1000", "0", "-1", "1.5", "1_000", "0x10", "2147483647", "2147483648", "10/s", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := parseCount(s)
		if err != nil {
			if n != 0 || !strings.Contains(err.Error(), "write ") {
				t.Errorf("%q is %d, %v", s, n, err)
			}
			return
		}
		if again, err := parseCount(strconv.FormatInt(n, 10)); n < 1 || again != n || err != nil {
			t.Errorf("%q is %d, which is %d, %v", s, n, again, err)
		}
	})
}

func FuzzParseDuration(f *testing.F) {
	for _, s := range []string{"30s", "1h30m", "365d", "36501d", "99999999999h", "-5s", "10", "1.5", "d", "1 year", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := parseDuration(s)
		if err != nil {
			if d != 0 || !strings.Contains(err.Error(), "write ") {
				t.Errorf("%q is %v, %v", s, d, err)
			}
			return
		}
		if again, err := parseDuration(d.String()); again != d || err != nil {
			t.Errorf("%q is %v, which is %v, %v", s, d, again, err)
		}
	})
}

func FuzzParsePrefix(f *testing.F) {
	for _, s := range []string{"10.0.0.0/8", "10.0.0.1", "::1", "2001:db8::/32", "10.0.0.1/8", "fe80::1%eth0", "10.0.0.0/33", "x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parsePrefix(s)
		if err == nil && (!p.IsValid() || p != p.Masked()) || err != nil && p != (netip.Prefix{}) {
			t.Errorf("%q is %v, %v", s, p, err)
		}
	})
}
