package metrics

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"wsfront/pusher"
)

// documented is a row of deploy/docs/metrics.md.
type documented struct {
	kind   string
	labels []string // sorted
}

// documents reads a file below deploy.
func documents(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "deploy", filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// documentedMetrics are the metrics of the tables.
func documentedMetrics(t *testing.T) map[string]documented {
	t.Helper()
	row := regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (counter|gauge|histogram|summary) \\| ([^|]*)\\|")
	label := regexp.MustCompile("`([a-z_]+)`")
	all := map[string]documented{}
	for _, match := range row.FindAllStringSubmatch(documents(t, "docs/metrics.md"), -1) {
		one := documented{kind: match[2]}
		for _, l := range label.FindAllStringSubmatch(match[3], -1) {
			one.labels = append(one.labels, l[1])
		}
		slices.Sort(one.labels)
		if _, twice := all[match[1]]; twice {
			t.Errorf("%s has two rows", match[1])
		}
		all[match[1]] = one
	}
	if len(all) < 50 {
		t.Fatalf("only %d rows found: is the form of the tables another one?", len(all))
	}
	return all
}

// traffic does a little of all that is counted by labels which are there only once
// something has happened.
func (s *served) traffic() {
	s.t.Helper()
	ctx := context.Background()
	if status := s.get("/"); status != http.StatusOK {
		s.t.Errorf("the page has status %d", status)
	}
	echo := s.open("/ws")
	if err := echo.WriteMessage(websocket.TextMessage, []byte("hello")); err != nil {
		s.t.Fatal(err)
	}
	if _, data, err := echo.ReadMessage(); err != nil || string(data) != "hello" {
		s.t.Fatal(string(data), err)
	}
	goodbye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	if err := echo.WriteMessage(websocket.CloseMessage, goodbye); err != nil {
		s.t.Fatal(err)
	}
	for { // the answer, and the end of the connection
		if _, _, err := echo.ReadMessage(); err != nil {
			break
		}
	}
	echo.Close()
	s.await("the tunnel is over", func() bool { return len(s.front.Tunnels()) == 0 })
	if _, _, err := s.dialer().Dial("wss://app.test/nowhere", nil); err == nil {
		s.t.Error("a tunnel to where nothing listens is open")
	}
	s.open("/push")
	if _, err := s.hub.Publish(ctx, "board", pusher.Message{Data: []byte("news")}); err != nil {
		s.t.Fatal(err)
	}
	if _, _, err := s.dialer().Dial("wss://app.test/push?channel=%00", nil); err == nil {
		s.t.Error("a channel may have any name")
	}
}

// parsed are the families of an answer.
func parsed(t *testing.T, text string) map[string]*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	all, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestDocs_MetricsAreThoseThatExist(t *testing.T) {
	s := serve(t)
	s.traffic()
	text := get(t, s.handler)
	exist := parsed(t, text)
	docs := documentedMetrics(t)
	for name, family := range exist {
		if kind := strings.ToLower(family.GetType().String()); kind != docs[name].kind {
			t.Errorf("%s is a %s, and in metrics.md %q", name, kind, docs[name].kind)
		}
		for _, one := range family.GetMetric() {
			labels := []string{}
			for _, pair := range one.GetLabel() {
				labels = append(labels, pair.GetName())
			}
			slices.Sort(labels)
			if !slices.Equal(labels, docs[name].labels) {
				t.Errorf("%s has the labels %q, and in metrics.md %q", name, labels, docs[name].labels)
				break
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(docs)) {
		if exist[name] == nil {
			t.Errorf("%s is in metrics.md, and does not exist", name)
		}
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestScrape_TellsOfTraffic(t *testing.T) {
	s := serve(t)
	s.traffic()
	text := get(t, s.handler)
	for _, line := range []string{
		`wsfront_http_requests_total{code="200",route="/",site="app.test"} 1`,
		`wsfront_http_requests_total{code="101",route="/ws",site="app.test"} 1`,
		`wsfront_http_request_duration_seconds_count{class="2xx",route="/",site="app.test"} 1`,
		`wsfront_http_request_body_bytes_total{route="/",site="app.test"} 6`,
		`wsfront_http_response_body_bytes_total{route="/",site="app.test"} 6`,
		`wsfront_tunnels_opened_total{route="/ws",site="app.test"} 1`,
		`wsfront_tunnel_messages_total{direction="in",route="/ws",site="app.test"} 1`,
		`wsfront_tunnel_messages_total{direction="out",route="/ws",site="app.test"} 1`,
		`wsfront_tunnels_refused_total{cause="backend-down",route="/nowhere",site="app.test"} 1`,
		`wsfront_push_clients{transport="websocket"} 1`,
		`wsfront_push_publishes_total 1`,
		`wsfront_push_joins_total{result="new"} 1`,
		`wsfront_certificate_problem{name="app.test",source="files"} 0`,
	} {
		wantLine(t, text, line)
	}
}

// Nothing that a client sends becomes a label, or anybody could have a Prometheus
// run out of memory.
func TestScrape_WhatClientsSendIsNoLabel(t *testing.T) {
	const marker = "marker7"
	s := serve(t)
	s.traffic()
	_, plain := s.front.Addrs()
	ask := func(method, host, path string) {
		r := httptest.NewRequest(method, "http://"+plain[0].String()+path, nil)
		r.RequestURI, r.Host = "", host
		r.Header.Set("User-Agent", marker)
		r.Header.Set("Upgrade", "websocket")
		r.Header.Set("Connection", "Upgrade")
		r.Header.Set("X-Request-Id", marker)
		r.Header.Set("Origin", "https://"+marker+".test")
		transport := &http.Transport{}
		defer transport.CloseIdleConnections()
		res, err := transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
	}
	ask("GET", "plain.test", "/"+marker)
	ask("GET", marker+".test", "/")
	ask(strings.ToUpper(marker), "plain.test", "/?"+marker)
	trust := s.trust.Clone()
	trust.ServerName = marker + ".test"
	if _, _, err := (&websocket.Dialer{TLSClientConfig: trust, NetDialContext: s.dialer().NetDialContext}).Dial("wss://"+marker+".test/", nil); err == nil {
		t.Error("a name that nobody serves has a certificate")
	}
	if _, _, err := s.dialer().Dial("wss://app.test/push?channel="+marker, nil); err == nil {
		t.Error("a route of one channel gives another")
	}
	for line := range strings.Lines(get(t, s.handler)) {
		if strings.Contains(strings.ToLower(line), marker) {
			t.Errorf("a client has made the label in %s", line)
		}
	}
}
