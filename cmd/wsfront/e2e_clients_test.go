//go:build e2e

package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// The clients of other languages: each is as short as an application would
// write it, and prints "open" when it listens, with the server's word if it is
// told, and "got" with each message. Its argument is the socket's URL.
const (
	pythonSocket = `
import asyncio, sys, websockets

async def main(url):
    position = ""
    while True:
        try:
            async with websockets.connect(url + position, subprotocols=["resume.v1"]) as socket:
                print("open", (await socket.recv()).split(" ")[1], flush=True)
                async for frame in socket:
                    token, message = frame.split("\n", 1)
                    position = "?from=" + token
                    print("got", message, flush=True)
        except (OSError, websockets.WebSocketException):
            pass
        await asyncio.sleep(0.1)

asyncio.run(main(sys.argv[1]))
`
	nodeSocket = `
import { WebSocket } from "ws";

let position = "";
function connect() {
  const socket = new WebSocket(process.argv[1] + position, "resume.v1");
  socket.on("message", data => {
    const [, token, end, rest] = /^(\S+)([ \n])([^]*)$/.exec(data);
    position = "?from=" + token;
    console.log(end == " " ? "open" : "got", rest);
  });
  socket.on("error", () => {});
  socket.on("close", () => setTimeout(connect, 100));
}
connect();
`
	nodeEvents = `
import { EventSource } from "eventsource";

const source = new EventSource(process.argv[1].replace("ws", "http"));
source.onopen = () => console.log("open");
source.onmessage = e => console.log("got", e.data);
`
	curlEvents = `
while :; do
  while IFS= read -r line; do
    case $line in
      retry:*) echo open ;;
      id:*) position=${line#id: } ;;
      data:*) echo "got ${line#data: }" ;;
    esac
  done < <(curl -sN -H "Accept: text/event-stream" -H "Last-Event-ID: $position" "${1/ws/http}")
  sleep 0.1
done
`
	curlPolls = `
position=$(curl -s -D - -o /dev/null -H "Prefer: wait=0" "${1/ws/http}" | tr -d '\r' | sed -n 's/^Next: //p')
echo open
while :; do
  if answer=$(curl -s --fail -D - -H "Prefer: wait=5" "${1/ws/http}?from=$position"); then
    answer=$(tr -d '\r' <<<"$answer")
    position=$(sed -n 's/^Next: //p' <<<"$answer")
    sed -e '1,/^$/d' -e 's/^/got /' <<<"$answer"
  else
    sleep 0.1
  fi
done
`
)

// testClients has a client of each kind connect, receive, and resume over both
// ends that a server may come to. They are stopped before the server starts
// again, so that none of them is connected when the next message is published.
func (l *lab) testClients(t *testing.T) {
	s := l.newPush(t, "--history", "durable")
	s.start(t)
	clients := []*process{
		start(t, "Python's websockets", exec.Command("/usr/bin/python3", "-c", pythonSocket, s.socketURL())),
		start(t, "Node's ws", node(nodeSocket, s.socketURL())),
		start(t, "Node's eventsource", node(nodeEvents, s.socketURL())),
		start(t, "curl, an event stream", exec.Command("bash", "-c", curlEvents, "curl", s.socketURL())),
		start(t, "curl, polls", exec.Command("bash", "-c", curlPolls, "curl", s.socketURL())),
	}
	folder := l.path(t, "python")
	keyFile := writeFile(t, filepath.Join(folder, "publish.key"), pushKey+"\n")
	publisher := writeFile(t, filepath.Join(folder, "publish.py"),
		publisherOf(t, s.publishAt, keyFile)+"import sys\nfor text in sys.argv[1:]:\n    publish(\"board\", text)\n")
	publish := func(texts ...string) {
		t.Helper()
		if status, out, errs := finish(t, exec.Command("/usr/bin/python3", append([]string{publisher}, texts...)...)); status != 0 {
			t.Fatalf("the Python publisher ended with %d: %s%s", status, out, errs)
		}
	}
	for _, c := range clients {
		c.says(t, "open")
	}
	publish("one", "grüße [2]: 50% <b>\\n")
	for _, c := range clients {
		c.says(t, "got grüße")
	}
	for i, by := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		s.end(t, by)
		for _, c := range clients {
			c.signal(syscall.SIGSTOP)
		}
		s.start(t)
		publish(fmt.Sprintf("%v 1", by), fmt.Sprintf("%v 2", by))
		for _, c := range clients {
			c.signal(syscall.SIGCONT)
		}
		for _, c := range clients {
			c.says(t, fmt.Sprintf("got %v 2", by))
		}
		for _, c := range clients[:2] {
			if n := strings.Count(c.log.String(), "open resumed"); n != i+1 {
				t.Errorf("%s was told %d times that it resumes, want %d", c.name, n, i+1)
			}
		}
	}
	// Had something come twice, it would be there before this.
	publish("last")
	want := []string{"one", "grüße [2]: 50% <b>\\n", "terminated 1", "terminated 2", "killed 1", "killed 2", "last"}
	for _, c := range clients {
		c.says(t, "got last")
		var got []string
		for line := range strings.Lines(c.log.String()) {
			if text, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "got "); ok {
				got = append(got, text)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s got %q, want %q", c.name, got, want)
		}
	}
}

// node runs a script where the packages of the script client's tests are.
func node(script string, args ...string) *exec.Cmd {
	cmd := exec.Command("node", append([]string{"--input-type=module", "--eval", script, "--"}, args...)...)
	cmd.Dir = nodeFolder
	return cmd
}

var nodeFolder = filepath.Join("..", "..", "testdata", "push-client")

// testScriptClient runs push.js in Node, over a network that cuts it, while the
// server is restarted twice.
func (l *lab) testScriptClient(t *testing.T) {
	s := l.newPush(t, "--history", "durable")
	s.start(t)
	cmd := exec.Command("node", "live.js")
	cmd.Dir = nodeFolder
	cmd.Env = append(os.Environ(), "PUSH_URL="+s.socketURL(), "PUBLISH_URL=http://"+loopback(s.publishAt)+"/channels/board",
		"PUBLISH_KEY="+pushKey, "MESSAGES=600", "CUTS=40")
	live := start(t, "live.js", cmd)
	for i, by := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		// Messages of all channels are counted together.
		live.until(t, "has published", func() bool { return s.publish(t, "clock", "tick").Seq > uint64(200*(i+1)) })
		s.restart(t, by)
	}
	if status := live.exit(t); status != 0 {
		t.Errorf("live.js ended with %d, want 0", status)
	}
	t.Log(live.says(t, "lost=0 twice=0 disordered=0 gaps=0"))
}
