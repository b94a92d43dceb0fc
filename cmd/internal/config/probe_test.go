package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// probe parses the text and returns its warnings, one per line.
func probe(t *testing.T, text string) string {
	t.Helper()
	f, err := Parse("wsfront.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, w := range Probe(t.Context(), f) {
		lines = append(lines, w.String())
	}
	return strings.Join(lines, "\n")
}

// listen opens a listener that accepts and closes.
func listen(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

// free is an address at which nobody listens.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// writePair writes a certificate that is valid for the given time, and its
// key.
func writePair(t *testing.T, dir, name string, begin, end time.Time, hosts ...string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: begin, NotAfter: end, DNSNames: hosts}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")
	writeFile(t, cert, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	writeFile(t, key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})))
	return cert, key
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestProbe_SilentWhenEverythingFits(t *testing.T) {
	dir := t.TempDir()
	cert, key := writePair(t, dir, "app", time.Now().Add(-time.Hour), time.Now().Add(90*24*time.Hour), "app.example.com", "*.app.example.com")
	socket := filepath.Join(dir, "app.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	got := probe(t, fmt.Sprintf(`
listen: 127.0.0.1:0
http_listen: 127.0.0.1:0
state: %s/made/at/start
sites:
  - hosts: [app.example.com, "*.app.example.com"]
    tls: {cert: %s, key: %s}
    routes:
      - {path: /ws, push: {channel: board}}
      - {path: /chat, tunnel: "ws://%s"}
      - {path: /static/, files: %s, fallback: /app.pem}
      - {path: /app.pem, files: %s}
      - {path: /, app: "unix:%s"}
push: {publish: {listen: "127.0.0.1:0"}}
`, dir, cert, key, listen(t), dir, cert, socket))
	if got != "" {
		t.Errorf("warnings:\n%s", got)
	}
	if left, _ := filepath.Glob(dir + "/.wsfront*"); left != nil {
		t.Errorf("left behind: %v", left)
	}
	if _, err := os.Stat(dir + "/made"); err == nil {
		t.Error("the state folder was made")
	}
}

func TestProbe_WarnsWithPositionAndRemedy(t *testing.T) {
	dir := t.TempDir()
	taken, dead := listen(t), free(t)
	writeFile(t, filepath.Join(dir, "file"), "no PEM")
	got := probe(t, fmt.Sprintf(`listen: %[1]s
http_listen: off
state: %[3]s/file/below
sites:
  - hosts: [app.example.com]
    routes:
      - {path: /static/, files: %[3]s/none}
      - {path: /x/, files: %[3]s/file}
      - {path: /a, app: "http://%[2]s"}
      - {path: /b, app: "http://%[2]s"}
      - {path: /c, tunnel: "unix:%[3]s/none.sock"}
      - path: /d
        app: https://%[2]s
        backend_tls: {ca: %[3]s/file}
      - {path: /e, tunnel: {mode: message, backend: "unix:%[3]s/no.sock"}}
      - path: /f
        files: %[3]s
        fallback: /none.html
push: {queue: 2MiB}
`, taken, dead, dir))
	want := fmt.Sprintf(`wsfront.yaml:1:9: listen: "%[1]s" is taken (see: ss -ltnp); stop what listens there, unless it is wsfront itself
wsfront.yaml:3:8: state: cannot write in %[3]s/file/below: not a directory; make %[3]s/file/below a folder of the user that wsfront runs as
wsfront.yaml:7:33: sites[0].routes[0].files: cannot read %[3]s/none: no such file or directory; create it, or let the user that wsfront runs as read it
wsfront.yaml:8:28: sites[0].routes[1].files: %[3]s/file is not a folder that can be read: not a directory; write the folder that holds the files
wsfront.yaml:9:25: sites[0].routes[2].app: http://%[2]s does not answer: connection refused; start the backend, or write the address it listens at
wsfront.yaml:11:28: sites[0].routes[4].tunnel: unix:%[3]s/none.sock does not answer: no such file or directory; start the backend, or write the address it listens at
wsfront.yaml:14:27: sites[0].routes[5].backend_tls.ca: %[3]s/file holds no certificate; write the PEM file of the CA's certificate
wsfront.yaml:15:53: sites[0].routes[6].tunnel.backend: unix:%[3]s/no.sock does not answer: no such file or directory; start the backend, or write the address it listens at
wsfront.yaml:18:19: sites[0].routes[7].fallback: cannot read %[3]s/none.html: no such file or directory; create it, or write another file of the folder
wsfront.yaml:19:7: push: no route has push, so that this has no effect; add a route such as {path: /websocket, push: {channel: board}}`, taken, dead, dir)
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestProbe_Pools(t *testing.T) {
	there, none := listen(t), free(t)
	got := probe(t, fmt.Sprintf(`http_listen: 127.0.0.1:0
pools:
  - name: web
    backends:
      - http://%[1]s
      - {url: "http://%[2]s", backup: on}
  - {name: live, backends: ["http://%[1]s"]}
  - {name: old, backends: ["http://%[1]s"]}
sites:
  - hosts: [app.test]
    tls: off
    routes:
      - {path: /, app: "pool://web/"}
      - {path: /live, tunnel: "pool://live"}
`, there, none))
	want := fmt.Sprintf(`wsfront.yaml:6:15: pools[0].backends[1].url: http://%s does not answer: connection refused; start the backend, or write the address it listens at
wsfront.yaml:8:5: pools[2]: no route leads to the pool old, so that it has no effect; write app: pool://old in a route, or remove it`, none)
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestProbe_Certificates(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	past, _ := writePair(t, dir, "past", now.Add(-48*time.Hour), now.Add(-24*time.Hour), "app.example.com")
	writePair(t, dir, "future", now.Add(24*time.Hour), now.Add(48*time.Hour), "app.example.com")
	writePair(t, dir, "soon", now.Add(-time.Hour), now.Add(24*time.Hour), "app.example.com")
	writePair(t, dir, "other", now.Add(-time.Hour), now.Add(90*24*time.Hour), "other.example.com", "*.other.example.com")
	good, goodKey := writePair(t, dir, "good", now.Add(-time.Hour), now.Add(90*24*time.Hour), "app.example.com")
	cases := map[string]struct{ cert, key, want string }{
		"expired":       {past, dir + "/past.key", "expired on " + now.Add(-24*time.Hour).UTC().Format(time.DateOnly)},
		"not yet valid": {dir + "/future.pem", dir + "/future.key", "valid from "},
		"expires soon":  {dir + "/soon.pem", dir + "/soon.key", "expires on "},
		"other name":    {dir + "/other.pem", dir + "/other.key", "is for other.example.com, *.other.example.com, not for app.example.com"},
		"wrong key":     {good, dir + "/past.key", "do not fit: private key does not match public key"},
		"swapped":       {goodKey, good, "do not fit: "},
		"no such file":  {dir + "/none.pem", goodKey, "cannot read " + dir + "/none.pem: no such file"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := probe(t, fmt.Sprintf(`
listen: 127.0.0.1:0
http_listen: off
sites:
  - hosts: [app.example.com]
    tls: {cert: %s, key: %s}
    routes: [{path: /, files: %s}]
`, c.cert, c.key, dir))
			if !strings.Contains(got, c.want) || strings.Contains(got, "\n") {
				t.Errorf("got %q, want %q alone", got, c.want)
			}
		})
	}
	if err := os.Chmod(goodKey, 0o644); err != nil {
		t.Fatal(err)
	}
	got := probe(t, fmt.Sprintf("listen: 127.0.0.1:0\nhttp_listen: off\nsites: [{hosts: [app.example.com], tls: {cert: %s, key: %s}, routes: [{path: /, files: %s}]}]", good, goodKey, dir))
	if !strings.Contains(got, "chmod o= "+goodKey) {
		t.Errorf("a key that all may read: got %q", got)
	}
}

func TestProbe_PublishAPI(t *testing.T) {
	dir := t.TempDir()
	text := func(listen, key string) string {
		return fmt.Sprintf(`
listen: 127.0.0.1:0
http_listen: off
state: %s
sites: [{hosts: [app.example.com], routes: [{path: /ws, push: {channel: board}}]}]
push: {publish: {listen: "%s", key_file: %s}}
`, dir, listen, key)
	}
	if got := probe(t, text("0.0.0.0:0", dir+"/made-at-start")); !strings.Contains(got, "from other machines") {
		t.Errorf("an open address: got %q", got)
	}
	if got := probe(t, text("unix:"+dir+"/none/api.sock", dir+"/made-at-start")); !strings.Contains(got, "create that folder") {
		t.Errorf("a socket in no folder: got %q", got)
	}
	writeFile(t, dir+"/key", "")
	if got := probe(t, text("127.0.0.1:0", dir+"/key")); !strings.Contains(got, "is empty") {
		t.Errorf("an empty key: got %q", got)
	}
	if _, err := os.Stat(dir + "/made-at-start"); err == nil {
		t.Error("a key was made")
	}
}

func TestProbe_OfAFileMadeByAProgramHasNoPosition(t *testing.T) {
	f, err := Parse("wsfront.yaml", []byte("listen: 127.0.0.1:0\nhttp_listen: off\nstate: "+t.TempDir()+"\nsites: [{hosts: [a.example.com], routes: [{path: /, files: /does/not/exist}]}]"))
	if err != nil {
		t.Fatal(err)
	}
	f.source = nil
	got := Probe(t.Context(), f)
	if len(got) != 1 || !strings.HasPrefix(got[0].String(), "sites[0].routes[0].files: cannot read /does/not/exist") {
		t.Errorf("got %v", got)
	}
}

func TestProbe_LogInputsWhoseAddressIsTaken(t *testing.T) {
	taken, socket := listen(t), filepath.Join(t.TempDir(), "log.sock")
	got := probe(t, fmt.Sprintf(`http_listen: 127.0.0.1:0
sites: [{hosts: [app.example.com], tls: off, routes: [{path: /ws, push: {channel: board}}]}]
push:
  publish: {listen: "off"}
  syslog:
    - {listen: "unix://%s", channel: board}
    - {listen: "tcp://%s", channel: board}`, socket, taken))
	want := fmt.Sprintf(`wsfront.yaml:7:16: push.syslog[1].listen: another program has "tcp://%s"; stop it, or choose another address, unless it is wsfront itself`, taken)
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if _, err := os.Stat(socket); !os.IsNotExist(err) {
		t.Errorf("the probe leaves a socket behind: %v", err)
	}
}
