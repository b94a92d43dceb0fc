package pusher

import (
	"errors"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// withKeys has the API serve at its own server, with these keys alone.
func (s *service) withKeys(keys Keys) *service {
	s.t.Helper()
	api, err := s.API(keys)
	if err != nil {
		s.t.Fatal(err)
	}
	server := httptest.NewServer(api)
	s.t.Cleanup(server.Close)
	return &service{Hub: s.Hub, t: s.t, server: server, log: s.log}
}

func TestKeys_AreForTheirChannelsAndRights(t *testing.T) {
	s := newService(t, Config{}, Endpoint{Channel: "board"}).withKeys(Keys{
		{Name: "django", Secret: "k-django", Channels: []string{"board", "user.*"}},
		{Name: "monitor", Secret: "k-monitor", Channels: []string{"user.*"}, Rights: []Right{RightRead}},
		{Name: "admin", Secret: "k-admin", Channels: []string{"*"}, Rights: []Right{RightManage, RightRead}},
	})
	for _, c := range []struct {
		key, method, path string
		status            int
		says              string
	}{
		{"k-django", "POST", "/channels/board", 200, ""},
		{"k-django", "POST", "/channels/user.7", 200, ""},
		{"k-django", "POST", "/channels/other", 403, "the key django is not for channel other; the operator adds it to channels in push.publish.keys"},
		{"k-django", "GET", "/channels", 403, "the key django has no right to read; the operator gives it one by rights in push.publish.keys"},
		{"k-django", "GET", "/channels/board", 403, "no right to read"},
		{"k-django", "GET", "/channels/board/presence", 403, "no right to read"},
		{"k-django", "DELETE", "/channels/board/history", 403, "no right to manage"},
		{"k-django", "DELETE", "/clients/1", 403, "no right to manage"},
		{"k-django", "DELETE", "/users/ann", 403, "no right to manage"},
		{"k-monitor", "POST", "/channels/user.7", 403, "no right to publish"},
		{"k-monitor", "POST", "/publish", 403, "no right to publish"},
		{"k-monitor", "GET", "/channels/board", 403, "not for channel board"},
		{"k-monitor", "GET", "/channels/user.7", 200, `"messages":1`},
		{"k-monitor", "GET", "/channels", 200, `{"channels":[{"name":"user.7","subscribers":0,"messages":1}]}`},
		{"k-admin", "GET", "/channels", 200, `{"name":"board"`},
		{"k-admin", "DELETE", "/channels/board/history", 204, ""},
		{"k-other", "POST", "/channels/board", 401, "wrong key"},
	} {
		if got := s.call(c.key, c.method, c.path, "hi", c.status); !strings.Contains(got, c.says) {
			t.Errorf("%s %s %s: %s", c.key, c.method, c.path, got)
		}
	}
	s.log.await(t, EventRefused, "WARN status=403", "path=/channels/other", "key=django")
	got := s.call("k-django", "POST", "/publish", `{"channel":"board","data":"x"}`+"\n"+`{"channels":["board","other"],"data":"x"}`, 200)
	if lines := strings.Split(got, "\n"); !strings.Contains(lines[0], `{"positions":{"board":`) || !strings.Contains(lines[1], `"status":403`) {
		t.Errorf("batch: %s", got)
	}
	s.log.await(t, EventRefused, "WARN status=403", "path=/publish", "key=django", "not for channel other")
	for _, line := range s.log.find(EventRefused) {
		if strings.Contains(line, "k-") {
			t.Errorf("a key is in the log: %s", line)
		}
	}
}

func TestKeys_AreReadAgainWhenTheirFileChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path, another := filepath.Join(t.TempDir(), "django.key"), filepath.Join(t.TempDir(), "another.key")
		writeTo := func(path, text string, mode os.FileMode) {
			t.Helper()
			if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chmod(path, mode)); err != nil {
				t.Fatal(err)
			}
		}
		write := func(text string, mode os.FileMode) { t.Helper(); writeTo(path, text, mode) }
		log := &journal{}
		write("first\n", 0o600)
		writeTo(another, "fifth\n", 0o600)
		keys, err := newAccessKeys([]Key{{Name: "django", KeyFile: path}, {Name: "other", Secret: "taken"}, {Name: "another", KeyFile: another}}, slog.New(log))
		if err != nil {
			t.Fatal(err)
		}
		expect := func(what, valid, invalid string) {
			t.Helper()
			for _, word := range strings.Fields(valid) {
				if k := keys.find(word); k == nil || k.Name != "django" {
					t.Errorf("%s: %s is not valid", what, word)
				}
			}
			for _, word := range strings.Fields(invalid) {
				if keys.find(word) != nil {
					t.Errorf("%s: %s is valid", what, word)
				}
			}
		}
		expect("at first", "first", "second")
		write("first\nsecond\n", 0o600)
		expect("within a second", "first", "second")
		time.Sleep(keyLookInterval)
		expect("with two lines", "first second", "taken-by-nobody")
		write("second\n", 0o600)
		time.Sleep(keyLookInterval)
		expect("with one line", "second", "first")
		for _, bad := range []struct {
			text string
			mode os.FileMode
		}{{"third\n", 0o644}, {"\n", 0o600}, {"two words\n", 0o600}, {"taken\n", 0o600}} {
			write(bad.text, bad.mode)
			time.Sleep(keyLookInterval)
			expect("when it cannot be used", "second", "third two")
		}
		writeTo(another, "seventh\n", 0o600)
		time.Sleep(keyLookInterval)
		if k := keys.find("seventh"); k == nil || k.Name != "another" {
			t.Error("a mistake in one file keeps another from being read")
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(keyLookInterval)
		expect("when it is gone", "second", "third")
		write("fourth\n", 0o600)
		time.Sleep(keyLookInterval)
		expect("when it is back", "fourth", "second")
		if lines := log.find(EventPublishKey); len(lines) != 9 || !strings.HasPrefix(lines[0], "INFO key=django file="+path+" secrets=2") ||
			!strings.HasPrefix(lines[2], "WARN key=django") || !strings.Contains(lines[5], "the keys django and other have a secret in common") {
			t.Errorf("log: %s", strings.Join(lines, "\n"))
		}
		for _, line := range log.find(EventPublishKey) {
			if strings.Contains(line, "third") || strings.Contains(line, "second\n") {
				t.Errorf("a key is in the log: %s", line)
			}
		}
	})
}

