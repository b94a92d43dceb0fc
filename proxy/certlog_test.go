package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"

	acmeproto "github.com/mholt/acmez/v3/acme"
	"go.uber.org/zap"
)

func TestCertLog_HintSaysWhatToDo(t *testing.T) {
	l := &certLog{storage: "/state/certificates", ca: "https://ca.test/dir", plain: "[::]:8080", secure: "[::]:8443"}
	problem := func(kind string) error {
		return fmt.Errorf("[app.test] solving challenges: %w", acmeproto.Problem{Type: acmeproto.ProblemTypeNamespace + kind})
	}
	for _, c := range []struct {
		err  error
		want string
	}{
		{problem("dns"), "add an A or AAAA record"},
		{problem("connection"), "port 443 must reach [::]:8443, or its port 80 must reach [::]:8080"},
		{problem("unauthorized"), "must be this machine's"},
		{problem("rateLimited"), "wait"},
		{problem("caa"), "CAA record of app.test"},
		{problem("rejectedIdentifier"), "write tls: internal"},
		{problem("invalidContact"), "acme.email"},
		{problem("externalAccountRequired"), "acme.ca"},
		{problem("serverInternal"), "it will pass"},
		{problem("compound"), "look up compound"},
		{&net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}, "https://ca.test/dir cannot be reached"},
		{context.DeadlineExceeded, "cannot be reached"},
		{errors.New("tls: failed to verify certificate: x509: certificate signed by unknown authority"), "acme.ca_root"},
		{errors.New("failed storage check: write /state/certificates/x: no space left on device - storage is probably misconfigured"), "the disk of /state/certificates is full"},
		{errors.New("unable to acquire lock 'x': creating lock file: permission denied"), "/state/certificates must be writable"},
		{errors.New("something else"), "read the error"},
	} {
		if got := l.hint("app.test", c.err); !strings.Contains(got, c.want) {
			t.Errorf("%v: hint %q, want %q in it", c.err, got, c.want)
		}
	}
	l.plain = ""
	if got := l.hint("app.test", problem("connection")); strings.Contains(got, "port 80") {
		t.Errorf("hint %q speaks of a port that is not served", got)
	}
}

func TestCertLog_MessagesOfTheLibrary(t *testing.T) {
	events := &tlsEvents{changed: make(chan struct{})}
	logger := zap.New(zapBridge{log: &certLog{Logger: slog.New(events), account: newCertAccount(), storage: "/state"}}).Named("maintenance").With(zap.String("cache", "c"))
	logger.Info("started")
	events.wait(t, eventCertLibrary, "DEBUG", "logger=maintenance", "message=started", "cache=c")
	logger.Error("stapling OCSP", zap.Error(errors.New("no answer")))
	events.wait(t, eventCertLibrary, "WARN", "message=stapling OCSP", "error=no answer")
	// Told by cert.failed already.
	logger.Error("job failed", zap.Error(errors.New("[app.test] Renew: refused")))
	events.wait(t, eventCertLibrary, "DEBUG", "message=job failed")
	// Not told by any event of certmagic's.
	logger.Error("job failed", zap.Error(errors.New("[app.test] failed storage check: no space left on device")))
	events.wait(t, eventCertFailed, "ERROR", "name=app.test", "the disk of /state is full")
}
