package proxy

import (
	"fmt"
	"slices"
	"strings"
)

// pools checks the pools by themselves.
func (v *validator) pools() {
	names := map[string]string{}
	for i, p := range v.Pools {
		at := fmt.Sprintf("pools[%d]", i)
		if err := checkPoolName(p.Name); err != nil {
			v.fail(at+".name", err)
		} else if other, ok := names[p.Name]; ok {
			v.failf(at+".name", "%q is the name of %s already; write another one", p.Name, other)
		} else {
			names[p.Name] = at
		}
		v.poolBackends(at, p)
		if p.Sticky != "" && !isToken(p.Sticky) { // RFC 6265 §4.1.1
			v.failf(at+".sticky", "%q is no name of a cookie; write one of letters and digits, such as ROUTE", p.Sticky)
		}
		v.duration(at+".fail_timeout", p.FailTimeout)
	}
}

func (v *validator) poolBackends(at string, p Pool) {
	if len(p.Backends) == 0 {
		v.failf(at+".backends", "missing; write who is in the pool, such as backends: [\"http://10.0.0.1:8080\", \"http://10.0.0.2:8080\"]")
		return
	}
	taken := map[string]string{}
	for i, b := range p.Backends {
		field := fmt.Sprintf("%s.backends[%d]", at, i)
		v.poolBackend(field, p.Name, b, taken)
		if b.Weight < 0 || b.Weight > MaxWeight {
			v.failf(field+".weight", "%d is no weight; write a number from 1 to %d", b.Weight, MaxWeight)
		}
	}
	if !slices.ContainsFunc(p.Backends, func(b PoolBackend) bool { return !b.Backup }) {
		v.failf(at+".backends", "all are backups; remove backup: on from those that are to be used when all is well")
	}
}

// poolBackend checks the address of one backend. taken holds those before it.
func (v *validator) poolBackend(at, pool string, one PoolBackend, taken map[string]string) {
	// By its own name even in the short form, as with a tunnel's backend.
	field := at + ".url"
	if one.URL == "" {
		v.failf(field, "missing; write the backend's address, such as url: http://10.0.0.1:8080")
		return
	}
	b := v.address(field, one.URL, "http", "https", Route{})
	if b == nil {
		return
	}
	if b.path != "" {
		without := b.scheme + "://" + b.host
		v.failf(field, "a backend of a pool has no path; write %s here, and the path where routes lead to %s%s%s", without, poolScheme, pool, b.path)
	}
	if other, ok := taken[b.network+b.address]; ok {
		v.failf(field, "%s is that of %s already; remove it, and write a weight there if it is to take more", one.URL, other)
		return
	}
	taken[b.network+b.address] = at
}

// routePool checks the pool that a route's option at the field leads to.
func (v *validator) routePool(at, field, written string, r Route) {
	name, path, _, err := r.parsePool(written)
	if err != nil {
		v.fail(field, err)
		return
	}
	p, err := findPool(v.Pools, name)
	if err != nil {
		v.fail(field, err)
		return
	}
	v.backendPath(field, path, r)
	secure := slices.ContainsFunc(p.Backends, func(b PoolBackend) bool { return strings.HasPrefix(b.URL, "https://") })
	if !secure && r.BackendTLS != (BackendTLS{}) {
		v.failf(at+".backend_tls", "no backend of pool %s is reached by TLS; remove this option, or begin their addresses with https://", name)
	}
}

// stickyCookies checks that the pools of one site do not use the same cookie: each
// would set it anew.
func (v *validator) stickyCookies(at string, s Site) {
	taken := map[string]string{} // cookie to pool
	for i, r := range s.Routes {
		option, written := ".app", r.App
		if written == "" {
			option, written = ".tunnel.backend", r.Tunnel.Backend
		}
		if !strings.HasPrefix(written, poolScheme) {
			continue
		}
		name, _, _, _ := r.parsePool(written)
		p, err := findPool(v.Pools, name)
		if err != nil || p.Sticky == "" {
			continue
		}
		other, ok := taken[p.Sticky]
		if !ok {
			taken[p.Sticky] = name
		} else if other != name {
			v.failf(fmt.Sprintf("%s.routes[%d]%s", at, i, option), "the pools %s and %s of this site have the same sticky cookie %s, and each would set it anew; write another name for one of them", other, name, p.Sticky)
		}
	}
}
