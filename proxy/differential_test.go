package proxy

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// randomExchanges is how many seeds TestDifferential_Random plays.
var randomExchanges = flag.Int("differential", 400, "random exchanges that are sent through both ways")

// TestDifferential_Corpus plays every case through both ways, its writes cut
// at random, and compares what came of it.
func TestDifferential_Corpus(t *testing.T) {
	cases := readCorpus(t)
	compareWays(t, len(cases), func(i int) (string, script) {
		c := cases[i]
		if c.differs != "" {
			return "", script{}
		}
		return c.at + " " + c.name, c.script
	})
}

// TestDifferential_Random sends random requests and answers through both ways.
// The number in a failure's name is the seed that repeats it.
func TestDifferential_Random(t *testing.T) {
	compareWays(t, *randomExchanges, func(i int) (string, script) {
		return fmt.Sprintf("seed %d", i), randomScript(uint64(i))
	})
}

// compareWays plays count scripts through both ways; one without a name is left
// out. The reference is allowed what leniency says of it, if the other way
// refuses; cases of the corpus say themselves where they differ otherwise.
func compareWays(t *testing.T, count int, choose func(i int) (name string, s script)) {
	reference, other := bothWays(t)
	differences := make([]string, count)
	names := make([]string, count)
	var wg sync.WaitGroup
	for i := range count {
		var s script
		if names[i], s = choose(i); names[i] == "" {
			continue
		}
		wg.Go(func() { differences[i] = compareScript(s, uint64(i), reference, other) }) // ends with the script
	}
	wg.Wait()
	for i, name := range names {
		if differences[i] != "" {
			t.Errorf("%s\n%s", name, differences[i])
		}
	}
}

// bothWays are pools of fronts with another reader, that of net/http, and with
// ours.
func bothWays(t testing.TB) (reference, other rigs) {
	return newRigs(8, func() *rig { return newReference(t) }), newRigs(8, func() *rig { return newRig(t, false, TLS{}) })
}

// compareScript plays a script through both ways and returns how they differ,
// or "".
func compareScript(s script, seed uint64, reference, other rigs) string {
	var seen [2]*observation
	var failed [2]error
	for i, pool := range []rigs{reference, other} {
		split := randomSplit(rand.New(rand.NewPCG(seed, 1)))
		seen[i], failed[i] = pool.run(s, split)
	}
	if err := errors.Join(failed[0], failed[1]); err != nil {
		return fmt.Sprintf("%v\nreference: %s\nother: %s", err, seen[0], seen[1])
	}
	differences := compareObservations(seen[0], seen[1])
	if seen[1].then == "stuck" {
		differences = append(differences, "nothing came any more")
	}
	if len(differences) == 0 {
		return ""
	}
	// net/http sends a page behind the head of a malformed HEAD: garbage.
	if seen[0].then == "garbage" && refused(seen[1]) || leniency(s) != "" && refused(seen[1]) || strictness(s) != "" && refused(seen[0]) || unreadBody(s, seen[1]) {
		return ""
	}
	return fmt.Sprintf("%s\n--- reference\n%s\n--- other\n%s", strings.Join(differences, "\n"), seen[0], seen[1])
}

// refused reports whether the strict way did not play along.
func refused(o *observation) bool {
	last := len(o.answers) - 1
	return o.then == "closed" || last >= 0 && o.answers[last].status >= 400
}

// randomSplit cuts what is sent into writes, some of a single byte.
func randomSplit(rng *rand.Rand) func(string) []string {
	style := rng.IntN(3)
	return func(text string) (pieces []string) {
		for style > 0 && text != "" && len(pieces) < 200 {
			n := 1
			if style == 1 {
				n = 1 + rng.IntN(min(len(text), 100))
			}
			pieces, text = append(pieces, text[:n]), text[n:]
		}
		return append(pieces, text)
	}
}

