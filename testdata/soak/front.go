package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// front is the wsfront under load.
type front struct {
	cmd       *exec.Cmd
	folder    string
	address   string
	publishAt string
	key       string
	steady    string
	mortal    string
	admin     *http.Client
	sources   atomic.Int64
	slots     chan struct{} // of handshakes under way
	buffers   sync.Pool     // of all sockets' writes
}

// startFront runs wsfront and waits until it serves.
func startFront(o options, steady, mortal string) (*front, error) {
	folder, err := os.MkdirTemp("", "wsfront-soak-")
	if err != nil {
		return nil, err
	}
	free := freeAddresses(2)
	f := &front{folder: folder, address: free[0], publishAt: free[1], key: "soak-0123456789abcdef0123456789abcdef", steady: steady, mortal: mortal,
		slots: make(chan struct{}, openAtOnce)}
	f.admin = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(folder, "state", "admin.sock"))
		}}}
	files := filepath.Join(folder, "files")
	log, err := os.Create(o.logFile)
	if err == nil {
		err = os.Mkdir(files, 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(files, "file.bin"), bytes.Repeat([]byte("0123456789abcdef"), fileSize/16), 0o644)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, "publish.key"), []byte(f.key+"\n"), 0o600)
	}
	if err == nil {
		err = f.configure(0)
	}
	if err != nil {
		return nil, err
	}
	f.cmd = exec.Command(o.binary, "run", "--config", f.config())
	f.cmd.Stdout, f.cmd.Stderr = log, log
	if err := f.cmd.Start(); err != nil {
		return nil, err
	}
	for range 300 {
		if _, err = f.usage(); err == nil {
			return f, nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	f.stop()
	return nil, fmt.Errorf("wsfront does not serve (see %s): %w", o.logFile, err)
}

// stop ends wsfront. What it held is of no interest any more.
func (f *front) stop() {
	f.cmd.Process.Signal(syscall.SIGTERM)
	late := time.AfterFunc(30*time.Second, func() { f.cmd.Process.Kill() })
	f.cmd.Wait()
	late.Stop()
	os.RemoveAll(f.folder)
}

// freeAddresses are addresses of loopback below the ports of outgoing
// connections, none of which can take them.
func freeAddresses(n int) (addresses []string) {
	for port := 20000 + os.Getpid()%8000; len(addresses) < n; port++ {
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			addresses = append(addresses, l.Addr().String())
			l.Close()
		}
	}
	return addresses
}

func (f *front) config() string { return filepath.Join(f.folder, "wsfront.yaml") }

// configure writes one of two files that differ in what a reload may change.
// The routes of tunnels and push clients are the same in both.
func (f *front) configure(variant int) error {
	extra, limit := "", "10MiB"
	if variant%2 == 1 {
		limit = "20MiB"
		extra = fmt.Sprintf("      - {path: /extra/, app: 'http://%s'}\n", f.steady)
	}
	text := fmt.Sprintf(`listen: %s
http_listen: off
state: %s
access_log: off
sites:
  - hosts: [app.test]
    tls: internal
    routes:
      - {path: /websocket, tunnel: 'ws://%s'}
      - {path: /mortal-socket, tunnel: 'ws://%s'}
      - {path: /push, push: {channel: soak}}
      - {path: /steady/, app: 'http://%s', max_body: %s}
      - {path: /files/, files: %s}
%s      - {path: /, app: 'http://%s'}
push: {publish: {listen: '%s', key_file: %s}}
`, f.address, filepath.Join(f.folder, "state"), f.steady, f.mortal, f.steady, limit, filepath.Join(f.folder, "files"), extra, f.mortal,
		f.publishAt, filepath.Join(f.folder, "publish.key"))
	return os.WriteFile(f.config(), []byte(text), 0o644)
}

// usage asks the front for its figures.
func (f *front) usage() (usage, error) {
	res, err := f.admin.Get("http://admin/metrics")
	if err != nil {
		return usage{}, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return usage{}, fmt.Errorf("GET /metrics: %s", res.Status)
	}
	return readUsage(res.Body)
}

// reloads gives the front the other file again and again.
func (f *front) reloads(ctx context.Context, c *counts, every time.Duration) {
	for n := 1; pause(ctx, every); n++ {
		err := f.configure(n)
		if err == nil {
			var res *http.Response
			if res, err = f.admin.Post("http://admin/reload", "", nil); err == nil {
				if res.Body.Close(); res.StatusCode != http.StatusOK {
					err = fmt.Errorf("%s", res.Status)
				}
			}
		}
		if err != nil {
			c.note(&c.reloadsFailed, "reload: %v", err)
			continue
		}
		c.reloads.Add(1)
	}
}

// dial connects from one of 200 addresses, as one has not ports enough.
func (f *front) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	d := net.Dialer{Timeout: time.Minute, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+f.sources.Add(1)%200))}}
	return d.DialContext(ctx, "tcp", f.address)
}

// clientTLS takes any certificate: the front makes its own CA in each run.
func clientTLS() *tls.Config { return &tls.Config{ServerName: "app.test", InsecureSkipVerify: true} }
