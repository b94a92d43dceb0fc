package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"golang.org/x/crypto/bcrypt"
)

// secretive is a wsfront with every secret that it can have, and a log that
// leaves nothing out.
type secretive struct {
	t              *testing.T
	dir            string
	front, publish string
	cmd            *exec.Cmd
	log            bytes.Buffer // to be read after the end
	client         *http.Client
}

const (
	tokenSecret = "token-secret-0123456789abcdef0123456789"
	password    = "pass-word-of-staff"
	wrongKey    = "wrong-key-that-nobody-has"
)

func startSecretive(t *testing.T) *secretive {
	t.Helper()
	s := &secretive{t: t, dir: t.TempDir(), front: freeAddress(t), publish: freeAddress(t)}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	s.write("htpasswd", "staff:"+string(hash)+"\n")
	s.write("token.secret", tokenSecret+"\n")
	s.write("wsfront.yaml", fmt.Sprintf(`listen: %[1]s
http_listen: off
state: state
log: {level: debug}
sites:
  - hosts: [app.test]
    tls: internal
    routes:
      - {path: /websocket, push: {inbound: publish, token: {keys: [{id: one, alg: HS256, secret_file: %[3]s/token.secret}]}}}
      - {path: /staff/, files: %[3]s, basic_auth: %[3]s/htpasswd}
push: {publish: {listen: '%[2]s'}}
`, s.front, s.publish, s.dir))
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(t.TempDir(), "wsfront") // the name makes this test wsfront: see TestMain
	if err := os.Symlink(self, binary); err != nil {
		t.Fatal(err)
	}
	s.cmd = exec.Command(binary, "run", "--config", "wsfront.yaml")
	s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = s.dir, &s.log, &s.log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	transport := &http.Transport{TLSClientConfig: &tls.Config{ServerName: "app.test", InsecureSkipVerify: true}}
	t.Cleanup(transport.CloseIdleConnections)
	s.client = &http.Client{Transport: transport, Timeout: patience}
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) { // between two tries
		conn, err := net.Dial("unix", filepath.Join(s.dir, "state", "admin.sock")) // the last that is made
		if err == nil {
			conn.Close()
			return s
		}
		if time.Now().After(deadline) {
			s.stop()
			t.Fatalf("%v\n%s", err, &s.log)
		}
	}
}

func (s *secretive) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// stop ends wsfront, after which its log is whole.
func (s *secretive) stop() {
	if s.cmd.ProcessState == nil {
		_ = s.cmd.Process.Signal(syscall.SIGTERM)
		_ = s.cmd.Wait()
	}
}

