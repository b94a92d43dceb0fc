package screen

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"wsfront/cmd/internal/admin"
	"wsfront/proxy"
)

// noon is when what the tests show was told.
var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// small is the status of a server as most are: one site, an app and a push
// service behind it, and a few visitors who failed.
func small() admin.Status {
	return admin.Status{
		Version: "v1.2.3", PID: 4711, Started: noon.Add(-76 * time.Hour), Time: noon, State: "serving",
		Config: admin.ConfigStatus{File: "/etc/wsfront/wsfront.yaml", Version: "0123456789ab", Loaded: noon.Add(-2 * time.Hour)},
		Sites: []proxy.SiteState{{Name: "review.example.com", Hosts: []string{"review.example.com"}, TLS: "auto", Routes: []proxy.RouteState{
			{Route: "/websocket", Kind: "tunnel", To: "ws://127.0.0.1:8001", Health: "up", Tunnels: 45, Requests: 1234, Backends: []proxy.BackendState{{Backend: "ws://127.0.0.1:8001", Up: true}}},
			{Route: "/", Kind: "app", To: "http://127.0.0.1:8080", Health: "up", Requests: 1234567, Failed: 12, Backends: []proxy.BackendState{{Backend: "http://127.0.0.1:8080", Up: true}}},
		}}},
		Connections:  map[string]int{"h2": 12, "http/1.1": 4, "websocket": 45, "tls": 0},
		Tunnels:      admin.TunnelTotals{Open: 45, Opened: 1200, Refused: 34, BytesIn: 1234567, BytesOut: 98765432, MessagesIn: 12345, MessagesOut: 67890},
		Requests:     admin.RequestTotals{Total: 1235801, Failed: 12, BytesIn: 5 << 20, BytesOut: 7 << 30},
		Push:         &admin.PushStatus{Clients: map[string]int{"websocket": 3, "event-stream": 1}, Channels: 2, Published: 100, Delivered: 400},
		Certificates: []proxy.CertificateState{{Names: []string{"review.example.com"}, Source: "auto", Issuer: "Let's Encrypt R11", NotAfter: noon.Add(65*24*time.Hour + time.Hour)}},
		Failures: []proxy.FailureState{
			failure(2*time.Minute, 3), failure(5*time.Minute, 1), failure(6*time.Minute, 1), failure(7*time.Minute, 1),
		},
	}
}

func failure(age time.Duration, count uint64) proxy.FailureState {
	return proxy.FailureState{
		Time: noon.Add(-age), Kind: "handshake", ID: "aaaabbbbccccdddd", Client: "192.0.2.7", Site: "review.example.com", Route: "/", Backend: "http://127.0.0.1:8080",
		Host: "review.example.com", Path: "/chat", Status: 404, Cause: "path-unknown", Count: count,
		Sentence: "Nothing is served at this path: it differs from the WebSocket server's own, or no rule takes it.",
		Reason:   "HTTP/1.1 404 Not Found",
		Fixes: []proxy.FixState{
			{For: "wsfront", Text: "Compare the path with the routes; a path behind the backend's address replaces the route's:\n    - {path: /live, tunnel: \"ws://127.0.0.1:9000/ws\"}"},
			{For: "apache", Text: "End both sides with a slash or neither."},
			{For: "app", Text: "Compare the page's URL with the application's list of WebSocket paths."},
		},
	}
}

// lines also asks that each is no wider than the style has it.
func lines(t *testing.T, s Style, text string) []string {
	t.Helper()
	all := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for _, line := range all {
		if n := textWidth(line); s.Width > 0 && n > s.Width {
			t.Errorf("%d columns, not %d: %s", n, s.Width, line)
		}
	}
	return all
}

