//go:build e2e

package main_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// kills is how often testKilled kills the front.
const kills = 20

// testKilled kills a front at random moments: while it starts and makes its CA,
// while it obtains certificates, reloads, stores an upload and publishes. Each
// time what is on the disk is whole, and at last all of it serves. testCrash is
// about the messages alone.
func (l *lab) testKilled(t *testing.T) {
	f := l.newFront(t)
	ca := l.newCA(t, f)
	app := faultApp(t)
	// Another name each time, so that there is always one to be obtained.
	config := func(n int) string {
		return fmt.Sprintf("sites:\n  - hosts: [n%d.test, app.test]\n    tls: auto\n    routes: [{path: /websocket, push: {channel: board}}, {path: /, app: \"http://%s\"}]\n"+
			"  - hosts: [inner.test]\n    tls: internal\n    routes: [{path: /, app: \"http://%s\"}]\n"+
			"push: {history: durable, publish: {listen: %s, key_file: %s}}\n%s",
			n, app, app, loopback(f.publishAt), filepath.Join(f.folder, "publish.key"), ca.lines)
	}
	state := filepath.Join(f.folder, "state")
	pairs := map[string]string{} // what each certificate's file held when it was first seen
	var acked []string
	for n := range kills {
		f.write(t, config(n))
		f.process = start(t, "wsfront", f.command("run", "--config", f.config))
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.IntN(600))*time.Millisecond)
		var wg sync.WaitGroup
		wg.Go(func() { f.uploads(ctx) }) // all three end with ctx, awaited below
		wg.Go(func() { f.hangups(ctx) })
		wg.Go(func() { acked = append(acked, f.publishes(ctx, n)...) })
		wg.Wait()
		cancel()
		f.signal(syscall.SIGKILL)
		<-f.ended
		if status := f.cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() {
			t.Fatalf("start %d ended by itself, by %v", n, f.cmd.ProcessState)
		}
		wantWholePairs(t, state, pairs)
		if t.Failed() {
			t.FailNow()
		}
	}
	f.run(t, config(kills))
	for _, name := range []string{"app.test", fmt.Sprintf("n%d.test", kills)} {
		f.until(t, "has a certificate for "+name, func() bool {
			c, err := tls.Dial("tcp", loopback(f.https), &tls.Config{RootCAs: f.roots, ServerName: name})
			if err == nil {
				c.Close()
			}
			return err == nil
		})
	}
	wantWholePairs(t, state, pairs)
	status, history := f.api(t.Context(), http.MethodGet, "/channels/board?last=1000", "")
	if status != http.StatusOK {
		t.Fatalf("the history cannot be read: %d %s", status, history)
	}
	for _, text := range acked[max(0, len(acked)-900):] { // a channel keeps 1000
		if !strings.Contains(history, text) {
			t.Errorf("%q was acknowledged, and is lost", text)
		}
	}
	t.Logf("%d certificates and %d acknowledged messages outlived %d kills", len(pairs), len(acked), kills)
}

// wantWholePairs looks at every certificate below the state: it has its key, and
// is the one that was there before.
func wantWholePairs(t *testing.T, state string, pairs map[string]string) {
	t.Helper()
	err := filepath.WalkDir(state, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // killed before it had made its folder
		}
		base, isCert := strings.CutSuffix(path, ".crt")
		if err != nil || !isCert || strings.Contains(path, "/.internal-ca-") { // not yet in use
			return err
		}
		pair, err := tls.LoadX509KeyPair(path, base+".key")
		if errors.Is(err, fs.ErrNotExist) && pairs[path] == "" {
			return nil // the key's turn had not come, and it is obtained anew
		}
		if err != nil {
			t.Errorf("%s is not whole: %v", path, err)
			return nil
		}
		serial := pair.Leaf.SerialNumber.String()
		if was := pairs[path]; was != "" && was != serial {
			t.Errorf("%s is another certificate than before", path)
		}
		pairs[path] = serial
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// whileAlive calls try until ctx is done. What it is refused is refused by a
// server that is not there yet, or not any more.
func whileAlive(ctx context.Context, try func()) {
	for ctx.Err() == nil {
		try()
		select {
		case <-ctx.Done():
		case <-time.After(crashPause):
		}
	}
}

// uploads sends what has to be stored before it is passed on.
func (f *front) uploads(ctx context.Context) {
	transport := &http.Transport{DialContext: f.dial, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer transport.CloseIdleConnections()
	whileAlive(ctx, func() {
		body := unsized{strings.NewReader(strings.Repeat("x", 4<<20))}
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://inner.test/", body)
		if err != nil {
			panic(err) // the address is a constant
		}
		if res, err := transport.RoundTrip(r); err == nil {
			res.Body.Close()
		}
	})
}

// hangups has it read its configuration again and again.
func (f *front) hangups(ctx context.Context) {
	whileAlive(ctx, func() {
		if strings.Contains(f.log.String(), "msg=listen ") { // before, a hangup ends it
			f.signal(syscall.SIGHUP)
		}
	})
}

// publishes publishes by the API, and returns what was acknowledged.
func (f *front) publishes(ctx context.Context, life int) (acked []string) {
	n := 0
	whileAlive(ctx, func() {
		n++
		text := fmt.Sprintf("message %d of life %d.", n, life)
		if status, _ := f.api(ctx, http.MethodPost, "/channels/board", text); status == http.StatusOK {
			acked = append(acked, text)
		}
	})
	return acked
}

// api asks the publish API; the status is 0 where there was no whole answer.
func (f *front) api(ctx context.Context, method, path, body string) (status int, text string) {
	key, err := os.ReadFile(filepath.Join(f.folder, "publish.key"))
	if err != nil {
		return 0, "" // not made yet
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://"+loopback(f.publishAt)+path, strings.NewReader(body))
	if err != nil {
		panic(err) // the address is a constant
	}
	r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(key)))
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, ""
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, ""
	}
	return res.StatusCode, string(answer)
}
