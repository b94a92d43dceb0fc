package proxy

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// What Debian's htpasswd wrote (apache2-utils 2.4): -B, -B -C 4, -m and -s.
const (
	annLine  = "ann:$2y$05$uBiSILO4rh5.ASynjMUjfOKcmZ9HXqnuIRKBO9Gp8knD..NIRYk1."
	bobLine  = "bob:$2y$05$VfiWcHmy1uOKR8DEQwqQLepg/rodHCGCBfH4zX6VWZkNu/IwTZlcq"
	longLine = "long:$2y$04$hMIlWnIBelRAju1FvOJnz.dAJRbnXw7YXvhI6MSIboJs191YsFB7u"
	eveLine  = "eve:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="

	annPassword = "open sesame"
)

// md5Lines are those of -m, for passwords of lengths that it treats in different
// ways.
var md5Lines = []struct{ line, password string }{
	{"u:$apr1$OIG7Am0n$PZyI2Yqjls9iQOQfuijvb/", ""},
	{"u:$apr1$olUVeGK5$FZXQjAfWD8pP7CWLiqcTp.", "a"},
	{"u:$apr1$s0X/Dczd$KHqvv4Pms0ilSLdIVOREe1", "secret"},
	{"u:$apr1$6M6wSmF2$qQzqd4nHhitXH6.Gkspbt/", "pass phrase"},
	{"u:$apr1$97eH4XUl$Z0a/kefXGkFzGctNyGwvB/", strings.Repeat("a", 16)},
	{"u:$apr1$CioCkXQJ$.pKeu1Ijk2rhUAMMCUlua.", strings.Repeat("b", 17)},
	{"u:$apr1$dCm9fCuJ$ePAJYyT2QCEkkNg8o1ZGQ/", strings.Repeat("x", 100)},
	{"u:$apr1$zheB8XL0$.0nT7cI4VzFwKcbk6yLCR.", "pä$$:wörd"},
}

func TestHtpasswd_TakesWhatApachesToolWrites(t *testing.T) {
	type entry struct{ line, password string }
	entries := []entry{{annLine, annPassword}, {bobLine, "other"}, {eveLine, "secret"}, {longLine, strings.Repeat("x", 80)}}
	for _, e := range md5Lines {
		entries = append(entries, entry(e))
	}
	for _, e := range entries {
		h, err := parseHtpasswd("htpasswd", []byte("# users\n\n "+e.line+":more\r\n"+e.line[:1]+"x:"+strings.SplitN(e.line, ":", 2)[1]))
		if err != nil {
			t.Fatalf("%s: %v", e.line, err)
		}
		name, _, _ := strings.Cut(e.line, ":")
		for password, want := range map[string]bool{e.password: true, "x" + e.password: len(e.password) == 80, e.password + "\x00": len(e.password) == 80, "wrong": false} {
			if got := h.verify([]byte(name), []byte(password)); got != want {
				t.Errorf("%s with %q: %v", e.line, password, got)
			}
		}
		if h.verify([]byte("nobody"), []byte(e.password)) {
			t.Errorf("%s lets nobody in", e.line)
		}
	}
}

func TestHtpasswd_FirstLineOfAUserCounts(t *testing.T) {
	_, hash, _ := strings.Cut(bobLine, ":")
	h, err := parseHtpasswd("htpasswd", []byte(annLine+"\nann:"+hash))
	if err != nil || !h.verify([]byte("ann"), []byte(annPassword)) || h.verify([]byte("ann"), []byte("other")) {
		t.Errorf("the second line counts, or %v", err)
	}
}