// ask sends a request and returns the answer's status.
func (s *secretive) ask(method, url, body string, header ...string) int {
	s.t.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Host = "app.test"
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := s.client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

// listen opens a WebSocket, and returns the status that it got.
func (s *secretive) listen(query string, protocols ...string) int {
	s.t.Helper()
	d := websocket.Dialer{TLSClientConfig: &tls.Config{ServerName: "app.test", InsecureSkipVerify: true}, HandshakeTimeout: patience, Subprotocols: protocols}
	c, res, err := d.Dial("wss://"+s.front+"/websocket"+query, http.Header{"Host": {"app.test"}})
	if err == nil {
		c.Close()
	}
	if res == nil {
		s.t.Fatal(err)
	}
	return res.StatusCode
}

// signed is a token as the app would make it.
func signed(claims string) string {
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	mac := hmac.New(sha256.New, []byte(tokenSecret))
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// Keys, passwords and tokens come by in requests that are allowed and in those
// that are not, also where they do not belong. None of them may stay in a log,
// whatever its level.
func TestSecrets_AreInNoLog(t *testing.T) {
	s := startSecretive(t)
	text, err := os.ReadFile(filepath.Join(s.dir, "state", "publish.key"))
	if err != nil {
		t.Fatal(err)
	}
	key := strings.TrimSpace(string(text))
	good := signed(fmt.Sprintf(`{"sub":"ada","channels":["board"],"exp":%d}`, time.Now().Add(time.Hour).Unix()))
	bad := signed(`{"sub":"ada","channels":["board"],"exp":1}`)
	api, front := "http://"+s.publish, "https://"+s.front
	basic := base64.StdEncoding.EncodeToString([]byte("staff:" + password))
	wrongBasic := base64.StdEncoding.EncodeToString([]byte("staff:" + wrongKey))
	for i, got := range []struct{ status, want int }{
		{s.ask("POST", api+"/channels/board", "hello", "Authorization", "Bearer "+key), http.StatusOK},
		{s.ask("POST", api+"/channels/board", "hello", "X-API-Key", key), http.StatusOK},
		{s.ask("GET", api+"/channels/board", "", "Authorization", "Bearer "+key), http.StatusOK},
		{s.ask("POST", api+"/channels/no such name", "hello", "Authorization", "Bearer "+key), http.StatusBadRequest},
		{s.ask("POST", api+"/channels/board", "hello", "Authorization", "Bearer "+wrongKey), http.StatusUnauthorized},
		{s.ask("POST", api+"/channels/board", "hello", "Authorization", "Bearer "+key+"x"), http.StatusUnauthorized},
		{s.ask("GET", front+"/staff/token.secret", "", "Authorization", "Basic "+wrongBasic), http.StatusUnauthorized},
		{s.ask("GET", front+"/staff/wsfront.yaml", "", "Authorization", "Basic "+basic), http.StatusOK},
		{s.ask("GET", front+"/elsewhere", "", "Authorization", "Bearer "+key), http.StatusNotFound},
		{s.listen("?channel=board&token=" + good), http.StatusSwitchingProtocols},
		{s.listen("?channel=board&token=" + bad), http.StatusUnauthorized},
		{s.listen("?channel=board", "resume.v1", "token."+good), http.StatusSwitchingProtocols},
	} {
		if got.status != got.want {
			t.Errorf("request %d: status %d, want %d", i+1, got.status, got.want)
		}
	}
	s.stop()
	log := s.log.String()
	if !strings.Contains(log, "/websocket?channel=board") || !strings.Contains(log, "level=") {
		t.Errorf("the log lacks what it should have:\n%s", log)
	}
	for what, secret := range map[string]string{"the publish key": key, "a wrong key": wrongKey, "a password": password, "a password, encoded": basic,
		"a wrong password, encoded": wrongBasic, "a token": good, "a token that is refused": bad, "the tokens' secret": tokenSecret} {
		if strings.Contains(log, secret) {
			t.Errorf("%s is in the log:\n%s", what, log)
		}
	}
}

// What is secret is its owner's alone, whatever umask wsfront is started with,
// and so is the socket that takes orders.
func TestSecrets_AreTheirOwnersAlone(t *testing.T) {
	before := syscall.Umask(0)
	t.Cleanup(func() { syscall.Umask(before) })
	s := startSecretive(t)
	found := map[string]bool{}
	state := filepath.Join(s.dir, "state")
	err := filepath.WalkDir(state, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a temporary file
		}
		if err != nil {
			return err
		}
		secret := strings.HasSuffix(path, ".key") || d.Type()&fs.ModeSocket != 0
		if text, err := os.ReadFile(path); err == nil {
			if block, _ := pem.Decode(text); block != nil && strings.Contains(block.Type, "PRIVATE") {
				secret = true
			}
		}
		if secret {
			found[filepath.Base(path)] = true
			if info.Mode().Perm() != 0o600 {
				t.Errorf("%s has mode %o", path, info.Mode().Perm())
			}
		}
		if d.IsDir() && path == state && info.Mode().Perm() != 0o700 {
			t.Errorf("%s has mode %o", path, info.Mode().Perm())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"publish.key", "root.key", "admin.sock"} {
		if !found[name] {
			t.Errorf("%s was not looked at", name)
		}
	}
}

// The service of the packages may do what it needs, and nothing else.
func TestUnit_RunsUnprivileged(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "deploy", "packaging", "wsfront.service"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	for _, want := range []string{"User=wsfront", "Group=wsfront", "UMask=0027", "StateDirectoryMode=0700", "NoNewPrivileges=yes", "ProtectSystem=strict",
		"AmbientCapabilities=CAP_NET_BIND_SERVICE", "CapabilityBoundingSet=CAP_NET_BIND_SERVICE", "PrivateTmp=yes", "PrivateDevices=yes",
		"MemoryDenyWriteExecute=yes", "RestrictNamespaces=yes", "SystemCallFilter=@system-service"} {
		if !slices.Contains(lines, want) {
			t.Errorf("the unit does not say %s", want)
		}
	}
}
