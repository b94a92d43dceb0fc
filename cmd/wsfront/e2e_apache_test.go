//go:build e2e

package main_test

import (
	"fmt"
	"strings"
	"testing"
)

// testApacheAlone shows what wsfront is for: the founding setup, Apache ending
// TLS itself, fails in the browser in the founding document's words.
func (l *lab) testApacheAlone(t *testing.T) {
	port := l.port(t)
	l.startApp(t, legacyOptions{
		server:  "apache",
		tlsAt:   port,
		tlsPair: l.pki.issue(t, l.path(t, "pem"), "app.test"),
	})
	site := fmt.Sprintf("app.test:%d", port)
	p := l.newBrowser(t, l.pki.file).open(t, "https://"+site+"/wstest")

	p.says(t, "Mixed Content: The page at 'https://"+site+"/wstest' was loaded over HTTPS, but attempted to connect to the insecure WebSocket endpoint 'ws://"+site+"/websocket'. This request has been blocked; this endpoint must be available over WSS.")
	p.says(t, "An insecure WebSocket connection may not be initiated from a page loaded over HTTPS.")
	if got := p.text(t, "typeof socket"); got != "undefined" {
		t.Errorf("the page has a socket (%s), though new WebSocket should have thrown", got)
	}
	if got := p.text(t, "document.querySelectorAll('#board p').length"); got != "0" {
		t.Errorf("the board has %s messages, want none", got)
	}

	// With the page's scheme put right by hand, Apache still has no socket:
	// the URL's answer is that of a plain GET.
	for path, status := range map[string]int{"/websocket": 200, "/nosuchurl": 404} {
		p.text(t, fmt.Sprintf("new Promise(done => { new WebSocket('wss://%s%s').onclose = () => done('closed') })", site, path))
		p.says(t, fmt.Sprintf("WebSocket connection to 'wss://%s%s' failed: Error during WebSocket handshake: Unexpected response code: %d", site, path, status))
	}
	if strings.Contains(p.console.String(), "WebSockets connection created") {
		t.Error("a socket opened by Apache alone")
	}
}
