package proxy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Pool is several backends that share the requests and the tunnels of the routes
// that lead to it. One that cannot be reached is left out for a while; whatever
// was for it goes to another one.
type Pool struct {
	// Name is what routes call the pool: letters, digits, -, _ and dots. App and
	// Tunnel lead to pool://NAME.
	Name string `yaml:"name"`

	// Backends are its members.
	Backends []PoolBackend `yaml:"backends"`

	// Sticky names a cookie of our own that keeps a browser with the backend that
	// answered it first, for as long as that can be reached. Default none: each
	// request may go to another backend.
	Sticky string `yaml:"sticky"`

	// FailTimeout is for how long a backend is left out after it could not be
	// reached; then one request tries it again. Default 10s.
	FailTimeout time.Duration `yaml:"fail_timeout"`
}

// PoolBackend is one backend of a Pool.
type PoolBackend struct {
	// URL is http://host:port, https://host:port or unix:/path/to.sock, without a
	// path. WebSocket handshakes go there, too.
	URL string `yaml:"url"`

	// Weight is how much it takes beside the others: with 2 twice as much as with
	// 1. At most 256. Default 1.
	Weight int `yaml:"weight"`

	// Backup has it used only while no other backend can be reached.
	Backup bool `yaml:"backup"`
}

// UnmarshalText reads the short form: the URL alone.
func (b *PoolBackend) UnmarshalText(text []byte) error {
	*b = PoolBackend{URL: string(text)}
	return nil
}

// Defaults and limits of Pool.
const (
	DefaultFailTimeout = 10 * time.Second

	// MaxWeight is the largest Weight.
	MaxWeight = 256
)

// poolScheme begins an App or Tunnel that leads to a pool.
const poolScheme = "pool://"

// parsePool understands an App or Tunnel value that leads to a pool. path
// replaces the route's path; "" keeps the request's.
func parsePool(written string) (name, path string, err error) {
	name = strings.TrimPrefix(written, poolScheme)
	if i := strings.IndexAny(name, "/?#"); i >= 0 {
		name, path = name[:i], name[i:]
	}
	if err := checkPoolName(name); err != nil {
		return "", "", fmt.Errorf("%q leads to no pool: %w", written, err)
	}
	if path == "" {
		return name, "", nil
	}
	if strings.ContainsAny(path, "?#") {
		return "", "", fmt.Errorf("a pool has no query; write %s%s%s", poolScheme, name, path[:strings.IndexAny(path, "?#")])
	}
	if path, err = cleanPath(path); err != nil {
		return "", "", fmt.Errorf("%q: %w", written, err)
	}
	return name, path, nil
}

// parsePool is that of the package for an option of the route. A path in which
// groups of Match stand is returned as a template instead.
func (r *Route) parsePool(written string) (name, path string, t pathTemplate, err error) {
	if err = groupInHost(written); err == nil {
		name, path, err = parsePool(bareGroups(written))
	}
	if err != nil {
		return "", "", nil, err
	}
	if t, err = r.template(path); t != nil {
		path = ""
	}
	return name, path, t, err
}

func checkPoolName(name string) error {
	if name == "" {
		return errors.New("the name is missing; write one such as web")
	}
	if i := strings.IndexFunc(name, func(r rune) bool { return !isNameChar(r) && r != '.' }); i >= 0 {
		return fmt.Errorf("the name holds %q; letters, digits, -, _ and dots are allowed", []rune(name[i:])[0])
	}
	return nil
}

// findPool finds the pool of that name.
func findPool(list []Pool, name string) (Pool, error) {
	if i := slices.IndexFunc(list, func(p Pool) bool { return p.Name == name }); i >= 0 {
		return list[i], nil
	}
	var names []string
	for _, p := range list {
		if p.Name != "" {
			names = append(names, poolScheme+p.Name)
		}
	}
	if len(names) == 0 {
		return Pool{}, fmt.Errorf("there are no pools; write pools: [{name: %s, backends: [\"http://10.0.0.1:8080\"]}]", name)
	}
	return Pool{}, fmt.Errorf("there is no pool %q; write %s", name, strings.Join(names, " or "))
}
