//go:build e2e

package main_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"wsfront/pusher"
)

// pushServer is a wsfront push that is started and ended as often as a test
// likes, at the same addresses and with the same state folder.
type pushServer struct {
	*process
	lab       *lab
	flags     []string
	at        int
	publishAt int
	state     string
}

// pushKey is the key of publishers; it is given by a flag, so that it outlives
// the state folder.
const pushKey = "key-of-the-end-to-end-tests"

// newPush chooses the addresses of a wsfront push that is not started yet.
func (l *lab) newPush(t testing.TB, flags ...string) *pushServer {
	t.Helper()
	return &pushServer{lab: l, flags: flags, at: l.port(t), publishAt: l.port(t), state: filepath.Join(l.path(t, "push"), "state")}
}

// start runs it and waits until both of its addresses take connections.
func (s *pushServer) start(t testing.TB) {
	t.Helper()
	args := append([]string{"push", "--listen", loopback(s.at), "--publish-listen", loopback(s.publishAt), "--publish-key", pushKey, "--state", s.state}, s.flags...)
	s.process = start(t, "wsfront push", exec.Command(s.lab.binary, args...))
	s.listens(t, loopback(s.publishAt))
	s.listens(t, loopback(s.at))
}

// end ends it, by SIGTERM as an operator does or by SIGKILL as fate does, and
// waits until its clients have seen that, too: it waits for their goodbyes.
func (s *pushServer) end(t testing.TB, by syscall.Signal, clients ...*resumer) {
	t.Helper()
	s.signal(by)
	for _, c := range clients {
		if text, _, err := c.read(); err == nil {
			t.Errorf("got %q, want the end of the connection", text)
		}
	}
	if status := s.exit(t); by == syscall.SIGTERM && status != 0 {
		t.Errorf("wsfront push ended with %d, want 0", status)
	}
}

func (s *pushServer) restart(t testing.TB, by syscall.Signal, clients ...*resumer) {
	t.Helper()
	s.end(t, by, clients...)
	s.start(t)
}

func (s *pushServer) socketURL() string { return "ws://" + loopback(s.at) + "/websocket" }