func TestHtpasswd_OtherFormsAreRefusedWithTheCommandToWrite(t *testing.T) {
	const notSupported = "f:2: the password of u is in plain text or in a form of crypt, which are not supported; write it anew by: htpasswd -B f u"
	const notWhole = "f:2: the password of u is not whole; write it anew by: htpasswd -B f u"
	for line, want := range map[string]string{
		"u:secret":        notSupported,
		"u:iT0BgSSKf2dFs": notSupported, // -d
		"u:$5$xWg9jAyR0NMglfVt$uvugHlS1OAGhmV3QfdhFAhrJ5cA/Xz4q773GjMlVsd2": notSupported, // -2
		"u:$1$abcdefgh$PZyI2Yqjls9iQOQfuijvb/":                              notSupported,
		"u:":                                                                notSupported,
		"u:$2y$05$uBiSILO4rh5.ASynjMUjfO":                                   notWhole,
		"u:$2x$05" + annLine[len("ann:$2y$05"):]:                            notWhole,
		"u:" + annLine[len("ann:"):len(annLine)-1] + "!":                    notWhole,
		"u:$apr1$OIG7Am0n$PZyI2Yqjls9iQOQfuijvb":                            notWhole,
		"u:$apr1$OIG7Am0nX$PZyI2Yqjls9iQOQfuijvb/":                          notWhole,
		"u:{SHA}5en6G6MezRroT3XKqkdPOmY":                                    notWhole,
		"u:$2y$18" + annLine[len("ann:$2y$05"):]:                            "f:2: the password of u has a cost of 18, which takes minutes; write it anew by: htpasswd -B f u",
		"just a line":                                                       "f:2: this is no line of a password file; write one by: htpasswd -B f NAME",
		":" + annLine:                                                       "f:2: this is no line of a password file; write one by: htpasswd -B f NAME",
		"a\x01b:" + annLine[4:]:                                             "f:2: this is no line of a password file; write one by: htpasswd -B f NAME",
		strings.Repeat("u", 256) + ":":                                      "f:2: the name is longer than 255 bytes; write a shorter one",
	} {
		if _, err := parseHtpasswd("f", []byte(annLine+"\n"+line+"\n")); err == nil || err.Error() != want {
			t.Errorf("%q: %v\nwant %s", line, err, want)
		}
	}
	for _, empty := range []string{"", "# nobody\n\n"} {
		if _, err := parseHtpasswd("f", []byte(empty)); err == nil || !strings.Contains(err.Error(), "holds no user; write one by: htpasswd -B f NAME") {
			t.Errorf("%q: %v", empty, err)
		}
	}
}

// Who is told apart by the time of an answer can be guessed one by one. Without
// the check of another's password the quickest refusal would take a thousandth.
func TestHtpasswd_EachRefusalTakesAsLong(t *testing.T) {
	slow := "slow:$2y$07" + annLine[len("ann:$2y$05"):] // right for no password
	h, err := parseHtpasswd("f", []byte(strings.Join([]string{eveLine, md5Lines[0].line, slow}, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	least := func(name string) time.Duration {
		best := time.Hour
		for range 3 {
			begin := time.Now()
			if h.verify([]byte(name), []byte("wrong")) {
				t.Fatalf("%s was let in", name)
			}
			best = min(best, time.Since(begin))
		}
		return best
	}
	slowest := least("slow")
	for _, name := range []string{"nobody", "eve", "u", ""} {
		if took := least(name); took < slowest/10 {
			t.Errorf("%q is refused after %v, slow after %v", name, took, slowest)
		}
	}
}

func FuzzHtpasswd(f *testing.F) {
	f.Add(annLine + "\n" + eveLine + "\r\n#x\n\n" + md5Lines[2].line + ":more")
	f.Add("u:$apr1$$" + strings.Repeat(".", 22))
	f.Add("u:$2y$04$" + strings.Repeat(".", 53))
	f.Add("u:$2$04$" + strings.Repeat("/", 53))
	f.Add("a:{SHA}=\nb:secret\n:\n\x00:\xff")
	f.Add("a:{SHA}000000000000000000000000000=\r:")
	f.Fuzz(func(t *testing.T, text string) {
		h, err := parseHtpasswd("f", []byte(text))
		if err != nil {
			if h != nil || !strings.Contains(err.Error(), "write") || strings.ContainsAny(err.Error(), "\r\n") {
				t.Errorf("%v, %q", h, err)
			}
			return
		}
		if len(h.users) == 0 || h.slowest.text == "" {
			t.Error("accepted without a user")
		}
		checked := 0
		for name, hash := range h.users {
			if name == "" || strings.ContainsAny(name, ":\r\n") || hasControl(name) || len(name) > maxCredential {
				t.Errorf("user %q", name)
			}
			if again, err := parseHtpasswd("f", fmt.Appendf(nil, "%s:%s", name, hash.text)); err != nil || again.users[name] != hash {
				t.Errorf("%q comes back as %v, %v", name, again, err)
			}
			if checked++; checked == 1 && hash.work <= 1+4 { // the others take long
				hash.matches([]byte("secret"))
			}
		}
	})
}
