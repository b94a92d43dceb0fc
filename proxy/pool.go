package proxy

import "crypto/tls"

// pool is the backends that a route leads to.
type pool struct {
	written string // as it stands in the configuration, for logs
	members []*member
}

// member is one backend of a pool, with the connections that are kept to it.
type member struct{ *upstream }

// onlyBackend is the pool of a route that leads to a single backend.
func onlyBackend(b *backend, config *tls.Config) *pool {
	b.secure(config)
	return &pool{written: b.written, members: []*member{{&upstream{backend: b}}}}
}

// close gives back what the pool holds.
func (p *pool) close() {
	for _, m := range p.members {
		m.close()
	}
}
