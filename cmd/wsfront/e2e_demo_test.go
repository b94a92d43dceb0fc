//go:build e2e

package main_test

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/chromedp/chromedp"
)

// testDemo does what the demo asks a person to do: trust its CA, open its page
// in two windows, type into one, and press Ctrl-C.
func (l *lab) testDemo(t *testing.T) {
	f := l.newFront(t)
	state := filepath.Join(f.folder, "state")
	f.process = start(t, "wsfront demo", f.command("demo", "--listen", loopback(f.https), "--publish-listen", loopback(f.publishAt), "--state", state))
	address := strings.TrimSuffix(regexp.MustCompile(`https://\S+`).FindString(f.says(t, "https://")), "/")
	if want := fmt.Sprintf("https://localhost:%d", f.https); address != want {
		t.Fatalf("the demo says to open %s, want %s", address, want)
	}
	root := strings.TrimSpace(f.says(t, filepath.Join(state, "internal")))
	f.listens(t, loopback(f.https))

	b := l.newBrowser(t, root)
	one, two := b.open(t, address), b.open(t, address)
	for _, p := range []*page{one, two} {
		p.waits(t, "document.querySelectorAll('#board p').length >= 2")
		if got := p.text(t, "document.querySelector('#board p').textContent"); !timedMessage.MatchString(got) {
			t.Errorf("the demo's board has %q, want the founding document's message", got)
		}
	}
	one.do(t, chromedp.SendKeys(chromedp.CSS("#text"), "from the other window\r"))
	two.waits(t, "[...document.querySelectorAll('#board p')].some(p => p.textContent == 'from the other window')")

	f.signal(syscall.SIGINT)
	if status := f.exit(t); status != 0 {
		t.Errorf("the demo ended with %d, want 0", status)
	}
}
