package proxy

import (
	"net/url"
	"path"
	"strings"
	"testing"
)

func TestCleanPath(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"/", "/"},
		{"/a/b", "/a/b"},
		{"/a/b/", "/a/b/"},
		{"//a///b", "/a/b"},
		{"/a/./b/.", "/a/b/"},
		{"/a/../b", "/b"},
		{"/a/b/..", "/a/"},
		{"/a/%2e%2e/b", "/b"},
		{"/a/%2E./b", "/b"},
		{"/websocket/%2e%2e/admin", "/admin"},
		{"/%77ebsocket", "/websocket"},
		{"/a%2fb", "/a%2Fb"},
		{"/a%5cb", "/a%5Cb"},
		{"/a\\b", "/a%5Cb"},
		{"/..%2fadmin", "/..%2Fadmin"},
		{"/na%C3%AFve", "/na%C3%AFve"},
		{"/naïve", "/na%C3%AFve"},
		{"/a%3bb;c", "/a%3Bb;c"},
		{"/.hidden", "/.hidden"},
		{"/...", "/..."},
		{"/a b", "/a%20b"},
	} {
		if got, err := cleanPath(c.in); got != c.want || err != nil {
			t.Errorf("cleanPath(%q) = %q, %v; want %q", c.in, got, err, c.want)
		}
	}
	for _, c := range []struct {
		in   string
		want error
	}{
		{"", errPathForm},
		{"*", errPathForm},
		{"a", errPathForm},
		{"/%", errPathForm},
		{"/%4", errPathForm},
		{"/%zz", errPathForm},
		{"/..", errPathEscapes},
		{"/a/../../b", errPathEscapes},
		{"/%2e%2e/b", errPathEscapes},
		{"/a%00b", errPathControl},
		{"/a%0d%0ab", errPathControl},
		{"/a\x7fb", errPathControl},
	} {
		if got, err := cleanPath(c.in); err != c.want {
			t.Errorf("cleanPath(%q) = %q, %v; want error %v", c.in, got, err, c.want)
		}
	}
}

// The clean form is one that no further cleaning changes, and means what the
// path means to a backend that decodes and resolves it.
func FuzzCleanPath(f *testing.F) {
	for _, seed := range []string{"/", "/a/../b", "//a", "/%2e%2e/x", "/a%2Fb/../c", "/..;/a", "/a/./.", "/%41%c3%28", "/a//../b/", "/\x80", "/.."} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		clean, err := cleanPath(in)
		if err != nil {
			return
		}
		if again, err := cleanPath(clean); again != clean || err != nil {
			t.Fatalf("%q is cleaned to %q, and that to %q, %v", in, clean, again, err)
		}
		for s := range strings.SplitSeq(strings.TrimSuffix(clean[1:], "/"), "/") {
			if s == "." || s == ".." || s == "" && clean != "/" {
				t.Fatalf("%q is cleaned to %q", in, clean)
			}
		}
		if upper := strings.ToUpper(in); strings.Contains(upper, "%2F") || strings.ContainsAny(upper, "\\") || strings.Contains(upper, "%5C") {
			return // parts no segments here, as it may at a backend: see Route.EncodedSlashes
		}
		backend, err := url.PathUnescape(in)
		if err != nil {
			t.Fatalf("%q was taken, but is no path to net/url: %v", in, err)
		}
		ours, err := url.PathUnescape(clean)
		if err != nil {
			t.Fatal(err)
		}
		if want := path.Clean(backend); path.Clean(ours) != want {
			t.Fatalf("%q is cleaned to %q, which means %q; a backend takes it for %q", in, clean, ours, want)
		}
	})
}

func BenchmarkCleanPath(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := cleanPath("/static/js/jquery.min.js"); err != nil {
			b.Fatal(err)
		}
	}
}
