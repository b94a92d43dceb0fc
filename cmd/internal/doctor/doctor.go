package doctor

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"wsfront/cmd/internal/config"
	"wsfront/proxy/diagnosis"
)

// DefaultTimeout is how long an examination may take, Options.Idle not counted.
const DefaultTimeout = 30 * time.Second

// stepTimeout is how long a single connection may take for what it is there for.
const stepTimeout = 8 * time.Second

// waits are how long what may come is waited for.
type waits struct {
	frames time.Duration // the first frames; none is fine
	pong   time.Duration // the answer to a ping
	close  time.Duration // the answer to a Close
	stream time.Duration // what an event stream brings
	// held is how long after the head, or after the request of a stream that ends
	// with it, a lump of events has to come to be taken for one that was held back.
	held time.Duration
}

var usual = waits{frames: 2 * time.Second, pong: 5 * time.Second, close: 2 * time.Second, stream: 6 * time.Second, held: time.Second}

// Options say what is examined. URL or Config is given, or both.
type Options struct {
	// URL is what pages open: wss:// or ws://. By https:// or http:// an event
	// stream is examined in place of a WebSocket.
	URL string
	// Config is a configuration, whose routes are asked through the front and at
	// their backends; with URL, only the routes that it takes.
	Config *config.File
	// ConfigName is what the configuration is called in the report.
	ConfigName string
	// Page is the URL of a page to look through for ws://. Default none.
	Page string
	// Origin is that of the page. Default the URL's own.
	Origin string
	// Subprotocol is what the page offers, several with commas. Default none.
	Subprotocol string
	// Idle is how long silence is to last. Default 0: that is not tried.
	Idle time.Duration
	// Timeout is for everything but Idle. Default DefaultTimeout.
	Timeout time.Duration
	// Resolve are addresses in place of names: HOST:ADDRESS, HOST:ADDRESS:PORT or
	// HOST:PORT:ADDRESS; several for one host stand beside each other.
	Resolve []string
	// CA is a PEM file with CAs to trust beside the system's. Default none.
	CA string
}

// exam is one examination.
type exam struct {
	o       Options
	waits   waits
	instead instead
	roots   *x509.CertPool // nil for the system's

	target target
	addrs  []string // host:port, those that answered first
	alpn   string   // what the server chose when it was offered h2
	page   *answer  // of the plain GET; nil when there was none
	server string   // who wrote the answers: a place of fixes, or ""

	report   *Report
	prefix   string // of steps' names
	found    *Finding
	severity severity
	about    target // of the finding

	interrupted func() bool // whether Run's context is done: what fails then says nothing
}

// Run examines. The error is about the options: whatever a server does is in the
// report. It ends when ctx is done, or by the timeouts of the options.
func Run(ctx context.Context, o Options) (*Report, error) { return run(ctx, o, usual) }

func run(ctx context.Context, o Options, w waits) (*Report, error) {
	e := &exam{o: o, waits: w, report: &Report{Target: cmp.Or(o.URL, o.ConfigName), Steps: []Step{}}}
	e.interrupted = func() bool { return ctx.Err() != nil }
	if err := e.prepare(); err != nil {
		return nil, err
	}
	timeout := o.Timeout
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if o.URL != "" {
		e.examine(bounded)
	}
	if o.Config != nil {
		e.compare(bounded)
	}
	if o.Page != "" {
		e.lookAtPage(bounded)
	}
	if o.Idle > 0 && e.found == nil && !e.interrupted() {
		e.stayIdle(ctx)
	}
	switch {
	case e.interrupted():
		e.step("time", Warning, "interrupted; what comes behind was not tried")
		e.report.Exit = exitError
	case bounded.Err() != nil && e.found == nil:
		e.step("time", Warning, "%v were not enough for all steps; allow more by --timeout", timeout)
	}
	e.conclude()
	return e.report, nil
}

// prepare checks the options.
func (e *exam) prepare() (err error) {
	if e.o.URL == "" && e.o.Config == nil {
		return errors.New("nothing to examine; name a URL such as wss://app.example.com/websocket, or a configuration")
	}
	if e.instead, err = parseInstead(e.o.Resolve); err != nil {
		return err
	}
	if e.o.URL != "" {
		if e.target, err = parseTarget(e.o.URL); err != nil {
			return err
		}
		e.report.Target = e.target.String()
	}
	if e.o.Page != "" {
		if !strings.Contains(e.o.Page, "://") {
			return fmt.Errorf("--page %s is no URL; write the page's whole one, such as https://app.example.com/", e.o.Page)
		}
		page, err := parseTarget(e.o.Page)
		if err != nil {
			return err
		}
		if page.scheme != "http" && page.scheme != "https" {
			return fmt.Errorf("--page %s: a page is at https:// or http://", e.o.Page)
		}
	}
	if e.o.Idle > 0 && e.target.scheme != "ws" && e.target.scheme != "wss" {
		return errors.New("--idle needs the URL of a WebSocket: it watches one tunnel")
	}
	return e.trust()
}

// trust reads the CAs that are trusted beside the system's.
func (e *exam) trust() error {
	if e.o.CA == "" {
		return nil
	}
	pem, err := os.ReadFile(e.o.CA)
	if err != nil {
		return fmt.Errorf("read the CA: %w", err)
	}
	if !e.addRoots(pem) {
		return fmt.Errorf("%s holds no certificate; name a PEM file with the CA's", e.o.CA)
	}
	return nil
}

func (e *exam) addRoots(pem []byte) bool {
	if e.roots == nil {
		if e.roots, _ = x509.SystemCertPool(); e.roots == nil {
			e.roots = x509.NewCertPool()
		}
	}
	return e.roots.AppendCertsFromPEM(pem)
}

// examine takes the steps for a URL.
func (e *exam) examine(ctx context.Context) {
	if !e.reach(ctx) || e.target.secure() && !e.secured(ctx) {
		return
	}
	if e.target.scheme == "http" || e.target.scheme == "https" {
		e.readStream(ctx)
		return
	}
	e.redirected(ctx)
	e.ask(ctx)
	if !e.shakeHands(ctx) {
		return
	}
	for _, step := range []func(context.Context){e.asFirefox, e.origins, e.withoutSubprotocol, e.overHTTP2, e.polls} {
		if ctx.Err() == nil {
			step(ctx)
		}
	}
}

// meet takes note of who wrote an answer.
func (e *exam) meet(a *answer) {
	d := a.diagnose(diagnosis.Sent{})
	if s := d.Server(); s != "" {
		e.server = s
	}
}
