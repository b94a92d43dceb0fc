package config

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"wsfront/proxy"
	"wsfront/pusher"
	"wsfront/pusher/syslog"
)

// Warning is something outside the configuration file that does not fit it, as
// the machine is now.
type Warning struct {
	// Position is that of the option, or zero for a File that was not read
	// from text.
	Position Position
	// Field is the path to the option.
	Field string
	// Message says what was tried, how it ended, and what to do.
	Message string
}

// String is the warning in one line.
func (w Warning) String() string {
	if w.Position.File == "" {
		return w.Field + ": " + w.Message
	}
	return w.Position.String() + ": " + w.Field + ": " + w.Message
}

// probeTimeout is how long a backend may take to accept a connection.
const probeTimeout = 3 * time.Second

// Probe tries what can be tried without serving: that files can be read and
// are what they should be, that addresses are free, and that backends accept
// connections. It leaves nothing behind. It ends when ctx is done, or after
// some seconds.
func Probe(ctx context.Context, f *File) []Warning {
	p := &prober{file: f}
	p.listeners(ctx)
	p.state()
	p.accessLog()
	p.authority("acme.ca_root", f.ACME.CARoot)
	for i, s := range f.Sites {
		at := fmt.Sprintf("sites[%d]", i)
		if s.TLS.Cert != "" {
			p.certificate(at, s.Site)
		}
		for j, r := range s.Routes {
			field := fmt.Sprintf("%s.routes[%d]", at, j)
			p.authority(field+".backend_tls.ca", r.BackendTLS.CA)
			if r.Files != "" {
				p.folder(field+".files", r.Route)
			}
			if r.Fallback != "" {
				p.fallback(field+".fallback", r.Files+r.Fallback)
			}
			if r.BasicAuth != nil {
				p.passwords(field+".basic_auth.file", r.BasicAuth.File)
			}
		}
	}
	p.pools()
	p.push()
	p.admin()
	p.syslog()
	p.backends(ctx)
	slices.SortStableFunc(p.found, func(a, b Warning) int {
		return cmp.Or(cmp.Compare(a.Position.Line, b.Position.Line), cmp.Compare(a.Position.Column, b.Position.Column))
	})
	return p.found
}

type prober struct {
	file  *File
	mu    sync.Mutex
	found []Warning
}