// compareObservations lists how two outcomes differ.
func compareObservations(a, b *observation) (differences []string) {
	differ := func(what, x, y string) {
		if x != y {
			differences = append(differences, fmt.Sprintf("%s:\n  %s\n  %s", what, x, y))
		}
	}
	first, second := withoutContinue(a.answers), withoutContinue(b.answers)
	differ("number of answers", fmt.Sprint(len(first)), fmt.Sprint(len(second)))
	for i := range min(len(first), len(second)) {
		x, y := first[i], second[i]
		if x.isBare() || y.isBare() {
			differ(fmt.Sprintf("answer %d", i+1), fmt.Sprint(x.status), fmt.Sprint(y.status))
			continue
		}
		differ(fmt.Sprintf("answer %d", i+1), x.normal(), y.normal())
	}
	differ("then", a.then, b.then)
	differ("raw", quoteShort(a.raw), quoteShort(b.raw))
	differ("requests seen", fmt.Sprint(len(a.seen)), fmt.Sprint(len(b.seen)))
	for i := range min(len(a.seen), len(b.seen)) {
		differ(fmt.Sprintf("request %d", i+1), a.seen[i].normal(), b.seen[i].normal())
	}
	return differences
}

// isBare reports whether an answer is a refusal of net/http's own: it has no
// error page, and only its status counts.
func (a gotAnswer) isBare() bool {
	return a.status >= 400 && a.fields.Get("Connection") == "close" && a.fields.Get("X-Request-Id") == "" &&
		(a.body == "" || strings.HasPrefix(a.body, fmt.Sprintf("%d ", a.status)) || a.body == "Unsupported transfer encoding")
}

// What differs from run to run.
var (
	backendAddress = regexp.MustCompile(`127\.(0\.0|83\.17)\.1:[0-9]+`)
	begunTrace     = regexp.MustCompile(`\b00-[0-9a-f]{32}-[0-9a-f]{16}-00\b`)
	requestID      = regexp.MustCompile(`\b[a-z2-7]{16}\b`)
)

func mask(text string) string {
	text = begunTrace.ReplaceAllString(backendAddress.ReplaceAllString(text, "BACKEND"), "TRACE")
	return requestID.ReplaceAllString(text, "ID")
}

// normal is the answer in the form in which both ways must agree.
func (a gotAnswer) normal() string {
	fields := a.fields.Clone()
	if fields.Get("Date") != "" {
		fields.Set("Date", "masked")
	}
	if a.status == http.StatusNotModified { // net/http leaves them out
		fields.Del("Content-Length")
		fields.Del("Content-Type")
	}
	return mask(fmt.Sprintf("%d cut=%v %q %q trailer %q", a.status, a.cut, sortedFields(fields), a.body, sortedFields(a.trailer)))
}

// sortedFields are fields in the order of their names, values as they came.
func sortedFields(h http.Header) (fields []string) {
	for name, values := range h {
		for _, v := range values {
			fields = append(fields, name+": "+v)
		}
	}
	slices.SortStableFunc(fields, compareNames)
	return fields
}

func compareNames(a, b string) int {
	x, _, _ := strings.Cut(a, ":")
	y, _, _ := strings.Cut(b, ":")
	return strings.Compare(x, y)
}

// normal is the request in the form in which both ways must agree. How much of
// one that broke off arrives is a matter of time.
func (q *seenRequest) normal() string {
	if !q.whole {
		return fmt.Sprintf("push=%v %s %q broken off", q.push, q.method, q.target)
	}
	list := func(fields []seenField) (lines []string) {
		for _, f := range fields {
			lines = append(lines, f.name+": "+f.value)
		}
		slices.SortStableFunc(lines, compareNames)
		return lines
	}
	return mask(fmt.Sprintf("push=%v %s %q %q %q trailer %q raw %q malformed=%q", q.push, q.method, q.target, list(q.fields), q.body,
		list(q.trailer), q.raw, q.malformed))
}

