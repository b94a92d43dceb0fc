package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"

	"wsfront/proxy"
	"wsfront/pusher"
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

	// Log is the log of events, written to standard error.
	Log Log `yaml:"log"`

	source *source // nil when it was not read from text
}

// Site is one or more host names that share certificates and routes.
type Site struct {
	proxy.Site `yaml:",inline"`

	// Routes say which path goes where. The most specific path wins, whatever
	// the order in the file.
	Routes []Route `yaml:"routes"`
}

// Route sends the requests below one path somewhere: exactly one of app,
// tunnel, files and push is given.
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

	// Publish says how the application publishes.
	Publish Publish `yaml:"publish"`

	// Syslog are sockets at which log lines are received, to be published.
	Syslog []syslog.Config `yaml:"syslog"`

	// Schedules are messages that are published by the clock.
	Schedules []schedule.Config `yaml:"schedules"`
}

// Publish is the address and the key of the publish API.
type Publish struct {
	// Listen is the address of the publish API: host:port, unix:/path/to.sock,
	// or off. It is plain HTTP, so that it belongs on this machine or a
	// private network. Default 127.0.0.1:7070.
	Listen string `yaml:"listen"`

	// KeyFile holds the key that publishers present. It is created with a
	// random key, readable by the owner alone, when it is missing at start.
	// Default publish.key in the state folder.
	KeyFile string `yaml:"key_file"`
}

// Log is the log of events.
type Log struct {
	// Level is the least important kind of event that is written: debug, info,
	// warn or error. Default info.
	Level string `yaml:"level"`

	// Format is text (key=value) or json. Default text.
	Format string `yaml:"format"`
}

// DefaultPublishListen is where the publish API listens when the file names no
// other address.
const DefaultPublishListen = "127.0.0.1:7070"

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
			h, err := push(*r.Push)
			if err != nil {
				return proxy.Config{}, fmt.Errorf("sites[%d].routes[%d].push: %w", i, j, err)
			}
			c.Sites[i].Routes[j].Handler = h
		}
	}
	return c, nil
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
