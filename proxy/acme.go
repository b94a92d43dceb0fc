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
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	acmeproto "github.com/mholt/acmez/v3/acme"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// This file is the only one that knows certmagic, and what comes with it.

// challengeProtocol is what TLS-ALPN-01 speaks instead of HTTP (RFC 8737 §6.2).
const challengeProtocol = "acme-tls/1"

const (
	longestRetry = 6 * time.Hour
	// stopTimeout is how long stop waits for certmagic, whose maintenance may
	// be waiting for a CA that does not answer and cannot be called back.
	stopTimeout = 2 * time.Second
)

// acme keeps certificates by ACME: those of names that are configured, from
// start on, and those of names first heard of in a handshake.
type acme struct {
	log        certLog
	firstRetry time.Duration
	issuer     *certmagic.ACMEIssuer
	cache      *certmagic.Cache
	kept       *certmagic.Config // for configured names
	onDemand   *certmagic.Config // for all others
	guard      *onDemandGuard
	challenge  *tls.Config // for handshakes that are TLS-ALPN-01 challenges

	life  context.Context // done at stop
	end   context.CancelFunc
	tries sync.WaitGroup // of keep

	mu    sync.Mutex
	names map[string]context.CancelFunc // that are kept; ends keep
}

// acmeTiming are the times that tests shorten; zero means the default.
type acmeTiming struct {
	firstRetry    time.Duration // doubles up to longestRetry; default a minute
	renewCheck    time.Duration // default certmagic's, 10 minutes
	renewalWindow float64       // remaining to whole lifetime; default certmagic's, 1/3
}

// acmeRoots reads the roots that the CA's server is verified by.
func acmeRoots(c ACME) (*x509.CertPool, error) {
	if c.CARoot == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(c.CARoot)
	if err != nil {
		return nil, FieldError{"acme.ca_root", err.Error()}
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, FieldError{"acme.ca_root", c.CARoot + " holds no PEM certificate"}
	}
	return roots, nil
}

// startACME begins maintenance; stop ends it. secure and plain are the
// addresses that are bound and served by us.
func startACME(c ACME, roots *x509.CertPool, storage string, secure, plain []net.Addr, timing acmeTiming, account *certAccount, log *slog.Logger) *acme {
	a := &acme{
		log:        certLog{Logger: log, account: account, storage: storage, ca: c.CA},
		firstRetry: timing.firstRetry,
		names:      map[string]context.CancelFunc{},
	}
	if a.log.ca == "" {
		a.log.ca = certmagic.LetsEncryptProductionCA
	}
	if a.firstRetry == 0 {
		a.firstRetry = time.Minute
	}
	a.guard = newOnDemandGuard(a.log)
	a.life, a.end = context.WithCancel(context.Background())
	logger := zap.New(zapBridge{log: &a.log})
	a.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert:   a.configFor,
		RenewCheckInterval: timing.renewCheck,
		Logger:             logger,
	})
	template := certmagic.Config{
		Storage:            &certmagic.FileStorage{Path: storage},
		RenewalWindowRatio: timing.renewalWindow,
		OnEvent:            a.event,
		Logger:             logger,
	}
	a.kept = certmagic.New(a.cache, template)
	a.issuer = certmagic.NewACMEIssuer(a.kept, a.issuerTemplate(c, roots, secure, plain, logger))
	a.kept.Issuers = []certmagic.Issuer{a.issuer}
	template.Issuers = a.kept.Issuers
	template.OnDemand = &certmagic.OnDemandConfig{DecisionFunc: a.guard.allowed}
	a.onDemand = certmagic.New(a.cache, template)
	a.challenge = &tls.Config{
		MinVersion:             tls.VersionTLS12,
		NextProtos:             []string{challengeProtocol},
		GetCertificate:         a.kept.GetCertificate,
		SessionTicketsDisabled: true,
	}
	return a
}

// issuerTemplate is where challenges are tied to our own listeners. certmagic's
// solvers bind an address, unless they find it taken, which they understand as
// "answered by the program that is there": so they get the addresses that we
// hold, and no challenge is offered for which we hold none.
func (a *acme) issuerTemplate(c ACME, roots *x509.CertPool, secure, plain []net.Addr, logger *zap.Logger) certmagic.ACMEIssuer {
	t := certmagic.ACMEIssuer{
		CA: a.log.ca, Email: c.Email, Agreed: true, TrustedRoots: roots, Logger: logger,
		DisableHTTPChallenge: len(plain) == 0, DisableTLSALPNChallenge: len(secure) == 0,
	}
	var hosts []string
	hold := func(addrs []net.Addr, port *int, shown *string) {
		if len(addrs) > 0 {
			ap, _ := netip.ParseAddrPort(addrs[0].String())
			hosts = append(hosts, ap.Addr().String())
			*port, *shown = int(ap.Port()), ap.String()
		}
	}
	hold(secure, &t.AltTLSALPNPort, &a.log.secure)
	hold(plain, &t.AltHTTPPort, &a.log.plain)
	// Of two different hosts neither will do for both ports; all addresses at
	// once is taken as soon as any of them is.
	if hosts = slices.Compact(hosts); len(hosts) == 1 {
		t.ListenHost = hosts[0]
	}
	return t
}