func TestStatus_OfASmallServerFitsOnAScreen(t *testing.T) {
	s := Style{Width: 80}
	text := s.Status(small())
	if n := len(lines(t, s, text)); n > 24 {
		t.Errorf("%d lines:\n%s", n, text)
	}
	for _, part := range []string{
		"wsfront v1.2.3, process 4711, up 3d4h: ready\n",
		"/etc/wsfront/wsfront.yaml, version 0123456789ab, loaded 2h ago\n",
		"12 h2, 4 http/1.1, 45 websocket\n",
		"1,235,801, 12 failed; 5.2 MB in, 7.5 GB out\n",
		"45 open, 1,200 opened, 34 refused\n",
		"1 event-stream, 3 websocket; 2 channels; 100 published, 400",
		"65 days", "review.example.com, tls: auto\n  /websocket  tunnel  ws://127.0.0.1:8001    up", "2m ago, /chat (404, 3 times): Nothing is served", "  fix, wsfront: Compare the path",
	} {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in\n%s", part, text)
		}
	}
	if strings.Contains(text, "WRONG") || strings.Contains(text, "\x1b") {
		t.Errorf("%q", text)
	}
}

func TestStatus_WhatIsWrongComesFirstAndInWords(t *testing.T) {
	st := small()
	st.NotReady = []string{"no certificate for review.example.com yet"}
	st.Sites[0].Routes[1].Health = "down"
	st.Sites[0].Routes[1].Backends[0] = proxy.BackendState{Backend: "http://127.0.0.1:8080", Failed: noon.Add(-time.Minute), Reason: "connection refused"}
	st.Certificates[0].Problem, st.Certificates[0].Hint = "the last renewal failed: 403", "open port 80"
	st.Config.Refused, st.Config.RefusedAt = "wsfront.yaml:3:5: sites: none", noon.Add(-time.Hour)
	s := Style{Width: 80}
	text := s.Status(st)
	all := lines(t, s, text)
	if !strings.HasSuffix(all[0], ": NOT READY") || all[2] != "WRONG" {
		t.Errorf("begins with %q", all[:3])
	}
	wrong, _, _ := strings.Cut(text, "\nConfig ")
	wrong = strings.Join(strings.Fields(wrong), " ")
	for _, part := range []string{
		"not ready: no certificate for review.example.com yet",
		"route down: review.example.com /: http://127.0.0.1:8080: connection refused (1m ago) fix: start",
		"certificate: review.example.com (ends 2027-01-31): the last renewal failed: 403 fix: open port 80",
		"reload refused: 1h ago: wsfront.yaml:3:5: sites: none fix: mend the file",
	} {
		if !strings.Contains(wrong, part) {
			t.Errorf("no %q in %s", part, wrong)
		}
	}
	if !strings.Contains(text, "  DOWN ") {
		t.Errorf("the route is not marked:\n%s", text)
	}
}

