package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// filePollInterval is how soon a changed PEM file is noticed. Polling sees what
// notifications miss: network file systems, and links swapped above the file.
const filePollInterval = 5 * time.Second

// certificates chooses, obtains and renews the certificates of all sites.
type certificates struct {
	log     *slog.Logger
	account *certAccount
	table   atomic.Pointer[certTable]
	acme    atomic.Pointer[acme] // nil while no site needs it

	// Shortened by tests, before start.
	pollInterval time.Duration
	timing       acmeTiming

	mu            sync.Mutex // of reload and what follows
	config        Config     // in effect
	internal      *internalCA
	secure, plain []net.Addr // since start
	running       bool
}

// certTable says which site's certificate serves which name: made once from a
// Config, like the routing table, and never changed.
type certTable struct {
	hosts    hostMap[certSource]
	files    []*pemFile
	kept     []string // names with certificates by ACME
	usesACME bool
	roots    *x509.CertPool // of the CA's server
}

// certSource is where a site's certificate comes from. name is what the client
// asks for, in lower case, or the address it reached.
type certSource interface {
	certificate(hello *tls.ClientHelloInfo, name string) (*tls.Certificate, error)
}

// newCertificates reads and makes what is needed before anything is served.
func newCertificates(cfg Config, log *slog.Logger) (*certificates, error) {
	c := &certificates{log: log, account: newCertAccount(), pollInterval: filePollInterval, config: cfg}
	t, err := c.build(cfg)
	if err != nil {
		return nil, err
	}
	c.table.Store(t)
	return c, nil
}

// build makes the table of a configuration.
func (c *certificates) build(cfg Config) (*certTable, error) {
	t := &certTable{}
	for i, s := range cfg.Sites {
		source, err := c.source(t, cfg, s)
		if err != nil {
			return nil, inField(fmt.Sprintf("sites[%d].tls", i), err)
		}
		for _, host := range s.Hosts {
			switch {
			case s.TLS.mode() != TLSAuto:
				t.hosts.add(host, source)
			case strings.HasPrefix(host, "*"): // Validate has seen to it that there is a guard
				t.hosts.add(host, onDemandSource{&c.acme})
			default:
				t.hosts.add(host, source)
				t.kept = append(t.kept, hostname(host))
			}
		}
	}
	if !t.usesACME {
		return t, nil
	}
	var err error
	t.roots, err = acmeRoots(cfg.ACME)
	return t, err
}

// source makes the source of one site.
func (c *certificates) source(t *certTable, cfg Config, s Site) (certSource, error) {
	switch s.TLS.mode() {
	case TLSOff:
		return plainSource{}, nil
	case TLSFiles:
		f, err := loadPEMFile(s.TLS.Cert, s.TLS.Key)
		if err != nil {
			return nil, err
		}
		f.hosts = s.Hosts
		f.examine(c.log)
		t.files = append(t.files, f)
		return f, nil
	}
	if s.TLS.mode() == TLSInternal {
		var err error
		if c.internal == nil {
			c.internal, err = openInternalCA(cfg.State)
		}
		return c.internal, err
	}
	var err error
	if !t.usesACME {
		t.usesACME = true
		err = c.openStorage(certStorage(cfg.State))
	}
	return keptSource{&c.acme}, err
}

// certStorage is the folder of certificates by ACME.
func certStorage(state string) string { return filepath.Join(state, "certificates") }

// openStorage makes the folder. One that can be read and not written is worth
// starting for: the certificates in it go on serving.
func (c *certificates) openStorage(dir string) error {
	if err := makeStateDir(dir); err != nil {
		return err
	}
	if err := probeStateDir(dir); err != nil {
		l := certLog{storage: dir}
		c.log.Error(eventCertStorage, "folder", dir, "error", err.Error(), "hint", l.storageHint(err))
	}
	return nil
}

// reload puts the certificates of another configuration in place, all or none.
// State and ACME are those of before: see Config.reloadable.
func (c *certificates) reload(cfg Config) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	t, err := c.build(cfg)
	if err != nil {
		return err
	}
	c.config = cfg
	if c.running {
		c.manage(t)
	}
	c.table.Store(t)
	return nil
}

// start begins to obtain certificates. secure and plain are the addresses
// that are bound and will be served: challenges are answered there, and
// nowhere else.
func (c *certificates) start(secure, plain []net.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.secure, c.plain, c.running = secure, plain, true
	c.manage(c.table.Load())
}

