//go:build e2e

package main_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/gorilla/websocket"
)

// clientAddress is where the tests' own clients come from: not the address
// that wsfront itself comes from, so that the app's answer tells the two apart.
const clientAddress = "127.0.0.2"

// front is one wsfront: its addresses, its folder and, once run, its process.
type front struct {
	*process
	lab       *lab
	folder    string
	config    string // its file
	https     int
	plain     int
	publishAt int
	roots     *x509.CertPool // what its clients trust
}

// newFront chooses the addresses of a wsfront that is not started yet. Its
// clients trust the lab's own CA.
func (l *lab) newFront(t testing.TB) *front {
	t.Helper()
	folder := l.path(t, "front")
	return &front{
		lab: l, folder: folder, config: filepath.Join(folder, "wsfront.yaml"),
		https: l.port(t), plain: l.port(t), publishAt: l.port(t),
		roots: l.pki.pool(),
	}
}

// run starts wsfront with its own file, made of text and of the lines that
// only a test needs: addresses, and folders below the test's.
func (f *front) run(t testing.TB, text string) {
	t.Helper()
	f.write(t, text)
	f.start(t, "run", "--config", f.config)
}

// write replaces the configuration file, which a running wsfront does not see
// before it is told to.
func (f *front) write(t testing.TB, text string) {
	t.Helper()
	writeFile(t, f.config, fmt.Sprintf("listen: %s\nhttp_listen: %s\nstate: %s\n%s",
		loopback(f.https), loopback(f.plain), filepath.Join(f.folder, "state"), text))
}

// publishLines are the lines of a file that has push routes.
func (f *front) publishLines() string {
	return fmt.Sprintf("push: {publish: {listen: %s, key_file: %s}}\n", loopback(f.publishAt), filepath.Join(f.folder, "publish.key"))
}

// start runs the binary with any arguments and waits until both of its
// addresses take connections.
func (f *front) start(t testing.TB, args ...string) {
	t.Helper()
	f.process = start(t, "wsfront", exec.Command(f.lab.binary, args...))
	f.listens(t, loopback(f.plain))
	f.listens(t, loopback(f.https))
}

// command is the binary with other arguments, to be run beside.
func (f *front) command(args ...string) *exec.Cmd { return exec.Command(f.lab.binary, args...) }

// site is the host name with the port, as a client writes it.
func (f *front) site(name string) string { return fmt.Sprintf("%s:%d", name, f.https) }

// dial connects to wsfront, whatever name is asked for.
func (f *front) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(clientAddress)}}
	return d.DialContext(ctx, network, loopback(f.https))
}

// client speaks HTTP/1.1 or HTTP/2 to wsfront, keeps cookies and follows no
// redirect.
func (f *front) client(t testing.TB, http2 bool) *http.Client {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!http2)
	protocols.SetHTTP2(http2)
	transport := &http.Transport{
		DialContext:       f.dial,
		TLSClientConfig:   &tls.Config{RootCAs: f.roots},
		Protocols:         protocols,
		DisableKeepAlives: false,
	}
	t.Cleanup(transport.CloseIdleConnections)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{
		Transport:     transport,
		Jar:           jar,
		Timeout:       2 * patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// socket opens a WebSocket by gorilla's client; it is closed with the test.
func (f *front) socket(t testing.TB, url string) *websocket.Conn {
	t.Helper()
	d := websocket.Dialer{NetDialContext: f.dial, TLSClientConfig: &tls.Config{RootCAs: f.roots}, HandshakeTimeout: patience}
	c, res, err := d.Dial(url, nil)
	if err != nil {
		if res != nil {
			body, _ := io.ReadAll(res.Body)
			t.Fatalf("open %s: %v: %s\n%s", url, err, res.Status, body)
		}
		t.Fatalf("open %s: %v", url, err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// answer is a whole answer to a request.
type answer struct {
	*http.Response
	body string
}

// send sends a request and reads the whole answer.
func send(t testing.TB, c *http.Client, r *http.Request) answer {
	t.Helper()
	res, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%s %s: the answer broke off after %d bytes: %v", r.Method, r.URL, len(body), err)
	}
	return answer{res, string(body)}
}

func get(t testing.TB, c *http.Client, url string) answer {
	t.Helper()
	return send(t, c, request(t, http.MethodGet, url, nil))
}

func request(t testing.TB, method, url string, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