// One app that is down behind several routes is one thing to mend.
func TestStatus_WhatIsWrongIsSaidOnce(t *testing.T) {
	st := small()
	out := []proxy.BackendState{{Backend: "http://127.0.0.1:8080", Failed: noon, Reason: "dial backend http://127.0.0.1:8080: connection refused"}}
	st.Sites = []proxy.SiteState{{Name: "a.test", Routes: []proxy.RouteState{{Route: "/x", Health: "down", Backends: out}, {Route: "/", Health: "down", Backends: out}}}}
	st.Certificates = []proxy.CertificateState{{Names: []string{"a.test"}, Source: "auto", Problem: "there is none yet", Hint: "wait"}}
	st.NotReady = []string{"route a.test/: " + out[0].Reason, "the certificate of a.test: there is none yet (wait)"}
	var got []string
	for _, w := range WrongIn(st) {
		got = append(got, w.What+"|"+w.Text)
	}
	want := []string{"not ready, route down|a.test /x, a.test /: dial backend http://127.0.0.1:8080: connection refused (0s ago)", "not ready, certificate|a.test: there is none yet"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// However many certificates there are, and however much is wrong, the status is one
// to be read; what is worst is in it.
func TestStatus_StaysShort(t *testing.T) {
	st := small()
	st.Certificates = nil
	for i := range 500 {
		c := proxy.CertificateState{Names: []string{fmt.Sprintf("c%d.example.com", i)}, Source: "on_demand", NotAfter: noon.Add(time.Duration(1000-i) * time.Hour)}
		if i < 30 {
			c.Problem = "the last try to renew it failed"
		}
		st.Certificates = append(st.Certificates, c)
	}
	s := Style{Width: 80}
	text := s.Status(st)
	if n := len(lines(t, s, text)); n > 60 {
		t.Errorf("%d lines:\n%s", n, text)
	}
	for _, part := range []string{"c29.example.com  on_demand", "\n... and 490 more: wsfront certificates\n", "\n  ... and 20 more: wsfront status --json\n"} {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in\n%s", part, text)
		}
	}
}

func TestCertificates_MissingAndExpiredAreSaid(t *testing.T) {
	text := Style{}.Certificates(noon, []proxy.CertificateState{
		{Names: []string{"new.example.com"}, Source: "auto", Problem: "there is none yet: DNS", Hint: "let the name lead here"},
		{Names: []string{"old.example.com"}, Source: "files", NotAfter: noon.Add(-time.Hour), Problem: "expired on 2026-11-27"},
		{Names: []string{"app.test"}, Source: "internal"},
		{Names: []string{"good.example.com"}, Source: "internal", NotAfter: noon.Add(time.Hour)},
	})
	for _, part := range []string{"missing\n", "expired\n", "ok\n", "made at need\n", "problem  new.example.com: there is none yet: DNS\nfix      let the name lead here\n", "problem  old.example.com: expired on 2026-11-27\n"} {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in\n%s", part, text)
		}
	}
	if n := strings.Count(text, "problem  "); n != 2 {
		t.Errorf("%d problems:\n%s", n, text)
	}
}

func TestTunnels_EachAndAllTogether(t *testing.T) {
	list := admin.TunnelList{Open: 3, Tunnels: []proxy.TunnelState{
		{ID: "aaaa", Client: "192.0.2.7", Site: "a.test", Route: "/ws", Backend: "ws://127.0.0.1:1", Opened: noon.Add(-90 * time.Second), Moved: noon.Add(-3 * time.Second),
			BytesIn: 1234, BytesOut: 5, MessagesIn: 1, MessagesOut: 2000, PingSeconds: 0.0123, UserAgent: "Mozilla/5.0"},
		{ID: "bbbb", Client: "192.0.2.8", Site: "a.test", Route: "/ws", Opened: noon, Moved: noon, BytesIn: 1000000, MessagesIn: 1},
	}}
	text := Style{}.Tunnels(noon, list, "")
	for _, part := range []string{
		"aaaa  192.0.2.7  a.test /ws  ws://127.0.0.1:1  1m30s    3s       1    1.2 kB    2,000        5 B  12 ms  Mozilla/5.0\n",
		"\n2 tunnels of 3 open: 2 messages (1.0 MB) in, 2,000 messages (5 B) out\n",
	} {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in\n%s", part, text)
		}
	}
	for _, width := range []int{200, 100, 80, 60, 40, 10, 1} {
		s := Style{Width: width}
		narrow := s.Tunnels(noon, list, "")
		lines(t, s, narrow[:strings.Index(narrow, "\n\n")])
		if width >= 60 && !strings.Contains(narrow, "1.2 kB") {
			t.Errorf("what it moved is not shown at %d columns:\n%s", width, narrow)
		}
	}
	if got := (Style{}).Tunnels(noon, admin.TunnelList{}, ""); got != "No tunnel is open.\n" {
		t.Errorf("none: %q", got)
	}
	if got := (Style{}).Tunnels(noon, admin.TunnelList{}, "/\x1b"); !strings.HasPrefix(got, `No tunnel of the route /\x1b is open; `) {
		t.Errorf("none of a route: %q", got)
	}
}

