package admin

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// tokened is a rig that asks for a token, and its file and log.
func tokened(t *testing.T) (r *rig, path, token string, log *bytes.Buffer) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "state", "admin.token")
	log = &bytes.Buffer{}
	opened, err := OpenToken(path, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s := some()
	s.NotReady = func(context.Context) []string { return []string{"no backend of secret-site can be reached"} }
	return serveAt(t, s, Access{Token: opened}), path, strings.TrimSpace(string(text)), log
}

func TestToken_IsMadeForItsOwnerAlone(t *testing.T) {
	_, path, token, log := tokened(t)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 || len(token) != 43 {
		t.Errorf("%v, %v, %q", info.Mode(), err, token)
	}
	if !strings.Contains(log.String(), "msg=admin.token.created") || strings.Contains(log.String(), token) {
		t.Errorf("the log: %s", log)
	}
	if _, err := OpenToken(path, slog.New(slog.NewTextHandler(log, nil))); err != nil {
		t.Error(err)
	}
	if again, err := os.ReadFile(path); err != nil || strings.TrimSpace(string(again)) != token {
		t.Errorf("another one was made: %v", err)
	}
}

func TestToken_FilesThatCannotBe(t *testing.T) {
	for text, want := range map[string]string{
		"": "is empty", "\n \n": "is empty", "short\n": "16 or more", "two words that are long\n": "16 or more",
		"0123456789abcdef\nshort\n": "16 or more", strings.Repeat("x", 5000): "some other file",
	} {
		path := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenToken(path, nil); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte("0123456789abcdef"), 0o600); err != nil {
		t.Fatal(err)
	}
	for mode, fits := range map[os.FileMode]bool{0o600: true, 0o640: true, 0o400: true, 0o644: false, 0o660: false, 0o602: false} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenToken(path, nil); (err == nil) != fits {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
}

func TestToken_IsAskedFor(t *testing.T) {
	r, path, token, log := tokened(t)
	r.want(401, "GET", "/status")
	r.want(401, "POST", "/reload")
	r.want(401, "GET", "/status", "Authorization", "Bearer wrong")
	r.want(401, "GET", "/status", "Authorization", "Bearer "+token+"x")
	r.want(401, "GET", "/status", "Authorization", "Basic "+token)
	r.want(401, "GET", "/status", "Cookie", "wsfront_admin_7071="+token)
	r.want(200, "GET", "/status", "Authorization", "Bearer "+token)
	r.want(200, "POST", "/reload", "Authorization", "bearer "+token)
	r.want(200, "GET", "/status", "Authorization", "Bearer "+token, "Host", "any.name.example") // a page of that name has no token
	r.want(200, "GET", "/healthz")
	r.want(200, "GET", "/")
	r.want(200, "GET", "/page/main.js", "Cookie", "wsfront_admin_7071=of-a-session-that-has-ended")
	r.want(401, "GET", "/events")
	if text := r.want(503, "GET", "/readyz"); strings.Contains(text, "secret-site") {
		t.Errorf("without the token: %s", text)
	}
	if text := r.want(503, "GET", "/readyz", "Authorization", "Bearer "+token); !strings.Contains(text, "secret-site") {
		t.Errorf("with the token: %s", text)
	}
	r.want(401, "GET", "/readyz", "Authorization", "Bearer wrong")

	second := "0123456789abcdef"
	if err := os.WriteFile(path, []byte(token+"\n"+second+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.want(200, "GET", "/status", "Authorization", "Bearer "+token)
	r.want(200, "GET", "/status", "Authorization", "Bearer "+second)
	if err := os.WriteFile(path, []byte(second), 0o600); err != nil {
		t.Fatal(err)
	}
	r.want(401, "GET", "/status", "Authorization", "Bearer "+token)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if text := r.want(503, "GET", "/status", "Authorization", "Bearer "+second); strings.Contains(text, path) {
		t.Errorf("the answer names the file: %s", text)
	}
	r.end()
	if text := log.String(); strings.Contains(text, token) || !strings.Contains(text, `msg=admin.denied client=127.0.0.1 reason="wrong token"`) || !strings.Contains(text, path) {
		t.Errorf("the log: %s", text)
	}
}

func TestToken_GuessingIsSlow(t *testing.T) {
	r, _, token, _ := tokened(t)
	for range maxMisses {
		r.want(401, "GET", "/status", "Authorization", "Bearer guess")
	}
	if res, text := r.ask("GET", "/status", "Authorization", "Bearer guess"); res.StatusCode != 429 || res.Header.Get("Retry-After") == "" {
		t.Errorf("%s: %s", res.Status, text)
	}
	if res, _ := r.login(token); res.StatusCode != 429 {
		t.Error(res.Status)
	}
}

func TestMisses_AreCountedByNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m misses
		for range maxMisses {
			m.add("[2001:db8::1]:1", time.Now())
		}
		for remote, want := range map[string]bool{"[2001:db8::2]:9": true, "[2001:db8:0:1::1]:1": false, "192.0.2.1:1": false} {
			if got := m.tooMany(remote, time.Now()); got != want {
				t.Errorf("%s: %v", remote, got)
			}
		}
		for i := range 2 * maxMissing {
			m.add(fmt.Sprintf("10.0.%d.%d:1", i>>8, i&255), time.Now())
		}
		if len(m.by) > maxMissing {
			t.Errorf("%d addresses are remembered", len(m.by))
		}
		time.Sleep(missTime)
		if m.tooMany("[2001:db8::1]:1", time.Now()) {
			t.Error("it is remembered for ever")
		}
	})
}

