package doctor

import (
	"encoding/json"
	"strings"
	"testing"

	"wsfront/proxy/diagnosis"
)

func sample() *Report {
	e := &exam{target: target{"wss", "live.test", "443", "live.test", "/live"}, report: &Report{Target: "wss://live.test/live"}, server: diagnosis.ForApache, interrupted: func() bool { return false }}
	e.step("name", OK, "192.0.2.7")
	e.step("handshake", Failed, "404 Not Found from Apache")
	e.find(some, diagnosis.FamilyDead, "dropped")
	e.find(nobody, diagnosis.PathUnknown, "HTTP/1.1 404 Not Found", "")
	e.find(nobody, diagnosis.NoPong, "too late")
	e.conclude()
	return e.report
}

func TestPrint_ForPeople(t *testing.T) {
	var b strings.Builder
	if err := sample().Print(&b, false); err != nil {
		t.Fatal(err)
	}
	const want = `wss://live.test/live

  ok       name       192.0.2.7
  failed   handshake  404 Not Found from Apache

Nothing is served at this path: it differs from the WebSocket server's own, or no rule takes it. (path-unknown, D2)

What was seen:
  - HTTP/1.1 404 Not Found

What to do:
  wsfront: Compare the path with the routes; a path behind the backend's address replaces the route's:
      - {path: /live, tunnel: "ws://127.0.0.1:9000/ws"}
  apache: End both sides with a slash or neither, and name the path that the backend has:
      ProxyPreserveHost On
      ProxyPass "/live" "http://127.0.0.1:9000/live" upgrade=websocket
  app: Compare the page's URL with the application's list of WebSocket paths, the slash at the end included.
`
	if b.String() != want {
		t.Errorf("%s", b.String())
	}
	b.Reset()
	if err := sample().Print(&b, true); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), red+"failed "+plain) {
		t.Errorf("%q", b.String())
	}
}

func TestPrint_NoFinding(t *testing.T) {
	var b strings.Builder
	r := &Report{Target: "ws://a/", Steps: []Step{{"close", Warning, "not answered"}}}
	if err := r.Print(&b, true); err != nil {
		t.Fatal(err)
	}
	const want = bold + "ws://a/" + plain + "\n\n  " + yellow + "warning" + plain + "  close  not answered\n\n" + green + "No finding." + plain + "\n"
	if b.String() != want {
		t.Errorf("%q", b.String())
	}
}

func TestReport_JSONForPrograms(t *testing.T) {
	r := sample()
	r.Cause.Fixes = r.Cause.Fixes[:1]
	r.Cause.Fixes[0].Text = "x"
	got, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"target":"wss://live.test/live","steps":[{"name":"name","status":"ok","detail":"192.0.2.7"},{"name":"handshake","status":"failed","detail":"404 Not Found from Apache"}],` +
		`"cause":{"id":"path-unknown","symptom":"D2","sentence":"Nothing is served at this path: it differs from the WebSocket server's own, or no rule takes it.","evidence":["HTTP/1.1 404 Not Found"],"fixes":[{"for":"wsfront","text":"x"}]},"exit":4}`
	if string(got) != want {
		t.Errorf("%s", got)
	}
	if got, err := json.Marshal(&Report{Target: "a", Steps: []Step{}}); err != nil || string(got) != `{"target":"a","steps":[],"cause":null,"exit":0}` {
		t.Errorf("%s %v", got, err)
	}
}
