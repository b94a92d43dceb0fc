//go:build e2e

package main_test

import "testing"

// testDirect asks apps and push services with no front between, and ports
// where there is neither.
func (r *doctorRig) testDirect(t *testing.T) {
	t.Parallel()
	foundingPage := []string{"--page", "https://app.test:@founding-port@/wstest"}
	list := []scenario{
		{name: "gorilla", url: "ws://@gorilla@/websocket"},
		{name: "gorilla by TLS", url: "wss://app.test:@gorilla-tls-port@/websocket"},
		{name: "python", url: "ws://@python@/websocket"},

		{name: "founding vhost", url: "wss://app.test:@founding-port@/websocket", cause: "app-answered", exit: 4},
		// Who asks for what the page asks for learns of the page, and who asks for what
		// it should ask for learns that there is no WebSocket either.
		{name: "founding vhost and page", url: "ws://app.test:@founding-port@/websocket", args: foundingPage, cause: "mixed-content", exit: 6},
		{name: "founding vhost and page by TLS", url: "wss://app.test:@founding-port@/websocket", args: foundingPage, cause: "app-answered", exit: 4},
		{name: "view under mod_wsgi", url: "ws://@modwsgi@/websocket", cause: "app-answered", exit: 4},
		{name: "view under gunicorn", url: "ws://@gunicorn@/websocket", cause: "app-answered", exit: 4},
		{name: "no such view", url: "ws://@modwsgi@/nosuchurl", cause: "app-answered", exit: 4},
		{name: "dwebsocket under mod_wsgi", url: "ws://@old-app@/dwebsocket", cause: "app-answered", exit: 4},
		{name: "redirect to the login", url: "ws://@old-app@/members", cause: "redirect", exit: 4},
		{name: "view for others", url: "ws://@old-app@/guarded", cause: "login-required", exit: 4},
		{name: "host not allowed", url: "ws://shop.test:@old-app-port@/websocket", cause: "host-refused", exit: 4},

		{name: "101 without Upgrade", url: "ws://@no-upgrade@/websocket", cause: "switch-headers", exit: 4},
		{name: "101 without Connection", url: "ws://@no-connection@/websocket", cause: "switch-headers", exit: 4},
		{name: "wrong accept", url: "ws://@wrong-accept@/websocket", cause: "accept-wrong", exit: 4},
		{name: "closes at once", url: "ws://@closes@/websocket", cause: "closed-at-once", exit: 5},
		{name: "no pongs", url: "ws://@deaf@/websocket", cause: "no-pong", exit: 5},
		{name: "bytes injected", url: "ws://@injected@/websocket", cause: "frames-broken", exit: 5},

		{name: "nothing listens", url: "ws://@nothing@/websocket", cause: "port-refused", exit: 2},
		{name: "nothing listens for TLS", url: "wss://@nothing@/websocket", cause: "port-refused", exit: 2},
		{name: "IPv4 alone", url: "ws://app.test:@gorilla-port@/websocket", args: []string{"--resolve", "app.test:[::1]"}, cause: "family-dead", exit: 2},
		{name: "mute", url: "ws://@mute@/websocket", args: []string{"--timeout", "5s"}, cause: "port-silent", exit: 2},
		{name: "mute at the TLS port", url: "wss://@mute@/websocket", args: []string{"--timeout", "5s"}, cause: "port-silent", exit: 2},
		{name: "wss to a plain port", url: "wss://@gorilla@/websocket", cause: "tls-missing", exit: 3},
		{name: "ws to a TLS port", url: "ws://@gorilla-tls@/websocket", cause: "tls-required", exit: 3},
	}
	r.diagnose(t, "", list)

	t.Run("no such name", func(t *testing.T) {
		t.Parallel()
		r.examine(t, "name-unknown", 2, "doctor", "--json", "wss://front.invalid/websocket")
	})
}
