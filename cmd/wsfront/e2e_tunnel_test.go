//go:build e2e

package main_test

import (
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// startOldPush runs the push process of old, which sends a message to all its
// sockets at each gap and sends back what it gets.
func (l *lab) startOldPush(t testing.TB, gap string) (url string) {
	t.Helper()
	port := l.port(t)
	// Debian's Python by its path: another one, first in PATH, has no websockets.
	p := start(t, "push.py", exec.Command("/usr/bin/python3", filepath.Join("..", "..", "testdata", "legacy-app", "push.py"), "127.0.0.1", fmt.Sprint(port), gap))
	p.listens(t, loopback(port))
	return "ws://" + loopback(port)
}

// testOldPushProcess keeps the app's own push process and puts it behind a
// tunnel, with no file: everything by flags.
func (l *lab) testOldPushProcess(t *testing.T) {
	f := l.newFront(t)
	pem := l.pki.issue(t, f.folder, "app.test")
	f.start(t, "run", "--host", "app.test", "--app", l.modwsgi.url, "--tunnel", "/websocket="+l.startOldPush(t, "0.5"),
		"--cert", pem.cert, "--key", pem.key,
		"--listen", loopback(f.https), "--http-listen", loopback(f.plain), "--state", filepath.Join(f.folder, "state"))
	address := "wss://" + f.site("app.test") + "/websocket"

	t.Run("gorilla", func(t *testing.T) {
		c := f.socket(t, address)
		receives(t, c, timedMessage.MatchString)
		say(t, c, "back to me")
		receives(t, c, func(text string) bool { return text == "back to me" })
		// A message in fragments that is longer than any buffer on the way.
		long := strings.Repeat("long ", 100_000)
		say(t, c, long)
		receives(t, c, func(text string) bool { return text == long })
	})

	t.Run("python_websockets", func(t *testing.T) {
		script := `
import asyncio, ssl, sys, websockets
async def main(url, port, root):
    trust = ssl.create_default_context(cafile=root)
    async with websockets.connect(url, ssl=trust, host="127.0.0.1", port=int(port), server_hostname="app.test") as socket:
        print(await socket.recv())
        await socket.send("back to me")
        while await socket.recv() != "back to me":
            pass
        print("echoed", socket.extensions[0].name)
asyncio.run(asyncio.wait_for(main(*sys.argv[1:]), 60))
`
		status, out, errs := finish(t, exec.Command("/usr/bin/python3", "-c", script, address, fmt.Sprint(f.https), l.pki.file))
		first, rest, _ := strings.Cut(out, "\n")
		// The extension was agreed between the two ends, through the tunnel.
		if status != 0 || !timedMessage.MatchString(first) || rest != "echoed permessage-deflate\n" {
			t.Errorf("the Python client ended with %d: %s%s", status, out, errs)
		}
	})

	t.Run("chromium", func(t *testing.T) {
		p := l.newBrowser(t, l.pki.file).open(t, "https://"+f.site("app.test")+"/wstest")
		p.waits(t, "document.querySelectorAll('#board p').length >= 3")
		p.text(t, "socket.send('back to me')")
		p.waits(t, "[...document.querySelectorAll('#board p')].some(p => p.textContent == 'back to me')")
		if got := p.text(t, "socket.url"); got != address {
			t.Errorf("the socket is open at %s, want %s", got, address)
		}
	})

	t.Run("plain_get", func(t *testing.T) {
		got := get(t, f.client(t, true), "https://"+f.site("app.test")+"/websocket?message=hello")
		if got.StatusCode != http.StatusOK || got.body != "hello" {
			t.Errorf("a plain GET on the tunnel's URL: %s %q, want the app's hello", got.Status, got.body)
		}
	})
}

// receives reads messages until one is as wanted.
func receives(t testing.TB, c *websocket.Conn, wanted func(string) bool) {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	for {
		_, message, err := c.ReadMessage()
		if err != nil {
			t.Fatalf("the socket ended before the message came: %v", err)
		}
		if wanted(string(message)) {
			return
		}
	}
}

func say(t testing.TB, c *websocket.Conn, text string) {
	t.Helper()
	if err := c.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		t.Fatal(err)
	}
}
