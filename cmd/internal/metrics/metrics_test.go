package metrics

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// scrape is what a Prometheus gets.
func scrape(t *testing.T, s Sources) string {
	t.Helper()
	return get(t, Handler(s))
}

func get(t testing.TB, handler http.Handler) string {
	t.Helper()
	server := httptest.NewServer(handler)
	defer server.Close()
	answer, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if kind := answer.Header.Get("Content-Type"); answer.StatusCode != http.StatusOK || !strings.HasPrefix(kind, "text/plain; version=0.0.4") {
		t.Errorf("status %d, Content-Type %q\n%s", answer.StatusCode, kind, text)
	}
	return string(text)
}

// wantLine wants a line of the text, or one that begins so if want ends in a space.
func wantLine(t *testing.T, text, want string) {
	t.Helper()
	for line := range strings.Lines(text) {
		if line == want+"\n" || strings.HasSuffix(want, " ") && strings.HasPrefix(line, want) {
			return
		}
	}
	t.Errorf("no line %q in\n%s", want, text)
}

func TestHandler_TellsWhatThePartsKnowAtThatMoment(t *testing.T) {
	clients, faults := uint64(0), uint64(2)
	s := Sources{
		Version: "v1.2.3",
		Limits: map[string]func() map[string]uint64{
			"front": func() map[string]uint64 { return map[string]uint64{"max_tunnels": 7} },
			"push":  func() map[string]uint64 { return map[string]uint64{"max_clients": clients, "queue": 0} },
		},
		Capacity: map[string]func() map[string]int64{"push": func() map[string]int64 { return map[string]int64{"max_clients": 9} }},
		Panics:   map[string]func() uint64{"push": func() uint64 { return faults }},
	}
	for range 2 {
		text := scrape(t, s)
		wantLine(t, text, `wsfront_limit_reached_total{limit="max_tunnels",part="front"} 7`)
		wantLine(t, text, `wsfront_limit_reached_total{limit="max_clients",part="push"} `+map[uint64]string{0: "0", 5: "5"}[clients])
		wantLine(t, text, `wsfront_limit_reached_total{limit="queue",part="push"} 0`)
		wantLine(t, text, `wsfront_limit{limit="max_clients",part="push"} 9`)
		wantLine(t, text, `wsfront_panics_total{part="push"} 2`)
		wantLine(t, text, `# TYPE wsfront_limit_reached_total counter`)
		clients = 5
	}
}

func TestHandler_TellsOfTheProcess(t *testing.T) {
	text := scrape(t, Sources{Version: "v1.2.3"})
	for _, name := range []string{"go_goroutines ", "go_memstats_heap_alloc_bytes ", "process_open_fds ", "process_max_fds ", "process_resident_memory_bytes "} {
		wantLine(t, text, name)
	}
	if !strings.Contains(text, `version="v1.2.3"} 1`) || !strings.Contains(text, `wsfront_build_info{goversion="go`) {
		t.Errorf("no build info in\n%s", text)
	}
}
