package pusher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// AppAuth says how the application is asked who may listen. The question is a
// GET of Path with the browser's own Cookie, Authorization, Origin, User-Agent
// and Accept-Language fields, and with
//
//	Host, X-Forwarded-Host, X-Forwarded-Proto  as the browser wrote them
//	X-Forwarded-For, X-Real-Ip                 the browser's address
//	X-Original-Method, X-Original-Uri          of the browser's own request
//	X-Request-Id                               that of the browser's request, if it has one
//	X-Push-Channels                            what the client asks for, if it does
//
// An answer of 2xx admits, and may have the fields
//
//	X-Push-Channels  what the client may listen to: names divided by commas, a
//	                 comma within a name written %2C. Of the channels that a
//	                 client asks for it gets those that are listed; one that asks
//	                 for none gets all. Without the field the client gets what it
//	                 asked for.
//	X-Push-User      who the client is, up to 256 bytes
//	X-Push-Info      JSON that presence shows beside the user, up to 4 KiB
//	X-Push-Expires   until when: seconds from now, or an HTTP date, as in
//	                 Retry-After (RFC 9110 §10.2.3)
//	X-Push-Greeting  a text that this client gets as its first message: UTF-8,
//	                 percent-encoded, up to 16 KiB
//
// Every other answer refuses, and goes on to the client with its status, its
// body up to 64 KiB, and its Location, WWW-Authenticate, Set-Cookie,
// Content-Type, Cache-Control and Retry-After. A WebSocket follows no redirect
// and is answered 401 in its place.
type AppAuth struct {
	// Path is where the application is asked, such as /push/auth. In the
	// configuration file it may stand alone, without the mapping.
	Path string `yaml:"path"`

	// Timeout is how long the application may take for its whole answer; after
	// that the client gets 504. Default 5s.
	Timeout time.Duration `yaml:"timeout"`

	// Cache is how long an admission is used for further requests that say the
	// same to the application; a position in the query may differ. While it is
	// on, requests that come at once and say the same are asked about once.
	// Default 0: every connection is asked about.
	Cache time.Duration `yaml:"cache"`

	// CacheSize is how many admissions are kept at most; the oldest one makes
	// room. Default 4096.
	CacheSize int `yaml:"cache_size"`

	// Recheck is how often the application is asked once more about a client that
	// stays, so that somebody who logged out does not go on listening. When the
	// application cannot be reached then, or answers 5xx, the client stays.
	// Default 5m; 0s: never.
	Recheck *time.Duration `yaml:"recheck"`
}

// UnmarshalText reads the short form: the path alone.
func (c *AppAuth) UnmarshalText(text []byte) error {
	*c = AppAuth{Path: string(text)}
	return nil
}

const (
	defaultAuthTimeout = 5 * time.Second
	maxAuthTimeout     = time.Minute
	defaultCacheSize   = 4096
	defaultRecheck     = 5 * time.Minute
	minRecheck         = time.Second

	// maxQuestions is how many questions the application has to answer at once;
	// further ones wait within their Timeout. After a restart all clients come
	// back together, and an application of a few processes does no better with
	// more of them at its door.
	maxQuestions = 64
)

// Validate reports everything that is wrong with c as FieldErrors, or nil.
func (c AppAuth) Validate() error {
	var errs FieldErrors
	if problem := authPathProblem(c.Path); problem != "" {
		errs.add("path", "%s", problem)
	}
	if c.Timeout < 0 || c.Timeout > maxAuthTimeout {
		errs.add("timeout", "%s is no time to wait for an answer; write up to %s, such as 5s", c.Timeout, maxAuthTimeout)
	}
	if c.Cache < 0 {
		errs.add("cache", "%s is negative; write how long an admission is kept, such as 10s", c.Cache)
	}
	if c.CacheSize < 0 {
		errs.add("cache_size", "%d is negative; write how many admissions are kept, such as %d", c.CacheSize, defaultCacheSize)
	}
	if c.CacheSize > 0 && c.Cache == 0 {
		errs.add("cache_size", "nothing is kept without cache; write cache: 10s as well, or remove this key")
	}
	if c.Recheck != nil && *c.Recheck != 0 && *c.Recheck < minRecheck {
		errs.add("recheck", "%s is too short; write at least %s, such as 5m, or 0s for never", *c.Recheck, minRecheck)
	}
	return errs.orNil()
}