// manage tells ACME which names there are, before handshakes for them come to
// it. c.mu is held.
func (c *certificates) manage(t *certTable) {
	a := c.acme.Load()
	if a == nil {
		if !t.usesACME || len(c.secure) == 0 {
			return
		}
		a = startACME(c.config.ACME, t.roots, certStorage(c.config.State), c.secure, c.plain, c.timing, c.account, c.log)
		c.acme.Store(a)
	}
	a.manage(t.kept, c.config.ACME.OnDemand.Ask)
}

// run watches PEM files until ctx is done, then ends what start began.
// Certificates in memory still serve after that.
func (c *certificates) run(ctx context.Context) {
	ticker := time.NewTicker(c.pollInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			for _, f := range c.table.Load().files {
				f.poll(c.log)
			}
		case <-ctx.Done():
			c.mu.Lock()
			c.running = false
			c.mu.Unlock() // who asks for the states does not wait for what follows
			if a := c.acme.Load(); a != nil {
				a.stop()
			}
			return
		}
	}
}

// tlsConfig is for listeners: it goes on to serve what reload puts in place.
// One Config serves all handshakes, since with each new one the keys of session
// tickets would be lost; only ACME's challenge, which nobody resumes, has its
// own.
func (c *certificates) tlsConfig() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: c.certificate,
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			if a := c.acme.Load(); a != nil && isChallenge(hello) {
				return a.challenge, nil
			}
			return nil, nil
		},
	}
}

// certificate answers one handshake. There is no default certificate: a
// client that asks for a name that is not served is told so (RFC 6066 §3),
// instead of being shown another name's certificate.
func (c *certificates) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := strings.ToLower(hello.ServerName)
	if name == "" {
		// Clients that connect by address name none.
		name = hostname(hello.Conn.LocalAddr().String())
	}
	asked := askedBy(hello)
	asked.name = name
	source, ok := c.table.Load().hosts.find([]byte(name))
	if !ok {
		asked.refused = errUnserved
		c.refused(hello, name, errUnserved)
		return nil, nil // crypto/tls sends the alert unrecognized_name
	}
	cert, err := source.certificate(hello, name)
	if err != nil {
		asked.refused = err
		c.refused(hello, name, err)
		return nil, err
	}
	return cert, nil
}

// errUnserved is why a handshake for a name of nobody's is refused.
var errUnserved = errors.New("no site serves this name; add it to hosts")

// refused is for debugging only: scanners ask for anything at all hours.
func (c *certificates) refused(hello *tls.ClientHelloInfo, name string, reason error) {
	c.log.Debug(eventCertRefused, "name", name, "client", hello.Conn.RemoteAddr().String(), "reason", reason.Error())
}

// isChallenge reports whether a request may be ACME's HTTP-01 challenge.
func (c *certificates) isChallenge(x *exchange) bool {
	return hasPrefixFold(x.req.Path, "/.well-known/acme-challenge/") && c.acme.Load() != nil
}

// serveChallenge answers ACME's HTTP-01 challenge (RFC 8555 §8.3) and reports
// whether the request was one. Without a pending token the path is the app's.
func (c *certificates) serveChallenge(w http.ResponseWriter, r *http.Request) bool {
	a := c.acme.Load()
	if a == nil || !strings.HasPrefix(r.URL.Path, "/.well-known/acme-challenge/") {
		return false
	}
	source, _ := c.table.Load().hosts.find([]byte(hostname(r.Host)))
	switch source.(type) {
	case keptSource, onDemandSource:
		return a.serveChallenge(w, r)
	}
	return false
}

// keptSource is for names whose certificates are obtained at start.
type keptSource struct{ acme *atomic.Pointer[acme] }

func (s keptSource) certificate(hello *tls.ClientHelloInfo, name string) (*tls.Certificate, error) {
	return s.acme.Load().keptCertificate(hello, name)
}

// onDemandSource is for names whose certificates are obtained when they are
// asked for.
type onDemandSource struct{ acme *atomic.Pointer[acme] }

func (s onDemandSource) certificate(hello *tls.ClientHelloInfo, name string) (*tls.Certificate, error) {
	return s.acme.Load().onDemandCertificate(hello, name)
}

// plainSource is for sites without TLS, so that their names do not fall to
// the site of every name.
type plainSource struct{}

func (plainSource) certificate(*tls.ClientHelloInfo, string) (*tls.Certificate, error) {
	return nil, errors.New("the site of this name has tls: off")
}
