package proxy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestConformanceHTTP2 plays every case of HTTP/2 and holds the outcome against
// the verdict.
func TestConformanceHTTP2(t *testing.T) {
	cases := readHTTP2Corpus(t)
	files := freshPair(t, "app.test")
	start := func() *rig { return newRig(t, true, files) }
	pool := newRigs(8, start)
	mistakes := make([]string, len(cases))
	var wg sync.WaitGroup
	for i, c := range cases {
		on := pool
		if c.others {
			on = newRigs(1, start) // what a flood has left under way may come to the backend of the case after it
		}
		wg.Go(func() { mistakes[i] = c.play(on) }) // ends with the script
	}
	wg.Wait()
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if mistakes[i] != "" {
				t.Errorf("%s (RFC %s)\n%s", c.at, c.rfc, mistakes[i])
			}
		})
	}
}

// TestConformanceHTTP2_CorpusIsLargeEnough keeps the corpus from shrinking
// unseen.
func TestConformanceHTTP2_CorpusIsLargeEnough(t *testing.T) {
	if n := len(readHTTP2Corpus(t)); n < 150 {
		t.Errorf("%d cases", n)
	}
}

// play runs the case and returns what is wrong, or "".
func (c http2Case) play(pool rigs) string {
	g := <-pool.free
	defer func() { pool.free <- g }()
	var k *http2Player
	s := c.script.clone()
	seen, err := g.with(s, func(b *scriptedBackend) (err error) {
		k, err = playHTTP2(g.addr, c, b)
		return err
	})
	if k == nil {
		return err.Error()
	}
	mistakes := c.verdict(k, seen)
	if err != nil {
		mistakes = append(mistakes, err.Error())
	}
	if len(mistakes) == 0 {
		return ""
	}
	return strings.Join(mistakes, "\n") + "\n" + k.describe(seen)
}

// verdict lists what is not as the case says.
func (c http2Case) verdict(k *http2Player, seen []*seenRequest) (mistakes []string) {
	r := k.reader
	mistakes = append(mistakes, r.mistakes...)
	wrong := func(format string, args ...any) { mistakes = append(mistakes, fmt.Sprintf(format, args...)) }
	listed := map[uint32]bool{r.probe: true}
	for _, want := range c.streams {
		listed[want.id] = true
		for _, m := range want.compare(r.streams[want.id]) {
			wrong("stream %d: %s", want.id, m)
		}
	}
	for id, got := range r.streams {
		if !listed[id] && !c.others {
			wrong("stream %d: %s, want nothing", id, got)
		}
	}
	if goAway := cmp.Or(r.goAway, "none"); !slices.Contains(c.goAway, goAway) && (len(c.goAway) > 0 || r.goAway != "") {
		wrong("GOAWAY %q, want %q", r.goAway, c.goAway)
	}
	for name, value := range c.settings {
		if got, ok := r.settings[name]; !ok || got != value {
			wrong("SETTINGS %s=%d, want %d", name, got, value)
		}
	}
	if !slices.Contains(c.then, k.fate) {
		wrong("then %s, want %s", k.fate, c.then)
	}
	if c.atMost >= 0 {
		if len(seen) > c.atMost {
			wrong("the backend saw %d requests, at most %d may come", len(seen), c.atMost)
		}
		for _, q := range seen {
			if q.malformed != "" {
				wrong("a request is malformed: %s", q.malformed)
			}
		}
		return mistakes
	}
	return append(mistakes, seenMistakes(c.sees, seen, "https")...)
}

// compare lists what is wrong with a stream by the outcome that it is nearest to.
func (want wantStream) compare(got *http2Stream) (mistakes []string) {
	if got == nil {
		got = &http2Stream{}
	}
	for _, o := range want.outcomes {
		list := o.compare(got)
		if len(list) == 0 && o.status != 0 {
			a := got.answer()
			list = append(want.fields.compare("field", "https", func(name string) []string { return a.fields.Values(name) }),
				want.trailer.compare("trailer field", "https", func(name string) []string { return a.trailer.Values(name) })...)
		}
		if len(list) == 0 {
			return nil
		}
		mistakes = append(mistakes, list...)
	}
	return mistakes
}

func (o wantOutcome) compare(got *http2Stream) (mistakes []string) {
	wrong := func(format string, args ...any) { mistakes = append(mistakes, fmt.Sprintf(format, args...)) }
	var interim []int
	for _, a := range got.answers {
		if a.status < 200 && (a.status != 100 || slices.Contains(o.interim, 100)) {
			interim = append(interim, a.status)
		}
	}
	final := got.answer()
	cut := got.reset != "" && got.reset != "NO_ERROR" // NO_ERROR: the rest of the request is not needed (RFC 9113 §8.1)
	switch {
	case o.nothing:
		if len(got.answers) > 0 || got.reset != "" {
			wrong("%s, want nothing", got)
		}
	case o.reset != "":
		if len(got.answers) > 0 || got.reset != o.reset {
			wrong("%s, want RST_STREAM %s", got, o.reset)
		}
	case final.status != o.status || !slices.Equal(interim, o.interim):
		wrong("%s, want %v %d", got, o.interim, o.status)
	case got.ended == o.cut || cut != o.cut:
		wrong("%s, END_STREAM=%v, want cut=%v", got, got.ended, o.cut)
	case o.body != nil && final.body != *o.body:
		wrong("body %s, want %s", quoteShort(final.body), quoteShort(*o.body))
	}
	return mistakes
}

// String tells what came of a stream.
func (s *http2Stream) String() string {
	var words []string
	for _, a := range s.answers {
		words = append(words, fmt.Sprint(a.status))
	}
	if s.reset != "" {
		words = append(words, "RST_STREAM "+s.reset)
	}
	if len(words) == 0 {
		return "nothing"
	}
	return strings.Join(words, " ")
}

// describe is the exchange, for failures.
func (k *http2Player) describe(seen []*seenRequest) string {
	r := k.reader
	var b strings.Builder
	fmt.Fprintf(&b, "%d frames sent, then %s, GOAWAY %q", k.sent, k.fate, r.goAway)
	for _, f := range r.frames[:min(len(r.frames), 20)] {
		fmt.Fprintf(&b, "\n    %s", f)
	}
	for _, id := range slices.Sorted(maps.Keys(r.streams))[:min(len(r.streams), 5)] {
		s := r.streams[id]
		fmt.Fprintf(&b, "\nstream %d: %s, fields %v, body %s", id, s, s.answer().fields, quoteShort(s.answer().body))
	}
	for i, q := range seen[:min(len(seen), 5)] {
		fmt.Fprintf(&b, "\nbackend saw %d: %s", i+1, q)
	}
	return b.String()
}
