package proxy

import (
	"fmt"
	"slices"
	"strings"
)

// newTable makes the routing table of a valid Config.
func newTable(cfg Config) (*table, error) {
	t := &table{exact: map[string]*site{}, labels: map[string]*site{}, trusted: cfg.TrustedProxies}
	for i, c := range cfg.Sites {
		s, err := newSite(c)
		if err != nil {
			return nil, fmt.Errorf("sites[%d].%w", i, err)
		}
		t.sites = append(t.sites, s)
		for _, host := range c.Hosts {
			switch rest, wild := strings.CutPrefix(host, "*."); {
			case host == "*":
				t.any = s
			case wild:
				t.labels[strings.ToLower(rest)] = s
			default:
				t.exact[hostname(host)] = s
			}
		}
	}
	return t, nil
}

func newSite(c Site) (*site, error) {
	s := &site{Site: c, name: c.Hosts[0]}
	push := false
	for i, rc := range c.Routes {
		rt, err := newRoute(s, rc)
		if err != nil {
			return nil, fmt.Errorf("routes[%d]: %w", i, err)
		}
		push = push || rc.Tunnel != "" || rc.Handler != nil
		s.routes = append(s.routes, rt)
	}
	slices.SortStableFunc(s.routes, (*route).before)
	s.upgradeInsecure = push && c.TLS.mode() != TLSOff
	if c.UpgradeInsecure != nil {
		s.upgradeInsecure = *c.UpgradeInsecure
	}
	return s, nil
}

func newRoute(s *site, c Route) (*route, error) {
	rt := &route{Route: c, name: s.name + c.Path}
	if rt.MaxBody == 0 {
		rt.MaxBody = DefaultMaxBody
	}
	if rt.ResponseTimeout == 0 {
		rt.ResponseTimeout = DefaultResponseTimeout
	}
	var err error
	if rt.prefix, rt.variable, err = parsePath(c.Path); err != nil {
		return nil, err
	}
	switch {
	case c.App != "":
		if rt.backend, err = parseBackend(c.App, "http", "https"); err == nil {
			err = rt.backend.secure(c.BackendTLS)
		}
		if err == nil {
			rt.handler = newForwarder(rt)
		}
	case c.Tunnel != "":
		if rt.backend, err = parseBackend(c.Tunnel, "ws", "wss"); err == nil {
			err = rt.backend.secure(c.BackendTLS)
		}
	case c.Files != "":
		rt.handler, err = newFiles(rt)
	default:
		rt.handler = pushHandler{rt}
	}
	return rt, err
}

// close gives back what the table holds, once no new request uses it.
func (t *table) close() {
	for _, s := range t.sites {
		for _, rt := range s.routes {
			if c, ok := rt.handler.(interface{ close() }); ok {
				c.close()
			}
		}
	}
}