// TestDifferential_SeesEachDifference changes one thing of an outcome after
// another: the comparison must notice.
func TestDifferential_SeesEachDifference(t *testing.T) {
	traced := "00-" + strings.Repeat("3", 32) + "-" + strings.Repeat("3", 16) + "-00"
	make := func() *observation {
		return &observation{
			answers: []gotAnswer{{status: 200, fields: http.Header{"Etag": {"x"}, "Date": {"now"}}, body: "ok", trailer: http.Header{"X-Sum": {"1"}}}},
			then:    "kept", raw: "raw",
			seen: []*seenRequest{{method: "GET", target: "/", fields: []seenField{{"a", "1"}, {"a", "2"}, {"x-request-id", "abcdefghijklmnop"}, {"traceparent", traced}},
				body: "in", whole: true}},
		}
	}
	same := make()
	same.answers[0].fields.Set("Date", "later")
	same.seen[0].fields = []seenField{{"x-request-id", "ponmlkjihgfedcba"}, {"traceparent", strings.ReplaceAll(traced, "3", "4")}, {"a", "1"}, {"a", "2"}}
	if d := compareObservations(make(), same); d != nil {
		t.Errorf("differs: %s", d)
	}
	for name, change := range map[string]func(*observation){
		"status":        func(o *observation) { o.answers[0].status = 201 },
		"field":         func(o *observation) { o.answers[0].fields.Set("Etag", "y") },
		"field added":   func(o *observation) { o.answers[0].fields.Set("Server", "y") },
		"no date":       func(o *observation) { o.answers[0].fields.Del("Date") },
		"body":          func(o *observation) { o.answers[0].body = "" },
		"cut":           func(o *observation) { o.answers[0].cut = true },
		"trailer":       func(o *observation) { o.answers[0].trailer = nil },
		"answer":        func(o *observation) { o.answers = append(o.answers, o.answers[0]) },
		"fate":          func(o *observation) { o.then = "closed" },
		"raw":           func(o *observation) { o.raw = "" },
		"request":       func(o *observation) { o.seen = nil },
		"method":        func(o *observation) { o.seen[0].method = "POST" },
		"target":        func(o *observation) { o.seen[0].target = "//" },
		"backend":       func(o *observation) { o.seen[0].push = true },
		"value order":   func(o *observation) { slices.Reverse(o.seen[0].fields) },
		"request body":  func(o *observation) { o.seen[0].body = "" },
		"broken off":    func(o *observation) { o.seen[0].whole = false },
		"field is gone": func(o *observation) { o.seen[0].fields = o.seen[0].fields[1:] },
	} {
		o := make()
		change(o)
		if compareObservations(make(), o) == nil {
			t.Errorf("another %s is not seen", name)
		}
	}
}

// FuzzDifferential sends one request and gives one answer through both ways.
func FuzzDifferential(f *testing.F) {
	for _, c := range readCorpus(f) {
		answer := defaultReply
		if len(c.replies) > 0 && len(c.replies[0]) > 0 && c.replies[0][0].do == "send" {
			answer = c.replies[0][0].text
		}
		if c.client[0].do == "send" {
			f.Add([]byte(c.client[0].text), []byte(answer), uint64(len(answer)))
		}
	}
	reference, other := bothWays(f)
	f.Fuzz(func(t *testing.T, request, answer []byte, seed uint64) {
		methods, ok := settled(request)
		if !ok || !settledAnswer(answer, methods[0]) {
			t.Skip()
		}
		// The fuzzer takes ten seconds for a deadlock, without a word.
		s := script{patience: 3 * time.Second, client: []step{{do: "send", text: string(request)}}, methods: methods,
			replies: [][]step{{{do: "send", text: string(answer)}, {do: "close"}}}}
		if d := compareScript(s, seed, reference, other); d != "" {
			t.Error(d)
		}
	})
}

// settled reports whether bytes are one request, and maybe some that are
// malformed behind it, so that no server waits for more. methods are those of
// the answers to come.
func settled(request []byte) (methods []string, ok bool) {
	r := bufio.NewReader(bytes.NewReader(request))
	req, err := http.ReadRequest(r)
	if err != nil {
		return []string{http.MethodGet}, !isShort(err) && bytes.Contains(request, []byte("\r\n\r\n"))
	}
	if len(req.Header["Expect"]) > 0 { // a matter of time
		return nil, false
	}
	if _, err := io.Copy(io.Discard, req.Body); err != nil {
		return []string{req.Method}, !isShort(err)
	}
	_, err = r.Peek(1)
	return []string{req.Method}, err != nil
}

// isShort reports whether reading failed for want of more; a trailer section
// has an error of its own, which cannot be named.
func isShort(err error) bool {
	return strings.HasSuffix(err.Error(), "EOF") || strings.Contains(err.Error(), "EOF reading trailer")
}

// settledAnswer reports whether an answer ends where its connection does, so
// that nothing lies around that the next request might meet.
func settledAnswer(answer []byte, method string) bool {
	r := bufio.NewReader(bytes.NewReader(answer))
	for {
		res, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			return true
		}
		if res.StatusCode >= 200 || res.StatusCode == http.StatusSwitchingProtocols {
			_, err := io.Copy(io.Discard, res.Body)
			_, more := r.Peek(1)
			return err != nil || more != nil || res.StatusCode == http.StatusSwitchingProtocols
		}
	}
}