// publish publishes and returns the message's position.
func (s *pushServer) publish(t testing.TB, channel, text string) pusher.Position {
	t.Helper()
	at, err := s.tryPublish(t.Context(), channel, text, "")
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// errRefused is an answer to a publish that trying again does not change.
var errRefused = errors.New("the publish was refused")

// tryPublish publishes once; id is the Idempotency-Key, if not empty.
func (s *pushServer) tryPublish(ctx context.Context, channel, text, id string) (pusher.Position, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+loopback(s.publishAt)+"/channels/"+channel, strings.NewReader(text))
	if err != nil {
		return pusher.Position{}, err
	}
	r.Header.Set("Authorization", "Bearer "+pushKey)
	if id != "" {
		r.Header.Set("Idempotency-Key", id)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return pusher.Position{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return pusher.Position{}, err
	}
	if res.StatusCode < 500 && res.StatusCode != http.StatusOK {
		return pusher.Position{}, fmt.Errorf("%w: %s %s", errRefused, res.Status, body)
	}
	var receipt struct{ Position string }
	if res.StatusCode != http.StatusOK || json.Unmarshal(body, &receipt) != nil {
		return pusher.Position{}, fmt.Errorf("publish: %s %s", res.Status, body)
	}
	at, ok := pusher.ParsePosition(receipt.Position)
	if !ok {
		return pusher.Position{}, fmt.Errorf("publish: the answer has no position: %s", body)
	}
	return at, nil
}

// resumer is a client with the subprotocol resume.v1: what it keeps between two
// connections is one token.
type resumer struct {
	conn  *websocket.Conn
	url   string
	token string
}

// connect opens the socket, from the token if there is one, and returns how the
// server goes on: new, resumed or gap.
func (c *resumer) connect(ctx context.Context) (how string, err error) {
	url := c.url
	if c.token != "" {
		url += "?from=" + c.token
	}
	d := websocket.Dialer{Subprotocols: []string{"resume.v1"}, HandshakeTimeout: patience}
	if c.conn, _, err = d.DialContext(ctx, url, nil); err != nil {
		return "", err
	}
	if err := c.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	_, frame, err := c.conn.ReadMessage()
	if err != nil {
		return "", err
	}
	var spaced bool
	if c.token, how, spaced = strings.Cut(string(frame), " "); !spaced {
		return "", fmt.Errorf("the first frame is %q, want a token and a word", frame)
	}
	return how, nil
}

// read returns the next message and its position.
func (c *resumer) read() (text string, at pusher.Position, err error) {
	_, frame, err := c.conn.ReadMessage()
	if err != nil {
		return "", pusher.Position{}, err
	}
	token, text, ok := strings.Cut(string(frame), "\n")
	if at, valid := pusher.ParsePosition(token); ok && valid {
		c.token = token
		return text, at, nil
	}
	return "", pusher.Position{}, fmt.Errorf("%w: %q", errNotResume, frame)
}

// errNotResume is a frame that has no place in a stream without a gap.
var errNotResume = errors.New("no frame of resume.v1 with a message")

// comes connects a client and says how it must go on.
func (c *resumer) comes(t testing.TB, want string) {
	t.Helper()
	if how, err := c.connect(t.Context()); err != nil || how != want {
		t.Fatalf("from %q: %q, %v; want %s", c.token, how, err, want)
	}
	t.Cleanup(func() { _ = c.conn.Close() })
}

// gets reads messages that must be exactly these.
func (c *resumer) gets(t testing.TB, want ...string) {
	t.Helper()
	for _, text := range want {
		if got, _, err := c.read(); err != nil || got != text {
			t.Fatalf("got %q, %v; want %q", got, err, text)
		}
	}
}

// testHistory loses what was published in the ways in which it can be lost, and
// sees that clients who missed something are told, and nobody else is.
func (l *lab) testHistory(t *testing.T) {
	t.Run("wiped", func(t *testing.T) {
		s := l.newPush(t, "--history", "durable")
		s.start(t)
		c := &resumer{url: s.socketURL()}
		c.comes(t, "new")
		s.publish(t, "board", "before")
		c.gets(t, "before")
		s.restart(t, syscall.SIGKILL, c)
		c.comes(t, "resumed") // so it is the wipe and no other thing that makes the gap
		s.end(t, syscall.SIGKILL, c)
		remove(t, s.state)
		s.start(t)
		c.comes(t, "gap")
		s.publish(t, "board", "after")
		c.gets(t, "after")
	})
	t.Run("restored", func(t *testing.T) {
		s := l.newPush(t, "--history", "durable")
		s.start(t)
		old := &resumer{url: s.socketURL()}
		old.comes(t, "new")
		s.publish(t, "board", "one")
		old.gets(t, "one")
		s.end(t, syscall.SIGTERM, old)
		saved := filepath.Join(l.path(t, "saved"), "state")
		if err := os.CopyFS(saved, os.DirFS(s.state)); err != nil {
			t.Fatal(err)
		}
		s.start(t)
		ahead := &resumer{url: s.socketURL(), token: old.token}
		ahead.comes(t, "resumed")
		s.publish(t, "board", "two")
		s.publish(t, "board", "three")
		ahead.gets(t, "two", "three")
		s.end(t, syscall.SIGTERM, ahead)
		remove(t, s.state)
		if err := os.Rename(saved, s.state); err != nil {
			t.Fatal(err)
		}
		s.start(t)
		// More than were lost: the numbers of the lost ones are now those of others.
		others := []string{"another two", "another three", "another four"}
		for _, text := range others {
			s.publish(t, "board", text)
		}
		old.comes(t, "resumed")
		old.gets(t, others...) // so that they have gone out before ahead comes
		ahead.comes(t, "gap")
		s.publish(t, "board", "five")
		old.gets(t, "five")
		ahead.gets(t, "five")
	})
	t.Run("memory", func(t *testing.T) {
		s := l.newPush(t)
		s.start(t)
		c := &resumer{url: s.socketURL()}
		c.comes(t, "new")
		for i, by := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
			text := fmt.Sprintf("before %d", i)
			s.publish(t, "board", text)
			c.gets(t, text)
			_ = c.conn.Close()
			c.comes(t, "resumed")
			s.restart(t, by, c)
			c.comes(t, "gap")
		}
	})
}

func remove(t testing.TB, folder string) {
	t.Helper()
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
}
