package pusher

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestLoadKey_MadeOnceForItsOwnerAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state", "wsfront")
	path := filepath.Join(dir, "publish.key")
	key, created, err := LoadKey(path)
	if err != nil || !created || len(key) != 43 {
		t.Fatalf("got %q, %t, %v", key, created, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	again, created, err := LoadKey(path)
	if again != key || created || err != nil {
		t.Errorf("second time: %q, %t, %v", again, created, err)
	}
	if names, err := os.ReadDir(dir); len(names) != 1 || err != nil {
		t.Errorf("left in the folder: %v, %v", names, err)
	}
}

func TestLoadKey_AllWhoRaceEndWithOneKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "publish.key")
	const racers = 20
	var keys [racers]string
	var created [racers]bool
	var racing sync.WaitGroup
	for i := range racers {
		racing.Go(func() {
			var err error
			if keys[i], created[i], err = LoadKey(path); err != nil {
				t.Error(err)
			}
		})
	}
	racing.Wait()
	makers := 0
	for i := range racers {
		if keys[i] != keys[0] || keys[i] == "" {
			t.Errorf("keys differ: %q and %q", keys[i], keys[0])
		}
		if created[i] {
			makers++
		}
	}
	if makers != 1 {
		t.Errorf("%d say they made it", makers)
	}
}

func TestLoadKey_RefusesWhatIsNoSafeKey(t *testing.T) {
	for _, c := range []struct {
		name, content string
		mode          os.FileMode
		want, says    string
	}{
		{"a word", "secret\n", 0o600, "secret", ""},
		{"a word without a line end, read-only", "secret", 0o400, "secret", ""},
		{"readable by the group", "secret\n", 0o640, "secret", ""},
		{"writable by the group", "secret\n", 0o660, "", "(mode 0660); run: chmod 640 "},
		{"readable by all", "secret\n", 0o604, "", "(mode 0604); run: chmod 640 "},
		{"empty", "", 0o600, "", "is empty; write one into it, or delete it"},
		{"blank", " \n", 0o600, "", "is empty; write one into it, or delete it"},
		{"two words", "secret key\n", 0o600, "", "a line that is not one word of printable ASCII"},
		{"two keys", "\nsecret\r\nkey\n", 0o600, "secret", ""},
		{"not ASCII", "sécret\n", 0o600, "", "is not one word of printable ASCII"},
		{"some other file", strings.Repeat("x", maxKeyFile+1), 0o600, "", "has more than 4096 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "publish.key")
			if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, c.mode); err != nil {
				t.Fatal(err)
			}
			key, created, err := LoadKey(path)
			if key != c.want || created || (err == nil) != (c.says == "") {
				t.Fatalf("got %q, %t, %v", key, created, err)
			}
			if err != nil && (!strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), path)) {
				t.Errorf("%v does not say %q", err, c.says)
			}
		})
	}
	if _, _, err := LoadKey(filepath.Join(os.DevNull, "publish.key")); err == nil {
		t.Error("made a key where there is no folder")
	}
}
