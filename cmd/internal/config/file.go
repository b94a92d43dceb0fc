package config

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"wsfront/proxy"
	"wsfront/pusher"
	"wsfront/pusher/natsbroker"
	"wsfront/pusher/schedule"
	"wsfront/pusher/syslog"
)

// File is the whole configuration file. A program may also fill it in by
// itself, as wsfront run does from its flags.
type File struct {
	proxy.Config `yaml:",inline"`

	// Sites are the host names served here and where their requests go.
	Sites []Site `yaml:"sites"`

	// Push is the push service of routes with push.
	Push Push `yaml:"push"`

	// Admin is where the running server is looked at and given orders.
	Admin Admin `yaml:"admin"`

	// Log is the log of events, written to standard error.
	Log Log `yaml:"log"`

	source *source // nil when it was not read from text
}

// Site is one or more host names that share certificates and routes.
type Site struct {
	proxy.Site `yaml:",inline"`

	// Routes say which path goes where. The most specific path wins, whatever
	// the order in the file; those with match come first, in that order.
	Routes []Route `yaml:"routes"`
}

// Route sends the requests below one path somewhere: exactly one of app,
// tunnel, files, redirect and push is given.
type Route struct {
	proxy.Route `yaml:",inline"`

	// Push is the channel of the push service that browsers get here: by
	// WebSocket, or as an event stream. Plain requests on the same path fall
	// through to the next route.
	Push *pusher.Endpoint `yaml:"push"`
}

// Push is the push service, which runs in the same process.
type Push struct {
	pusher.Config `yaml:",inline"`

	// History is how much of what is published is kept, and how safely.
	History History `yaml:"history"`

	// Publish says how the application publishes.
	Publish Publish `yaml:"publish"`

	// Syslog are sockets at which log lines are received, to be published.
	Syslog []syslog.Config `yaml:"syslog"`

	// Schedules are messages that are published by the clock.
	Schedules []schedule.Config `yaml:"schedules"`
}

// History is the store of what was published: one of the words memory and
// durable, or a mapping.
type History struct {
	// Mode is memory, whose life is that of the process, or durable, which
	// outlives it. Default memory, or durable where dir or url is given.
	Mode string `yaml:"mode"`

	natsbroker.Options `yaml:",inline"`
}

// The modes of History.
const (
	HistoryMemory  = "memory"
	HistoryDurable = "durable"
)

// UnmarshalText reads the short form: memory or durable.
func (h *History) UnmarshalText(text []byte) error {
	switch mode := string(text); mode {
	case HistoryMemory, HistoryDurable:
		*h = History{Mode: mode}
		return nil
	}
	return fmt.Errorf("%q is no kind of history; write memory, durable, or {mode: durable, messages: 10000}", text)
}

// Durable reports whether what was published outlives the process.
func (h History) Durable() bool {
	return h.Mode == HistoryDurable || h.Mode == "" && (h.Dir != "" || h.URL != "")
}

// Memory is the history as pusher.NewMemory wants it.
func (h History) Memory() pusher.History {
	return pusher.History{Messages: h.Messages, Bytes: h.Bytes, Age: h.Age, Total: h.Total}
}

// Store is the options of a durable history: its folder is push in the state
// folder where neither that nor a URL is given.
func (f *File) Store() natsbroker.Options {
	o := f.Push.History.Options
	if o.Dir == "" && o.URL == "" && f.StateDir() != "" {
		o.Dir = filepath.Join(f.StateDir(), "push")
	}
	return o
}

// Publish is the address and the keys of the publish API.
type Publish struct {
	// Listen is the address of the publish API: host:port, unix:/path/to.sock,
	// or off. It is plain HTTP, so that it belongs on this machine or a
	// private network. Default 127.0.0.1:7070.
	Listen string `yaml:"listen"`

	// KeyFile holds the key that publishers present. It is created with a
	// random key, readable by the owner alone, when it is missing at start.
	// It may hold several keys, one in each line, which all are valid; it is
	// looked at again while the service runs. Its keys are for everything.
	// Default publish.key in the state folder.
	KeyFile string `yaml:"key_file"`

	// Keys are further keys, each for some channels and rights only.
	Keys pusher.Keys `yaml:"keys"`

	// MaxConnections is how many connections the publish API has at a time; one
	// more is answered 503 and closed. Default 1000.
	MaxConnections int `yaml:"max_connections"`
}