func TestKeys_MistakesAreNamed(t *testing.T) {
	err := Keys{{Name: "a b"}, {Name: "x", Secret: "s", Channels: []string{"a/b"}, Rights: []Right{"write"}}, {Name: "x", Secret: "t", Channels: []string{"*"}}}.Validate()
	var list FieldErrors
	if !errors.As(err, &list) {
		t.Fatal(err)
	}
	var fields []string
	for _, e := range list {
		fields = append(fields, e.Field)
	}
	if got, want := strings.Join(fields, " "), "keys[0].name keys[0].key_file keys[0].channels keys[1].channels[0] keys[1].rights[0] keys[2].name"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	hub, err := New(Config{}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for want, keys := range map[string]Keys{
		"keys[0].name": {{}},
		"read publish key: open " + filepath.Join(os.DevNull, "x"): {{Name: "x", KeyFile: filepath.Join(os.DevNull, "x"), Channels: []string{"*"}}},
		"the keys x and y have a secret in common":                 {{Name: "x", Secret: "s", Channels: []string{"*"}}, {Name: "y", Secret: "s", Channels: []string{"*"}}},
	} {
		if _, err := hub.API(keys); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestKey_ItsSecretIsNotPrinted(t *testing.T) {
	log := &journal{}
	key := Key{Name: "django", Secret: "hidden"}
	slog.New(log).Info("x", "key", key, "keys", Keys{key})
	if line := log.find("x")[0]; strings.Contains(line, "hidden") || !strings.Contains(line, "key=django") {
		t.Error(line)
	}
}