// authPathProblem says what to write instead of a path that is not valid.
func authPathProblem(path string) string {
	const write = "write the path of a view of the application, such as /push/auth"
	u, err := url.Parse(path)
	switch {
	case path == "":
		return "is empty; " + write
	case err == nil && u.Host != "":
		return fmt.Sprintf("%q names a host, but the application that is asked is the one that the pages come from; write %q", path, u.RequestURI())
	case err != nil, path[0] != '/', u.Fragment != "":
		return fmt.Sprintf("%q is no path; %s", path, write)
	}
	return ""
}

// appAuth asks the application.
type appAuth struct {
	path    string
	target  url.URL
	app     http.RoundTripper
	log     *slog.Logger
	timeout time.Duration
	recheck time.Duration
	turns   chan struct{} // one for each question under way
	kept    *admissions   // nil without cache
	asked   tallies       // by what came of it
	unheard unheard
}

// NewAppAuth makes an Authorizer that asks the application at base, reached by
// app, which must not follow redirects. It starts nothing. Its error is that of
// cfg.Validate, or says what is wrong with base.
func NewAppAuth(cfg AppAuth, app http.RoundTripper, base *url.URL, log *slog.Logger) (Authorizer, error) {
	return newAppAuth(cfg, app, base, log, newCounters().asked)
}

// newAppAuth is NewAppAuth for who counts what comes of asking.
func newAppAuth(cfg AppAuth, app http.RoundTripper, base *url.URL, log *slog.Logger, asked tallies) (Authorizer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if app == nil || base == nil || base.Host == "" {
		return nil, errors.New("there is no application to ask; name the backend of the site's app")
	}
	a := &appAuth{
		path: cfg.Path, app: app, log: log, asked: asked,
		timeout: cfg.Timeout, recheck: defaultRecheck,
		turns: make(chan struct{}, maxQuestions),
	}
	if a.timeout == 0 {
		a.timeout = defaultAuthTimeout
	}
	if cfg.Recheck != nil {
		a.recheck = *cfg.Recheck
	}
	if cfg.Cache > 0 {
		size := cfg.CacheSize
		if size == 0 {
			size = defaultCacheSize
		}
		a.kept = newAdmissions(cfg.Cache, size)
	}
	path, err := url.Parse(cfg.Path)
	if err != nil {
		return nil, err // Validate has parsed it
	}
	a.target = url.URL{Scheme: base.Scheme, Host: base.Host, RawQuery: path.RawQuery,
		Path: strings.TrimSuffix(base.Path, "/") + path.Path}
	if path.RawPath != "" || base.RawPath != "" {
		a.target.RawPath = strings.TrimSuffix(base.EscapedPath(), "/") + path.EscapedPath()
	}
	return a, nil
}

func (a *appAuth) Recheck() time.Duration { return a.recheck }

func (a *appAuth) Authorize(r *http.Request, want []string) (Admission, *Refusal) {
	q := a.question(r, want)
	if a.kept == nil {
		return a.ask(r.Context(), q)
	}
	return a.kept.get(r.Context(), q.key(), func(ctx context.Context) (Admission, *Refusal) { return a.ask(ctx, q) })
}

func (a *appAuth) Again(ctx context.Context, r *http.Request, want []string) (admission Admission, refusal *Refusal) {
	q := a.question(r, want)
	if a.kept == nil {
		admission, refusal = a.ask(ctx, q)
	} else {
		admission, refusal = a.kept.renew(ctx, q.key(), func(ctx context.Context) (Admission, *Refusal) { return a.ask(ctx, q) })
	}
	if refusal != nil && !refusal.Final() && ctx.Err() == nil {
		a.unheard.log(a.log, refusal)
	}
	return admission, refusal
}
