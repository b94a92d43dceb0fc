package proxy

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestConformance plays every case of the corpus by plain HTTP and by TLS, and
// holds the outcome against the verdict.
func TestConformance(t *testing.T) {
	cases := readCorpus(t)
	files := freshPair(t, "app.test")
	for _, secure := range []bool{false, true} {
		pool := newRigs(8, func() *rig { return newRig(t, secure, files) })
		scheme := "http"
		if secure {
			scheme = "https"
		}
		var wg sync.WaitGroup
		mistakes := make([]string, len(cases))
		for i, c := range cases {
			wg.Go(func() { mistakes[i] = c.play(pool, scheme) }) // ends with the script
		}
		wg.Wait()
		for i, c := range cases {
			t.Run(scheme+"/"+c.name, func(t *testing.T) {
				if mistakes[i] != "" {
					t.Errorf("%s (RFC %s)\n%s", c.at, c.rfc, mistakes[i])
				}
			})
		}
	}
}

// TestConformance_CorpusIsLargeEnough keeps the corpus from shrinking unseen.
func TestConformance_CorpusIsLargeEnough(t *testing.T) {
	if n := len(readCorpus(t)); n < 150 {
		t.Errorf("%d cases", n)
	}
}

// play runs the case and returns what is wrong, or "".
func (c conformanceCase) play(pool rigs, scheme string) string {
	begin := time.Now()
	o, err := pool.run(c.script, nil)
	if err != nil {
		return fmt.Sprintf("%v\n%s", err, o)
	}
	if mistakes := c.verdict(o, scheme); len(mistakes) > 0 {
		return fmt.Sprintf("%s\n%s\nafter %v", strings.Join(mistakes, "\n"), o, time.Since(begin))
	}
	return ""
}

// verdict lists what is not as the case says.
func (c conformanceCase) verdict(o *observation, scheme string) (mistakes []string) {
	wrong := func(format string, args ...any) { mistakes = append(mistakes, fmt.Sprintf(format, args...)) }
	got, gets := c.listed(o.answers), c.gets
	if len(got) < len(gets) {
		gets = slices.DeleteFunc(slices.Clone(gets), func(want wantAnswer) bool { return want.optional })
	}
	if len(got) != len(gets) {
		wrong("the client got %d answers, want %d", len(got), len(gets))
	}
	for i := range min(len(got), len(gets)) {
		for _, m := range gets[i].compare(got[i], scheme) {
			wrong("answer %d: %s", i+1, m)
		}
	}
	if !slices.Contains(c.then, o.then) {
		wrong("then %s, want %s", o.then, c.then)
	}
	if o.raw != c.raw {
		wrong("through the tunnel came %s, want %s", quoteShort(o.raw), quoteShort(c.raw))
	}
	return append(mistakes, seenMistakes(c.sees, o.seen, scheme)...)
}

// seenMistakes lists what a backend saw that it must not have, and the reverse.
func seenMistakes(want []wantRequest, seen []*seenRequest, scheme string) (mistakes []string) {
	wrong := func(format string, args ...any) { mistakes = append(mistakes, fmt.Sprintf(format, args...)) }
	if len(seen) != len(want) {
		wrong("the backend saw %d requests, want %d", len(seen), len(want))
	}
	for i := range min(len(seen), len(want)) {
		for _, m := range want[i].compare(seen[i], scheme) {
			wrong("request %d: %s", i+1, m)
		}
	}
	for i, q := range seen {
		if q.malformed != "" {
			wrong("request %d is malformed: %s", i+1, q.malformed)
		}
	}
	return mistakes
}

// listed leaves out each 100 that the case does not ask for: a server may
// always send one to a client that expects it (RFC 9110 §10.1.1).
func (c conformanceCase) listed(answers []gotAnswer) []gotAnswer {
	for _, want := range c.gets {
		if want.statuses[0] == http.StatusContinue {
			return answers
		}
	}
	return withoutContinue(answers)
}

func withoutContinue(answers []gotAnswer) []gotAnswer {
	return slices.DeleteFunc(slices.Clone(answers), func(a gotAnswer) bool { return a.status == http.StatusContinue })
}

func (want wantAnswer) compare(got gotAnswer, scheme string) (mistakes []string) {
	if !slices.Contains(want.statuses, got.status) {
		mistakes = append(mistakes, fmt.Sprintf("status %d, want %d", got.status, want.statuses))
	}
	if want.cut != got.cut {
		mistakes = append(mistakes, fmt.Sprintf("cut=%v, want %v", got.cut, want.cut))
	}
	if want.body != nil && *want.body != got.body {
		mistakes = append(mistakes, fmt.Sprintf("body %s, want %s", quoteShort(got.body), quoteShort(*want.body)))
	}
	mistakes = append(mistakes, want.fields.compare("field", scheme, func(name string) []string { return got.fields.Values(name) })...)
	return append(mistakes, want.trailer.compare("trailer field", scheme, func(name string) []string { return got.trailer.Values(name) })...)
}

func (want wantRequest) compare(got *seenRequest, scheme string) (mistakes []string) {
	wrong := func(format string, args ...any) { mistakes = append(mistakes, fmt.Sprintf(format, args...)) }
	if got.push != want.push || got.method != want.method || got.target != want.target {
		wrong("%s %s push=%v, want %s %s push=%v", got.method, got.target, got.push, want.method, want.target, want.push)
	}
	if !want.early && got.whole == want.cut {
		wrong("whole=%v, want %v", got.whole, !want.cut)
	}
	if want.reused && !got.reused || want.fresh && got.reused {
		wrong("reused=%v, want %v", got.reused, want.reused)
	}
	if want.body != nil && *want.body != got.body {
		wrong("body %s, want %s", quoteShort(got.body), quoteShort(*want.body))
	}
	if want.raw != nil && *want.raw != got.raw {
		wrong("through the tunnel came %s, want %s", quoteShort(got.raw), quoteShort(*want.raw))
	}
	mistakes = append(mistakes, want.fields.compare("field", scheme, func(name string) []string { return valuesOf(got.fields, name) })...)
	return append(mistakes, want.trailer.compare("trailer field", scheme, func(name string) []string { return valuesOf(got.trailer, name) })...)
}

func (want wantFields) compare(kind, scheme string, values func(name string) []string) (mistakes []string) {
	for name, expected := range want {
		got := values(name)
		expected = slices.Clone(expected)
		for i := range expected {
			expected[i] = strings.ReplaceAll(expected[i], "{scheme}", scheme)
			if expected[i] == "*" && i < len(got) {
				expected[i] = got[i]
			}
		}
		if !slices.Equal(got, expected) {
			mistakes = append(mistakes, fmt.Sprintf("%s %s: %q, want %q", kind, name, got, expected))
		}
	}
	return mistakes
}
