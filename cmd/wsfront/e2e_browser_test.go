//go:build e2e

package main_test

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// browser is a headless Chromium with a home of its own, in whose certificate
// store one more root is trusted. Every *.test is this machine: with localhost
// or an address Chromium would not treat ws:// as mixed content.
type browser struct {
	ctx context.Context
}

// newBrowser starts Chromium; it ends with the test.
func (l *lab) newBrowser(t testing.TB, root string) *browser {
	t.Helper()
	home := l.path(t, "home")
	store := "sql:" + filepath.Join(home, ".pki/nssdb")
	for _, args := range [][]string{
		{"mkdir", "-p", filepath.Join(home, ".pki/nssdb")},
		{"certutil", "-d", store, "-N", "--empty-password"},
		{"certutil", "-d", store, "-A", "-t", "C,,", "-n", "e2e", "-i", root},
	} {
		if status, out, errs := finish(t, exec.Command(args[0], args[1:]...)); status != 0 {
			t.Fatalf("%v: %s%s", args, out, errs)
		}
	}
	printed := &journal{}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath("chromium"),
		chromedp.Env("HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_CACHE_HOME="+home),
		chromedp.UserDataDir(filepath.Join(home, "profile")),
		chromedp.NoSandbox, // Chromium's own sandbox refuses root
		chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("no-proxy-server", true),
		chromedp.Flag("host-resolver-rules", "MAP *.test 127.0.0.1"),
		chromedp.WSURLReadTimeout(patience),
		chromedp.CombinedOutput(printed),
	)
	allocator, end := chromedp.NewExecAllocator(t.Context(), options...)
	ctx, endBrowser := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		endBrowser()
		end()
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start Chromium: %v\n%s", err, printed)
	}
	return &browser{ctx: ctx}
}

// page is one tab and what is in its console, uncaught errors and the browser's
// own remarks included.
type page struct {
	ctx     context.Context
	console journal
}

// open opens url in a new tab and waits until it is loaded.
func (b *browser) open(t testing.TB, url string) *page {
	t.Helper()
	ctx, closeTab := chromedp.NewContext(b.ctx)
	p := &page{ctx: ctx}
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("open a tab: %v", err)
	}
	messages := chromedp.Console(ctx)
	read := make(chan struct{})
	// Ends with the tab; the clean-up closes the tab and waits.
	go func() {
		defer close(read)
		for m, err := range messages {
			if err != nil {
				return
			}
			fmt.Fprintln(&p.console, m, m.URL)
		}
	}()
	t.Cleanup(func() {
		closeTab()
		<-read
		if t.Failed() {
			t.Logf("the console of %s:\n%s", url, &p.console)
		}
	})
	p.do(t, chromedp.Navigate(url))
	return p
}

// says waits until the console has text.
func (p *page) says(t testing.TB, text string) {
	t.Helper()
	eventually(t, "in the console: "+text, func() bool { return strings.Contains(p.console.String(), text) })
}

// do runs actions in order.
func (p *page) do(t testing.TB, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		t.Fatalf("in Chromium: %v", err)
	}
}

// text evaluates a script, waits for its promise if it is one, and returns the
// result as text.
func (p *page) text(t testing.TB, script string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	result, err := chromedp.Run(ctx, chromedp.Evaluate[any](script, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("in Chromium: %v: %s", err, script)
	}
	return fmt.Sprint(result)
}

// waits until a script is true in the page.
func (p *page) waits(t testing.TB, script string) {
	t.Helper()
	eventually(t, "in the page: "+script, func() bool { return p.text(t, "Boolean("+script+")") == "true" })
}
