package proxy

import (
	"cmp"
	"crypto/tls"
	"strings"
	"sync"
	"time"
)

// pool is the backends that a route leads to: those of a Pool, or a single one,
// which is asked whatever became of the last attempt. It may be used concurrently.
type pool struct {
	written     string // as it stands in the configuration, for logs
	name        string // "" for a single backend
	sticky      string
	failTimeout time.Duration
	members     []*member

	mu sync.Mutex // over what changes of the members
}

// member is one backend of a pool, with the connections that are kept to it.
type member struct {
	*upstream
	weight int
	backup bool
	key    string // what the sticky cookie calls it

	load   [2]load // by kind of exchange
	down   bool
	failed time.Time // when it could last not be reached
	trying bool      // one exchange finds out whether it is down still
}

// load is what a member has to do with exchanges of one kind.
type load struct {
	open int
	turn int // the higher, the sooner it is its turn among those that are loaded alike
}

// The kinds of exchange.
const (
	plainRequest = iota
	openTunnel
)

// newPool makes the pool of a valid Pool.
func newPool(c Pool, config *tls.Config) (*pool, error) {
	p := &pool{written: poolScheme + c.Name, name: c.Name, sticky: c.Sticky, failTimeout: cmp.Or(c.FailTimeout, DefaultFailTimeout)}
	for _, one := range c.Backends {
		b, err := parseBackend(one.URL, "http", "https")
		if err != nil {
			return nil, err
		}
		b.secure(config)
		p.members = append(p.members, &member{
			upstream: &upstream{backend: b}, weight: cmp.Or(one.Weight, 1), backup: one.Backup, key: memberKey(one.URL),
		})
	}
	return p, nil
}

// onlyBackend is the pool of a route that leads to a single backend.
func onlyBackend(b *backend, config *tls.Config) *pool {
	b.secure(config)
	return &pool{written: b.written, members: []*member{{upstream: &upstream{backend: b}}}}
}

// close gives back what the pool holds.
func (p *pool) close() {
	for _, m := range p.members {
		m.close()
	}
}

// pools are those of one routing table, made as its routes ask for them.
type pools struct {
	configured []Pool
	shared     map[poolKey]*pool
	all        []*pool // those of single backends as well
	accounts   map[backendID]*backendAccount
}

// poolKey is what routes have in common that share a pool: its connections, and
// what is known of its backends. One that does not pass the verification of one
// route is not down for the others.
type poolKey struct {
	name string
	tls  BackendTLS
}

// lead fills in where a route's App or Tunnel value leads. plain and secure are
// the schemes of a single backend, config is what the route's options say of TLS.
func (s *pools) lead(rt *route, written, plain, secure string, config *tls.Config) error {
	if strings.HasPrefix(written, poolScheme) {
		name, path, template, err := rt.parsePool(written)
		if err == nil {
			rt.path, rt.template = path, template
			rt.pool, err = s.get(poolKey{name, rt.BackendTLS}, config)
		}
		return err
	}
	b, template, err := rt.parseBackend(written, plain, secure)
	if err != nil {
		return err
	}
	rt.pool, rt.path, rt.template = onlyBackend(b, config), b.path, template
	s.add(rt.pool)
	return nil
}

// get finds a pool, or makes it for the first route that leads there.
func (s *pools) get(key poolKey, config *tls.Config) (*pool, error) {
	if p := s.shared[key]; p != nil {
		return p, nil
	}
	c, err := findPool(s.configured, key.name)
	if err != nil {
		return nil, err
	}
	p, err := newPool(c, config)
	if err != nil {
		return nil, err
	}
	s.shared[key] = p
	s.add(p)
	return p, nil
}

// add takes a pool in, and gives its backends their accounts: those of other
// pools that lead to the same ones.
func (s *pools) add(p *pool) {
	s.all = append(s.all, p)
	for _, m := range p.members {
		id := backendID{p.name, m.backend.written}
		if s.accounts[id] == nil {
			s.accounts[id] = newBackendAccount()
		}
		m.backend.account = s.accounts[id]
	}
}

// keepAccounts has backends go on with the accounts that they had.
func (s *pools) keepAccounts(before *pools) {
	for _, p := range s.all {
		for _, m := range p.members {
			id := backendID{p.name, m.backend.written}
			if earlier := before.accounts[id]; earlier != nil {
				s.accounts[id], m.backend.account = earlier, earlier
			}
		}
	}
}

func newPools(configured []Pool) *pools {
	return &pools{configured: configured, shared: map[poolKey]*pool{}, accounts: map[backendID]*backendAccount{}}
}

func (s *pools) close() {
	for _, p := range s.all {
		p.close()
	}
}