// warnf may be called concurrently.
func (p *prober) warnf(field, format string, args ...any) {
	w := Warning{Field: field, Message: fmt.Sprintf(format, args...)}
	if s := p.file.source; s != nil {
		located := s.locate(field, "")
		w.Position, w.Field = located.Position, located.Field
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.found = append(p.found, w)
}

// listeners binds each address and gives it back at once.
func (p *prober) listeners(ctx context.Context) {
	try := func(field, address string) {
		var lc net.ListenConfig
		l, err := lc.Listen(ctx, "tcp", address)
		switch {
		case err == nil:
			l.Close()
		case errors.Is(err, syscall.EADDRINUSE):
			p.warnf(field, "%q is taken (see: ss -ltnp); stop what listens there, unless it is wsfront itself", address)
		case errors.Is(err, fs.ErrPermission):
			p.warnf(field, "no permission to listen at %q; run as root, or allow it with: setcap cap_net_bind_service=+ep FILE-OF-WSFRONT", address)
		default:
			p.warnf(field, "cannot listen at %q: %v; write an address of this machine", address, reason(err))
		}
	}
	https, plain := p.file.ListenAddresses()
	for i, a := range https {
		try(fmt.Sprintf("listen[%d]", i), a)
	}
	for i, a := range plain {
		try(fmt.Sprintf("http_listen[%d]", i), a)
	}
	if api := p.file.PublishAPI().Listen; p.file.HasPush() && api != "off" && !strings.HasPrefix(api, "unix:") {
		try("push.publish.listen", api)
	}
	if at := p.file.AdminListen(); at != "" {
		try("admin.listen", at)
	}
}

// state tries to write where certificates and keys are to be kept, or, when
// that folder is not there yet, in the one in which it would be made.
func (p *prober) state() {
	dir := p.file.StateDir()
	needed := p.file.HasPush() && p.file.Push.Publish.KeyFile == "" && p.file.PublishAPI().Listen != "off"
	for _, s := range p.file.Sites {
		needed = needed || s.TLS.Cert == "" && s.TLS.Mode != proxy.TLSOff
	}
	if !needed || dir == "" {
		return
	}
	at := dir
	for at != filepath.Dir(at) {
		if _, err := os.Stat(at); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		at = filepath.Dir(at)
	}
	p.writable("state", at, dir)
}

// writable tries to make something in the folder at, so that dir can be used.
func (p *prober) writable(field, at, dir string) {
	probe, err := os.MkdirTemp(at, ".wsfront-check-")
	if err != nil {
		p.warnf(field, "cannot write in %s: %v; make %s a folder of the user that wsfront runs as", at, reason(err), dir)
		return
	}
	if err := os.Remove(probe); err != nil {
		p.warnf(field, "cannot remove %s, which was made to try: %v; remove it", probe, reason(err))
	}
}

// accessLog tries to write to the access log's file, or in its folder while there
// is none.
func (p *prober) accessLog() {
	const field = "access_log.file"
	path := p.file.AccessLog.File
	if path == "" {
		return
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	switch {
	case err == nil:
		f.Close()
	case errors.Is(err, fs.ErrNotExist):
		p.writable(field, filepath.Dir(path), filepath.Dir(path))
	default:
		p.warnf(field, "cannot write to %s: %v; make it a file of the user that wsfront runs as", path, reason(err))
	}
}

// passwords tries to read a password file.
func (p *prober) passwords(field, path string) {
	if err := proxy.CheckPasswordFile(path); err != nil {
		p.warnf(field, "%v", err)
	}
}

// authority tries to read a file of CA certificates.
func (p *prober) authority(field, path string) {
	if path == "" {
		return
	}
	pem, err := os.ReadFile(path)
	switch {
	case err != nil:
		p.warnf(field, "cannot read %s: %v; write the PEM file of the CA's certificate", path, reason(err))
	case !x509.NewCertPool().AppendCertsFromPEM(pem):
		p.warnf(field, "%s holds no certificate; write the PEM file of the CA's certificate", path)
	}
}

// folder tries to read a folder of static files, or the one file that has the
// route's path.
func (p *prober) folder(field string, r proxy.Route) {
	path := r.Files
	dir, err := os.Open(path)
	if err != nil {
		p.warnf(field, "cannot read %s: %v; create it, or let the user that wsfront runs as read it", path, reason(err))
		return
	}
	defer dir.Close()
	if info, err := dir.Stat(); err == nil && info.Mode().IsRegular() && !strings.HasSuffix(r.Path, "/") {
		return
	}
	if _, err := dir.ReadDir(1); err != nil && !errors.Is(err, io.EOF) {
		p.warnf(field, "%s is not a folder that can be read: %v; write the folder that holds the files", path, reason(err))
	}
}

// fallback tries to open the file that stands for those that are missing.
func (p *prober) fallback(field, path string) {
	file, err := os.Open(path)
	if err != nil {
		p.warnf(field, "cannot read %s: %v; create it, or write another file of the folder", path, reason(err))
		return
	}
	file.Close()
}

// key tries to read a key, which is made at the start where there is none.
func (p *prober) key(field, path string) {
	if _, err := os.Stat(path); err != nil {
		return
	}
	if _, _, err := pusher.LoadKey(path); err != nil {
		p.warnf(field, "%v", err)
	}
}

// push looks at the publish API's key and address.
func (p *prober) push() {
	f := p.file
	if !f.HasPush() {
		if !reflect.DeepEqual(f.Push, Push{}) {
			p.warnf("push", "no route has push, so that this has no effect; add a route such as {path: /websocket, push: {channel: board}}")
		}
		return
	}
	api := f.PublishAPI()
	if api.Listen == "off" {
		return
	}
	p.key("push.publish.key_file", api.KeyFile)
	for i, k := range api.Keys {
		p.key(fmt.Sprintf("push.publish.keys[%d].key_file", i), k.KeyFile)
	}
	if socket, ok := strings.CutPrefix(api.Listen, "unix:"); ok {
		if _, err := os.Stat(filepath.Dir(socket)); err != nil {
			p.warnf("push.publish.listen", "cannot make the socket in %s: %v; create that folder", filepath.Dir(socket), reason(err))
		}
		return
	}
	if !onLoopback(api.Listen) {
		p.warnf("push.publish.listen", "%q can be reached from other machines, and the key goes there in plain text; write %s unless the network is private", api.Listen, DefaultPublishListen)
	}
}

// syslog binds the address of each log input and gives it back at once.
func (p *prober) syslog() {
	for i, cfg := range p.file.Push.Syslog {
		l, err := syslog.New(cfg, nil, nil)
		if err != nil {
			continue // what is wrong with the values is no warning
		}
		if err := l.Listen(); err != nil {
			p.warnf(fmt.Sprintf("push.syslog[%d].listen", i), "%v, unless it is wsfront itself", err)
			continue
		}
		_ = l.Close()
	}
}

// pools looks for pools that no route leads to.
func (p *prober) pools() {
	used := map[string]bool{}
	for _, s := range p.file.Sites {
		for _, r := range s.Routes {
			for _, written := range [...]string{r.App, r.Tunnel.Backend} {
				if name, ok := strings.CutPrefix(written, poolScheme); ok {
					name, _, _ = strings.Cut(name, "/")
					used[name] = true
				}
			}
		}
	}
	for i, pool := range p.file.Pools {
		if !used[pool.Name] {
			p.warnf(fmt.Sprintf("pools[%d]", i), "no route leads to the pool %s, so that it has no effect; write app: %s%s in a route, or remove it", pool.Name, poolScheme, pool.Name)
		}
	}
}

// poolScheme begins an App or Tunnel value that leads to a pool.
const poolScheme = "pool://"

// backends connects to each backend once.
func (p *prober) backends(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	var wg sync.WaitGroup
	tried := map[string]bool{}
	try := func(field, written string) {
		network, address := endpoint(written)
		if written == "" || tried[address] || strings.HasPrefix(written, poolScheme) {
			return
		}
		tried[address] = true
		wg.Go(func() { // ended by ctx, awaited below
			var d net.Dialer
			conn, err := d.DialContext(ctx, network, address)
			if err != nil {
				p.warnf(field, "%s does not answer: %v; start the backend, or write the address it listens at", written, reason(err))
				return
			}
			conn.Close()
		})
	}
	for i, pool := range p.file.Pools {
		for j, b := range pool.Backends {
			try(fmt.Sprintf("pools[%d].backends[%d].url", i, j), b.URL)
		}
	}
	for i, s := range p.file.Sites {
		for j, r := range s.Routes {
			at := fmt.Sprintf("sites[%d].routes[%d]", i, j)
			try(at+".app", r.App)
			try(at+".tunnel.backend", r.Tunnel.Backend)
		}
	}
	wg.Wait()
}

// endpoint is the address behind a valid App or Tunnel value.
func endpoint(written string) (network, address string) {
	if socket, ok := strings.CutPrefix(written, "unix:"); ok {
		return "unix", strings.TrimPrefix(socket, "//")
	}
	u, err := url.Parse(written)
	if err != nil {
		return "tcp", written
	}
	port := u.Port()
	switch {
	case port != "":
	case u.Scheme == "https" || u.Scheme == "wss":
		port = "443"
	default:
		port = "80"
	}
	return "tcp", net.JoinHostPort(u.Hostname(), port)
}

// reason is the innermost part of an error of package os or net: the rest
// says again what was tried.
func reason(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return fmt.Errorf("%s: %s", dns.Name, dns.Err)
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("no answer within %s", probeTimeout)
	}
	return err
}