// Log is the log of events.
type Log struct {
	// Level is the least important kind of event that is written: debug, info,
	// warn or error. Default info.
	Level string `yaml:"level"`

	// Format is text (key=value) or json. Default text.
	Format string `yaml:"format"`

	// Sampling is how many warnings and errors that are alike are written, so that
	// a flood of failures cannot fill the disk: {burst: 20, per: 10s}, or off.
	Sampling Sampling `yaml:"sampling"`
}

// Sampling is how many lines that are alike are written.
type Sampling struct {
	// Burst is how many lines of one event, with the same cause, status or limit,
	// are written within per; the others are counted, and told of by one line
	// log.sampled. Default 20.
	Burst int `yaml:"burst"`

	// Per is the time for which that holds. Default 10s.
	Per time.Duration `yaml:"per"`

	// Off has all lines written: off in place of the mapping.
	Off bool `yaml:"-"`
}

// UnmarshalText reads the short form: off.
func (s *Sampling) UnmarshalText(text []byte) error {
	if string(text) != "off" {
		return fmt.Errorf("%q is neither off nor a mapping; write off, or {burst: 20, per: 10s}", text)
	}
	*s = Sampling{Off: true}
	return nil
}

// Limits are the values in effect. A burst of 0 is none.
func (s Sampling) Limits() (burst int, per time.Duration) {
	if s.Off {
		return 0, 0
	}
	return cmp.Or(s.Burst, 20), cmp.Or(s.Per, 10*time.Second)
}

// DefaultPublishListen is where the publish API listens when the file names no
// other address.
const DefaultPublishListen = "127.0.0.1:7070"

// DefaultPublishConnections is how many connections the publish API has at a time
// when the file says nothing else.
const DefaultPublishConnections = 1000

// maxFileSize is far more than any configuration needs; a larger file is
// another one, named by mistake.
const maxFileSize = 1 << 20

// Find returns the name of the file that is read when none is named:
// wsfront.yaml in the working directory, else /etc/wsfront/wsfront.yaml.
func Find() (string, error) {
	candidates := []string{"wsfront.yaml", "/etc/wsfront/wsfront.yaml"}
	for _, name := range candidates {
		if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
			return name, nil // when it cannot be read, reading it says why
		}
	}
	return "", fmt.Errorf("there is neither %s here nor %s; name the file by --config FILE, or write one", candidates[0], candidates[1])
}

// Load reads and checks the file of that name. When the file could be read and
// has mistakes, the error is Problems.
func Load(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	return Parse(path, data)
}

// Validate checks a File that was filled in by a program. The error is
// proxy.FieldErrors with every mistake. Parse has done it already for the File
// it returns.
func (f *File) Validate() error {
	if found := f.check(); len(found) > 0 {
		return found
	}
	return nil
}

// Explain gives a mistake that showed later than Validate, such as a file that
// is not there, its place in the configuration file, where there is one.
func (f *File) Explain(err error) error {
	var mistake proxy.FieldError
	if f.source == nil || !errors.As(err, &mistake) {
		return err
	}
	return Problems{f.source.locate(mistake.Field, mistake.Message)}
}

// Proxy makes the configuration of the proxy, in which each push endpoint is
// the handler that push returns for it.
func (f *File) Proxy(push func(pusher.Endpoint) (http.Handler, error)) (proxy.Config, error) {
	return f.proxy(func(s Site, e pusher.Endpoint) (http.Handler, error) {
		e, err := s.withApp(e, f.Pools)
		if err != nil {
			return nil, err
		}
		return push(e)
	})
}

