package pusher

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func FuzzParseChannels(f *testing.F) {
	for _, seed := range []string{"", "board", "board, user.7", "a%2Cb ,, c", "%", "a%zz", "user.*", " \t,", "a\x00b", "%2C%2c", manyNames(101)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		names, err := parseChannels(value)
		if err != nil {
			if err.Error() == "" {
				t.Error("no word of what to write")
			}
			return
		}
		if names == nil || len(names) > maxGranted {
			t.Fatalf("%d names, nil: %v", len(names), names == nil)
		}
		for i, name := range names {
			if !validChannel(name) || slices.Contains(names[:i], name) {
				t.Errorf("%q gives %q", value, names)
			}
		}
		if again, err := parseChannels(writeChannels(names)); err != nil || !slices.Equal(again, names) {
			t.Errorf("%q written and read again: %q %v", names, again, err)
		}
	})
}

func FuzzParseExpires(f *testing.F) {
	for _, seed := range []string{"", "0", "3600", "-1", "+5", "1e3", "315360000", "315360001", "1790000000", "99999999999999999999",
		"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "2026-01-01T00:00:00Z", "soon"} {
		f.Add(seed)
	}
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, value string) {
		expires, err := parseExpires(value, now)
		switch {
		case err != nil:
			if !expires.IsZero() || !strings.Contains(err.Error(), "write") {
				t.Errorf("%q: %s, %v", value, expires, err)
			}
		case value == "":
			if !expires.IsZero() {
				t.Errorf("nothing means %s", expires)
			}
		case strings.Trim(value, "0123456789") == "":
			if expires.Before(now) || expires.After(now.Add(maxExpires)) {
				t.Errorf("%q means %s", value, expires)
			}
		default:
			if _, err := http.ParseTime(value); err != nil {
				t.Errorf("%q was taken for %s", value, expires)
			}
		}
	})
}

func FuzzReadAdmission(f *testing.F) {
	f.Add("board", "7", `{"name":"Ann"}`, "60", "Hallo%20du")
	f.Add("", "J\xfcrgen", "{", "x", "%")
	f.Fuzz(func(t *testing.T, channels, user, info, expires, greeting string) {
		a, err := readAdmission(http.Header{"X-Push-Channels": {channels}, "X-Push-User": {user}, "X-Push-Info": {info},
			"X-Push-Expires": {expires}, "X-Push-Greeting": {greeting}}, time.Now())
		if err != nil {
			return
		}
		if a.Channels == nil || !utf8.ValidString(a.User) || len(a.User) > maxUser || !utf8.ValidString(a.Greeting) ||
			len(a.Info) > maxInfo || a.Info != nil && (!json.Valid(a.Info) || strings.ContainsAny(string(a.Info), "\r\n")) {
			t.Errorf("got %+v", a)
		}
	})
}

func FuzzCookieNames(f *testing.F) {
	for _, seed := range []string{"a=b", "a=b; c=d", "s3cr3t", "=s3cr3t", ";;=;", "a=1;a=2", "\xff=\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header["Cookie"] = []string{line}
		for _, name := range cookieNames(r) {
			if name != "..." && !strings.HasSuffix(name, "...") && !strings.Contains(line, name+"=") {
				t.Errorf("%q is no name in %q", name, line)
			}
		}
	})
}
