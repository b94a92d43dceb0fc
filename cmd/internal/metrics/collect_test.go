package metrics

import (
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"wsfront/proxy"
	"wsfront/proxy/tally"
	"wsfront/pusher"
)

// of are sources that tell what the front counted.
func of(c proxy.Counts) Sources {
	return Sources{Front: func() proxy.Counts { return c }}
}

func noLine(t *testing.T, text, prefix string) {
	t.Helper()
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, prefix) {
			t.Errorf("there is %q", line)
		}
	}
}

func TestHistogram_BucketsHoldAllThatIsBelow(t *testing.T) {
	h := tally.NewHistogram(tally.Buckets{time.Millisecond, time.Second})
	for _, d := range []time.Duration{time.Millisecond, 250 * time.Millisecond, 250 * time.Millisecond, time.Minute} {
		h.Add(d)
	}
	text := scrape(t, of(proxy.Counts{Routes: []proxy.RouteCounts{
		{Site: "a.example", Route: "/", Duration: map[string]tally.Distribution{"2xx": h.Distribution(), "5xx": {}}},
	}}))
	const labels = `class="2xx",route="/",site="a.example"`
	wantLine(t, text, `wsfront_http_request_duration_seconds_bucket{`+labels+`,le="0.001"} 1`)
	wantLine(t, text, `wsfront_http_request_duration_seconds_bucket{`+labels+`,le="1"} 3`)
	wantLine(t, text, `wsfront_http_request_duration_seconds_bucket{`+labels+`,le="+Inf"} 4`)
	wantLine(t, text, `wsfront_http_request_duration_seconds_sum{`+labels+`} 60.501`)
	wantLine(t, text, `wsfront_http_request_duration_seconds_count{`+labels+`} 4`)
	noLine(t, text, `wsfront_http_request_duration_seconds_count{class="5xx"`)
}

func TestTunnels_OnlyRoutesThatLeadToThemAreTold(t *testing.T) {
	text := scrape(t, of(proxy.Counts{Routes: []proxy.RouteCounts{
		{Site: "a.example", Route: "/", Requests: map[int]uint64{200: 3}},
		{Site: "a.example", Route: "/ws", Tunnels: proxy.TunnelCounts{
			Open: 2, Opened: 3, BytesIn: 10, BytesOut: 20, MessagesIn: 1, MessagesOut: 2,
			Closed:   map[proxy.TunnelEnd]uint64{{By: "front", Code: 1001, Reason: "idle timeout"}: 1},
			Duration: tally.NewHistogram(tally.Lifetimes()).Distribution(),
		}},
		{Tunnels: proxy.TunnelCounts{Refused: map[string]uint64{"path-unknown": 4}}},
	}}))
	wantLine(t, text, `wsfront_tunnels_open{route="/ws",site="a.example"} 2`)
	wantLine(t, text, `wsfront_tunnels_closed_total{by="front",code="1001",reason="idle timeout",route="/ws",site="a.example"} 1`)
	wantLine(t, text, `wsfront_tunnel_bytes_total{direction="in",route="/ws",site="a.example"} 10`)
	wantLine(t, text, `wsfront_tunnel_messages_total{direction="out",route="/ws",site="a.example"} 2`)
	wantLine(t, text, `wsfront_tunnels_refused_total{cause="path-unknown",route="",site=""} 4`)
	noLine(t, text, `wsfront_tunnels_open{route="/",`)
}

func TestCertificates_NamesThatClientsChooseAreNoLabels(t *testing.T) {
	end := time.Unix(1_800_000_000, 0)
	text := scrape(t, Sources{Certificates: func() []proxy.CertificateState {
		return []proxy.CertificateState{
			{Names: []string{"a.example", "b.example"}, Source: "files", NotAfter: end.Add(time.Hour)},
			{Names: []string{"a.example"}, Source: "files", NotAfter: end}, // the ECDSA one beside the RSA one
			{Names: []string{"new.example"}, Source: "auto", Problem: "none yet"},
			{Names: []string{"x.customer.example"}, Source: "on_demand", NotAfter: end.Add(2 * time.Hour)},
			{Names: []string{"y.customer.example"}, Source: "on_demand", NotAfter: end.Add(3 * time.Hour), Problem: "renewal failed"},
			{Names: []string{"z.customer.example"}, Source: "internal", NotAfter: end},
		}
	}})
	wantLine(t, text, `wsfront_certificate_expiry_timestamp_seconds{name="a.example",source="files"} 1.8e+09`)
	wantLine(t, text, `wsfront_certificate_expiry_timestamp_seconds{name="",source="on_demand"} 1.8000072e+09`)
	noLine(t, text, `wsfront_certificate_expiry_timestamp_seconds{name="new.example"`)
	wantLine(t, text, `wsfront_certificate_problem{name="a.example",source="files"} 0`)
	wantLine(t, text, `wsfront_certificate_problem{name="new.example",source="auto"} 1`)
	wantLine(t, text, `wsfront_certificate_problem{name="",source="on_demand"} 1`)
	wantLine(t, text, `wsfront_certificates{source="on_demand"} 2`)
	wantLine(t, text, `wsfront_certificate_problem{name="",source="internal"} 0`)
	noLine(t, text, `wsfront_certificate_expiry_timestamp_seconds{name="",source="internal"}`)
	if strings.Contains(text, "customer.example") {
		t.Error("a name that a client chose is a label")
	}
}