func (f *File) proxy(push func(Site, pusher.Endpoint) (http.Handler, error)) (proxy.Config, error) {
	script := pusher.Script()
	c := f.Config
	c.Sites = make([]proxy.Site, len(f.Sites))
	for i, s := range f.Sites {
		c.Sites[i] = s.Site
		c.Sites[i].Routes = make([]proxy.Route, len(s.Routes))
		for j, r := range s.Routes {
			c.Sites[i].Routes[j] = r.Route
			if r.Push == nil {
				continue
			}
			h, err := push(s, *r.Push)
			if err != nil {
				return proxy.Config{}, inEndpoint(fmt.Sprintf("sites[%d].routes[%d].push", i, j), err)
			}
			own := &c.Sites[i].Routes[j]
			own.Handler = h
			if t := r.Push.Token; t != nil {
				own.SecretQuery = cmp.Or(t.Query, pusher.DefaultTokenQuery)
			}
			if path := scriptPath(r.Path); !s.hasPath(path) {
				c.Sites[i].Routes = append(c.Sites[i].Routes, proxy.Route{
					Path: path, Handler: script, Whole: true,
					Allow: r.Allow, BasicAuth: r.BasicAuth, Headers: r.Headers,
				})
			}
		}
	}
	return c, nil
}

// scriptPath is where the script for the pages of a push route is.
func scriptPath(path string) string {
	stem, _, _ := strings.Cut(path, "{")
	return strings.TrimSuffix(stem, "/") + "/push.js"
}

func (s Site) hasPath(path string) bool {
	return slices.ContainsFunc(s.Routes, func(r Route) bool { return r.Path == path })
}

// withApp fills in how the application is asked who may listen.
func (s Site) withApp(e pusher.Endpoint, pools []proxy.Pool) (pusher.Endpoint, error) {
	if e.Auth == nil {
		return e, nil
	}
	app, ok := s.appFor(e.Auth.Path)
	if !ok {
		return e, errors.New(noApp(e.Auth.Path))
	}
	var err error
	e.App, e.AppURL, err = app.AppTransport(pools)
	return e, err
}

func noApp(path string) string {
	return fmt.Sprintf("no app route of this site takes %s; add one, such as {path: /, app: \"http://127.0.0.1:8080\"}", path)
}

// appFor is the app route that a plain request for path takes.
func (s Site) appFor(path string) (best proxy.Route, ok bool) {
	path, _, _ = strings.Cut(path, "?")
	for _, r := range s.Routes {
		if r.Match != "" {
			if ok, _ := regexp.MatchString(r.Match, path); ok && r.App != "" {
				return r.Route, true
			}
			continue
		}
		rest, below := strings.CutPrefix(path, r.Path)
		below = below && (rest == "" || strings.HasSuffix(r.Path, "/") || rest[0] == '/')
		if r.App != "" && below && (!ok || len(r.Path) > len(best.Path)) {
			best, ok = r.Route, true
		}
	}
	return best, ok
}

// inEndpoint gives mistakes in a push endpoint that show only when it is made
// their place in the file.
func inEndpoint(at string, err error) error {
	if found := inPusher(at, err); len(found) > 0 {
		return found
	}
	return fmt.Errorf("%s: %w", at, err)
}

// ListenAddresses are the addresses in effect, of listen and of http_listen.
func (f *File) ListenAddresses() (listen, httpListen []string) {
	cfg, _ := f.proxy(placeholder) // which never fails
	return cfg.ListenAddresses()
}

// HasPush reports whether any route has push, so that the push service and its
// publish API are to run.
func (f *File) HasPush() bool {
	for _, s := range f.Sites {
		for _, r := range s.Routes {
			if r.Push != nil {
				return true
			}
		}
	}
	return false
}

// StateDir is the state folder in effect, or "" when the file names none and
// the environment has no place for it.
func (f *File) StateDir() string {
	if f.State != "" {
		return f.State
	}
	return proxy.DefaultState()
}

// PublishAPI returns the options of the publish API with their defaults.
func (f *File) PublishAPI() Publish {
	p := f.Push.Publish
	if p.Listen == "" {
		p.Listen = DefaultPublishListen
	}
	if p.KeyFile == "" && f.StateDir() != "" {
		p.KeyFile = filepath.Join(f.StateDir(), "publish.key")
	}
	if p.MaxConnections == 0 {
		p.MaxConnections = DefaultPublishConnections
	}
	return p
}

// Handler makes the log's handler, which writes to w.
func (l Log) Handler(w io.Writer) slog.Handler {
	options := &slog.HandlerOptions{}
	switch l.Level {
	case "debug":
		options.Level = slog.LevelDebug
	case "warn":
		options.Level = slog.LevelWarn
	case "error":
		options.Level = slog.LevelError
	}
	if l.Format == "json" {
		return slog.NewJSONHandler(w, options)
	}
	return slog.NewTextHandler(w, options)
}
