package natsbroker

import (
	"strings"
	"testing"
)

func TestKeyToken_EscapesWhatSubjectsRefuse(t *testing.T) {
	for key, want := range map[string]string{
		"plain": "plain", "a.b": "a%2Eb", "*": "%2A", ">": "%3E", "%": "%25", "%2E": "%252E", "a@b": "a@b",
	} {
		if got := keyToken(key); got != want {
			t.Errorf("%q becomes %q, want %q", key, got, want)
		}
	}
}

func FuzzKeyToken(f *testing.F) {
	for _, seed := range []string{"a", "a.b", "*>%.", "%2E", "certs/x@example.com", "%", "%%2"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, key string) {
		token := keyToken(key)
		if strings.ContainsAny(token, ".*>") {
			t.Errorf("%q becomes %q", key, token)
		}
		if got := tokenKey(token); got != key {
			t.Errorf("%q becomes %q and then %q", key, token, got)
		}
	})
}

func FuzzTokenKey(f *testing.F) {
	for _, seed := range []string{"a", "%2E", "%", "%2", "%zz", "%2E%"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) { tokenKey(token) })
}