func TestPush_WhatTheStoreDoesNotTellIsLeftOut(t *testing.T) {
	runs := true
	s := Sources{Push: func(context.Context) (pusher.Counts, bool) {
		return pusher.Counts{Joins: map[string]uint64{"gap": 2}, HistoryMessages: 5, HistoryBytes: -1}, runs
	}}
	text := scrape(t, s)
	wantLine(t, text, `wsfront_push_joins_total{result="gap"} 2`)
	wantLine(t, text, `wsfront_push_history_messages 5`)
	noLine(t, text, `wsfront_push_history_bytes`)
	runs = false
	noLine(t, scrape(t, s), `wsfront_push`)
}

func TestPush_IsGivenATimeToAnswer(t *testing.T) {
	scrape(t, Sources{Push: func(ctx context.Context) (pusher.Counts, bool) {
		if _, limited := ctx.Deadline(); !limited {
			t.Error("a store that does not answer would hold the scrape for good")
		}
		return pusher.Counts{}, true
	}})
}

func TestConfig_RefusedReloadIsSeenUntilOneIsApplied(t *testing.T) {
	c := Config{Version: "0123456789ab", Loaded: time.Unix(1_800_000_000, 0), Applied: 4, Refused: 1, LastRefused: true}
	yes := func(context.Context) bool { return true }
	s := Sources{Config: func() Config { return c }, Ready: yes, Draining: func() bool { return false }}
	text := scrape(t, s)
	wantLine(t, text, `wsfront_config_info{version="0123456789ab"} 1`)
	wantLine(t, text, `wsfront_config_last_reload_success_timestamp_seconds 1.8e+09`)
	wantLine(t, text, `wsfront_config_last_reload_successful 0`)
	wantLine(t, text, `wsfront_config_reloads_total{result="applied"} 4`)
	wantLine(t, text, `wsfront_config_reloads_total{result="refused"} 1`)
	wantLine(t, text, `wsfront_ready 1`)
	wantLine(t, text, `wsfront_draining 0`)
	c.LastRefused = false
	wantLine(t, scrape(t, s), `wsfront_config_last_reload_successful 1`)
}

func TestHandler_LabelThatIsNotUTF8IsMended(t *testing.T) {
	text := scrape(t, of(proxy.Counts{Routes: []proxy.RouteCounts{{Site: "a.example", Route: "/\xff", BytesIn: 1}}}))
	wantLine(t, text, "wsfront_http_request_body_bytes_total{route=\"/\uFFFD\",site=\"a.example\"} 1")
}

func TestHandler_SeriesThatIsThereTwiceLeavesTheOthers(t *testing.T) {
	double := proxy.BackendCounts{Backend: "http://127.0.0.1:1"}
	s := of(proxy.Counts{AccessLogLost: 3, Backends: []proxy.BackendCounts{double, double}})
	handler := Handler(s)
	get(t, handler)
	text := get(t, handler)
	wantLine(t, text, "wsfront_access_log_lost_lines_total 3")
	wantLine(t, text, `promhttp_metric_handler_errors_total{cause="gathering"} 1`)
}

func TestHandler_FaultInAPartEndsOneAnswer(t *testing.T) {
	var broken atomic.Bool
	broken.Store(true)
	server := httptest.NewUnstartedServer(Handler(Sources{Front: func() proxy.Counts {
		if broken.Load() {
			panic("a fault in the test's part")
		}
		return proxy.Counts{}
	}}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Start()
	defer server.Close()
	for range maxAnswers + 1 {
		if answer, err := http.Get(server.URL); err == nil {
			answer.Body.Close()
			t.Errorf("status %d, although a part failed", answer.StatusCode)
		}
	}
	broken.Store(false)
	answer, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("status %d after the faults", answer.StatusCode)
	}
	http.DefaultClient.CloseIdleConnections()
}