func TestLogin_BeginsASession(t *testing.T) {
	r, path, token, _ := tokened(t)
	if res, text := r.login("wrong"); res.StatusCode != 401 || len(res.Cookies()) > 0 {
		t.Errorf("%s: %s", res.Status, text)
	}
	res, text := r.login(token)
	if res.StatusCode != 303 || res.Header.Get("Location") != "/" || len(res.Cookies()) != 1 {
		t.Fatalf("%s: %s", res.Status, text)
	}
	set := res.Header.Get("Set-Cookie")
	for _, want := range []string{"wsfront_admin_7071=", "Path=/", "Max-Age=43200", "HttpOnly", "SameSite=Strict"} {
		if !strings.Contains(set, want) {
			t.Errorf("no %s in %s", want, set)
		}
	}
	cookie := res.Cookies()[0].Name + "=" + res.Cookies()[0].Value
	if strings.Contains(set, token) {
		t.Error("the cookie has the token")
	}
	r.want(200, "GET", "/status", "Cookie", cookie)
	r.want(200, "POST", "/reload", "Cookie", cookie, "Origin", "http://localhost:7071")
	r.want(403, "POST", "/reload", "Cookie", cookie, "Origin", "http://evil.example")
	r.want(401, "GET", "/status", "Cookie", cookie+"x")
	if err := os.WriteFile(path, []byte("another-token-0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.want(401, "GET", "/status", "Cookie", cookie)
}

// What lasts ends with the right to it, by whatever that was shown.
func TestToken_EventsEndWithTheRightToThem(t *testing.T) {
	_, path, text, _ := tokened(t)
	synctest.Test(t, func(t *testing.T) {
		token, err := OpenToken(path, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		s := some()
		s.Page = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		h := Handler(s, Access{Token: token})
		listen := func(header, value string) (ended chan struct{}) {
			ended = make(chan struct{})
			r := httptest.NewRequest("GET", "http://localhost:7071/events", nil)
			r.Header.Set(header, value)
			go func() { // ends with the right to it, awaited below
				defer close(ended)
				h.ServeHTTP(httptest.NewRecorder(), r)
			}()
			return ended
		}
		over := func(ended chan struct{}) bool {
			select {
			case <-ended:
				return true
			default:
				return false
			}
		}
		cookie := "wsfront_admin_7071=" + token.sessions.begin(sha256.Sum256([]byte(text)), time.Now())
		bySession, byToken := listen("Cookie", cookie), listen("Authorization", "Bearer "+text)
		time.Sleep(sessionTime - time.Second)
		synctest.Wait()
		if over(bySession) || over(byToken) {
			t.Error("it ended early")
		}
		time.Sleep(recheckTime + time.Second)
		synctest.Wait()
		if !over(bySession) || over(byToken) {
			t.Errorf("after the session's time the stream of the session is over: %v, that of the token: %v", over(bySession), over(byToken))
		}
		if err := os.WriteFile(path, []byte("another-token-0123456789"), 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(recheckTime + time.Second)
		synctest.Wait()
		if !over(byToken) {
			t.Error("the stream outlives its token")
		}
		<-bySession
		<-byToken
	})
}

func TestLogin_BodiesThatAreNoForm(t *testing.T) {
	r, _, token, _ := tokened(t)
	if res, _ := r.send("POST", "/login", "token="+strings.Repeat("x", maxLogin), "Content-Type", "application/x-www-form-urlencoded"); res.StatusCode != 400 {
		t.Error(res.Status)
	}
	if res, _ := r.send("POST", "/login", `{"token": "x"}`, "Content-Type", "application/json"); res.StatusCode != 401 {
		t.Error(res.Status)
	}
	// A token in the address would get into histories.
	r.want(401, "POST", "/login?token="+token)
}

// Where no token is asked for, the form leads to the page all the same.
func TestLogin_WhereNoneIsNeeded(t *testing.T) {
	r := serveAt(t, some(), Access{})
	if res, _ := r.login("x"); res.StatusCode != 303 || len(res.Cookies()) > 0 {
		t.Errorf("%s, %v", res.Status, res.Cookies())
	}
}

func TestSessions_EndAndAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sessions{}
		first := s.begin([32]byte{1}, time.Now())
		time.Sleep(sessionTime - 1)
		second := s.begin([32]byte{1}, time.Now())
		if _, ok := s.of(first, time.Now()); !ok {
			t.Error("it ended early")
		}
		time.Sleep(time.Nanosecond)
		if _, ok := s.of(first, time.Now()); ok {
			t.Error("it lasts for ever")
		}
		for range maxSessions {
			time.Sleep(time.Nanosecond)
			s.begin([32]byte{1}, time.Now())
		}
		if _, ok := s.of(second, time.Now()); ok || len(s) != maxSessions {
			t.Errorf("%d sessions, the oldest is there: %v", len(s), ok)
		}
	})
}