// stop ends maintenance and everything begun here. Certificates in memory
// still serve.
func (a *acme) stop() {
	a.end()
	a.tries.Wait()
	stopped := make(chan struct{})
	go func() { // ends by itself, see stopTimeout
		a.cache.Stop()
		close(stopped)
	}()
	select {
	case <-stopped:
	case <-time.After(stopTimeout):
	}
}

// manage makes names the ones that are kept, and ask the guard of others.
func (a *acme) manage(names []string, ask string) {
	a.guard.setAsk(ask)
	a.mu.Lock()
	var gone []certmagic.SubjectIssuer
	for name, cancel := range a.names {
		if !slices.Contains(names, name) {
			cancel()
			delete(a.names, name)
			gone = append(gone, certmagic.SubjectIssuer{Subject: name})
		}
	}
	for _, name := range names {
		if a.names[name] == nil {
			ctx, cancel := context.WithCancel(a.life)
			a.names[name] = cancel
			a.tries.Go(func() { a.keep(ctx, name) }) // ended by cancel or stop, awaited by stop
		}
	}
	a.mu.Unlock()
	a.cache.RemoveManaged(gone) // asks configFor, so not under the lock
}

// keep sees to it that a name has a certificate, by storage or by the CA.
// Once it has one, the cache's maintenance renews it.
func (a *acme) keep(ctx context.Context, name string) {
	cert, err := a.load(ctx, name)
	if err == nil {
		if cert.NeedsRenewal(a.kept) { // it came due while we were down: do not wait for the next round
			a.cache.RenewManagedCertificates(a.life)
		}
		return
	}
	for wait := a.firstRetry; ; wait = min(2*wait, longestRetry) {
		err := a.obtain(ctx, name)
		if err == nil { // by another process that shares the storage, it may be
			a.log.account.succeed(name)
		}
		if err == nil || ctx.Err() != nil {
			return
		}
		a.log.failed(name, err, wait)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

func (a *acme) obtain(ctx context.Context, name string) error {
	ctx, cancel := withOneTry(ctx)
	defer cancel(nil)
	if err := a.kept.ObtainCertAsync(ctx, name); err != nil {
		return failureOf(ctx, err)
	}
	if _, err := a.load(ctx, name); err != nil {
		return fmt.Errorf("read the certificate stored for %s: %w; remove it from %s to have a new one", name, err, a.log.storage)
	}
	return nil
}

// load takes the stored certificate of a kept name into the cache, whose
// maintenance renews it from then on. A name that manage takes out meanwhile is
// let go here: manage may have emptied the cache before it was filled.
func (a *acme) load(ctx context.Context, name string) (certmagic.Certificate, error) {
	cert, err := a.kept.CacheManagedCertificate(ctx, name)
	if err != nil {
		return cert, err
	}
	a.mu.Lock()
	kept := a.names[name] != nil
	a.mu.Unlock()
	if !kept {
		a.cache.RemoveManaged([]certmagic.SubjectIssuer{{Subject: name}})
		return cert, errors.New("the name is not served any more")
	}
	return cert, nil
}

// current is the certificate of a name that is loaded, or nil, and whether it is
// due to be renewed.
func (a *acme) current(name string) (leaf *x509.Certificate, due bool) {
	for _, cert := range a.cache.AllMatchingCertificates(name) {
		if cert.Leaf != nil && (leaf == nil || cert.Leaf.NotAfter.After(leaf.NotAfter)) {
			leaf, due = cert.Leaf, cert.NeedsRenewal(a.kept)
		}
	}
	return leaf, due
}

// oneTry is the key of the function that ends a context with a cause.
type oneTry struct{}

// withOneTry makes the first failure the last: certmagic would go on with
// tries of its own, a minute apart at least, and say nothing to its caller for
// a month. (Its calls without retry ask for an email address on the terminal.)
func withOneTry(ctx context.Context) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	return context.WithValue(ctx, oneTry{}, cancel), cancel
}

// failureOf is the cause that event gave, or the error itself.
func failureOf(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// event hears what certmagic has done.
func (a *acme) event(ctx context.Context, event string, data map[string]any) error {
	name, _ := data["identifier"].(string)
	renewal, _ := data["renewal"].(bool)
	switch event {
	case "cert_obtained":
		message, count := eventCertObtained, &a.log.account.obtained
		if renewal {
			message, count = eventCertRenewed, &a.log.account.renewed
		}
		count.Add(1)
		a.log.account.succeed(name)
		a.log.Info(message, "name", name, "issuer", data["issuer"])
	case "cached_managed_cert":
		names, _ := data["sans"].([]string)
		for _, name := range names {
			a.log.account.load(name)
		}
	case "cert_failed":
		err, _ := data["error"].(error)
		if cancel, ok := ctx.Value(oneTry{}).(context.CancelCauseFunc); ok {
			cancel(err) // whoever began the try logs it
			return nil
		}
		if a.life.Err() == nil {
			a.log.failed(name, err, 0)
		}
	}
	return nil
}

// configFor tells the cache's maintenance whose a certificate is.
func (a *acme) configFor(cert certmagic.Certificate) (*certmagic.Config, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(cert.Names) > 0 && a.names[cert.Names[0]] != nil {
		return a.kept, nil
	}
	return a.onDemand, nil
}

// keptCertificate is for a name that is kept.
func (a *acme) keptCertificate(hello *tls.ClientHelloInfo, name string) (*tls.Certificate, error) {
	cert, err := a.kept.GetCertificate(hello)
	if err == nil {
		return cert, nil
	}
	// Right after start keep may not have come to it, but storage has it.
	if _, err := a.load(hello.Context(), name); err != nil {
		return nil, fmt.Errorf("no certificate has been obtained yet; %s says why", eventCertFailed)
	}
	if cert, err = a.kept.GetCertificate(hello); err != nil {
		return nil, err
	}
	return cert, nil
}

// onDemandCertificate is for a name first heard of now, or some time ago.
func (a *acme) onDemandCertificate(hello *tls.ClientHelloInfo, name string) (*tls.Certificate, error) {
	if !isHostname(name) || !strings.Contains(name, ".") {
		return nil, fmt.Errorf("%q is no name that a CA would certify", name)
	}
	ctx, cancel := withOneTry(hello.Context())
	defer cancel(nil)
	if len(a.cache.AllMatchingCertificates(name)) == 0 {
		// certmagic would ask the guard first; a certificate from before a
		// restart serves without. An error means that there is none.
		a.onDemand.CacheManagedCertificate(ctx, name)
	}
	cert, err := a.onDemand.GetCertificateWithContext(ctx, hello)
	if err == nil {
		return cert, nil
	}
	err = failureOf(ctx, err)
	if hello.Context().Err() == nil && (context.Cause(ctx) != nil || isStorageFailure(err)) {
		a.guard.pause(name)
		a.log.failed(name, err, onDemandPause)
	}
	return nil, err
}

// isChallenge reports whether a handshake is ACME's TLS-ALPN-01 challenge,
// which offers that protocol and nothing else (RFC 8737 §3).
func isChallenge(hello *tls.ClientHelloInfo) bool {
	return len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == challengeProtocol
}

// serveChallenge answers HTTP-01 where this very token is pending for this
// name.
func (a *acme) serveChallenge(w http.ResponseWriter, r *http.Request) bool {
	return a.issuer.HandleHTTPChallenge(w, r)
}

// acmeProblem is the last part of an ACME problem's type, such as
// rateLimited, or "" for other errors.
func acmeProblem(err error) string {
	var problem acmeproto.Problem
	if !errors.As(err, &problem) {
		return ""
	}
	return strings.TrimPrefix(problem.Type, acmeproto.ProblemTypeNamespace)
}

// zapBridge turns certmagic's own log into ours. What it reports as an error
// and we do not hear by event is a warning; the rest is for debugging.
type zapBridge struct {
	log    *certLog
	fields []zapcore.Field
}

func (b zapBridge) Enabled(level zapcore.Level) bool {
	return level >= zapcore.ErrorLevel || b.log.Enabled(context.Background(), slog.LevelDebug)
}

func (b zapBridge) With(fields []zapcore.Field) zapcore.Core {
	return zapBridge{b.log, append(slices.Clip(b.fields), fields...)}
}

func (b zapBridge) Check(e zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if b.Enabled(e.Level) {
		return checked.AddCore(e, b)
	}
	return checked
}

func (b zapBridge) Sync() error { return nil }

func (b zapBridge) Write(e zapcore.Entry, fields []zapcore.Field) error {
	var detail []any
	for _, f := range append(slices.Clip(b.fields), fields...) {
		values := zapcore.NewMapObjectEncoder()
		f.AddTo(values)
		for key, value := range values.Fields {
			detail = append(detail, slog.Any(key, value))
		}
		if err, ok := f.Interface.(error); ok && e.Level >= zapcore.ErrorLevel && isStorageFailure(err) {
			b.log.failed(subjectOf(err), err, 0) // these have no event
		}
	}
	level := slog.LevelDebug
	if e.Level >= zapcore.ErrorLevel && !toldOtherwise(e.Message) {
		level = slog.LevelWarn
	}
	b.log.Log(context.Background(), level, eventCertLibrary, "logger", e.LoggerName, "message", e.Message, slog.Group("detail", detail...))
	return nil
}

// subjectOf finds the name in an error of certmagic's: "[app.test] Renew: …".
func subjectOf(err error) string {
	rest, _ := strings.CutPrefix(err.Error(), "[")
	name, _, _ := strings.Cut(rest, "]")
	return name
}

// toldOtherwise reports whether a message of certmagic's repeats what
// cert.failed or cert.refused say.
func toldOtherwise(message string) bool {
	switch message {
	case "could not get certificate from issuer", "validating authorization", "will retry", "job failed",
		"challenge failed", "tls-alpn challenge":
		return true
	}
	return false
}