func TestFailures_FixesOnceAndNotThoseForOtherFronts(t *testing.T) {
	text := Style{}.Failures(noon, small().Failures)
	if n := strings.Count(text, "cause   path-unknown: Nothing is served"); n != 4 {
		t.Errorf("%d causes in\n%s", n, text)
	}
	for part, want := range map[string]int{"fix     wsfront: Compare": 1, "\n              - {path: /live": 1, "fix     app: Compare": 1, "apache": 0, "fix     as above, for path-unknown": 3} {
		if n := strings.Count(text, part); n != want {
			t.Errorf("%d of %q in\n%s", n, part, text)
		}
	}
	narrow := Style{Width: 60}.Failures(noon, small().Failures)
	lines(t, Style{Width: 60}, strings.ReplaceAll(narrow, `- {path: /live, tunnel: "ws://127.0.0.1:9000/ws"}`, "")) // is to be copied
	if got := (Style{}).Failures(noon, nil); got != "No failure is remembered.\n" {
		t.Errorf("none: %q", got)
	}
}

// What clients send is in many fields; none may give orders to the terminal.
func TestAll_NothingFromTheServerGivesOrdersToATerminal(t *testing.T) {
	const evil = "\x1b]0;owned\x07\x1b[2J\u009b31m\u202eevil\r\nnext\x7f"
	st := small()
	st.Version, st.State, st.NotReady = evil, evil, []string{evil}
	st.Config = admin.ConfigStatus{File: evil, Version: evil, Refused: evil}
	st.Sites = []proxy.SiteState{{Name: evil, Routes: []proxy.RouteState{{Route: evil, Kind: evil, To: evil, Health: evil}, {Health: "down", Route: evil, Backends: []proxy.BackendState{{Backend: evil, Reason: evil}}}}}}
	st.Connections, st.Limits = map[string]int{evil: 1}, map[string]uint64{evil: 1}
	st.Certificates = []proxy.CertificateState{{Names: []string{evil}, Source: evil, Issuer: evil, NotAfter: noon.Add(time.Hour), Problem: evil, Hint: evil}}
	st.Failures = []proxy.FailureState{{Kind: evil, ID: evil, Client: evil, Site: evil, Route: evil, Backend: evil, Host: evil, Path: evil, Cause: evil, Sentence: evil, Reason: evil, Fixes: []proxy.FixState{{For: evil, Text: evil}}}}
	tunnels := admin.TunnelList{Open: 1, Tunnels: []proxy.TunnelState{{ID: evil, Client: evil, UserAgent: evil, Site: evil, Route: evil, Backend: evil}}}
	var asJSON strings.Builder
	if err := WriteJSON(&asJSON, st); err != nil {
		t.Fatal(err)
	}
	for _, width := range []int{0, 80} {
		s := Style{Width: width}
		for what, text := range map[string]string{
			"status": s.Status(st), "certificates": s.Certificates(noon, st.Certificates), "failures": s.Failures(noon, st.Failures), "tunnels": s.Tunnels(noon, tunnels, ""), "json": asJSON.String(),
		} {
			for _, r := range text {
				if r != '\n' && !unicode.IsPrint(r) {
					t.Errorf("%s, width %d: %q in %q", what, width, r, text)
					break
				}
			}
		}
	}
	var back admin.Status
	if err := json.Unmarshal([]byte(asJSON.String()), &back); err != nil || back.Version != evil {
		t.Errorf("JSON: %v, %q", err, back.Version)
	}
}

func TestStyle_ColourAddsNothingButColour(t *testing.T) {
	st := small()
	st.NotReady = []string{"no certificate"}
	coloured := Style{Width: 80, Colour: true}.Status(st)
	for _, tone := range []Tone{Strong, Bad, Good, endTone} {
		if !strings.Contains(coloured, string(tone)) {
			t.Errorf("no %q", tone)
		}
		coloured = strings.ReplaceAll(coloured, string(tone), "")
	}
	if want := (Style{Width: 80}).Status(st); coloured != want {
		t.Errorf("%s\nbut without colour\n%s", coloured, want)
	}
}
