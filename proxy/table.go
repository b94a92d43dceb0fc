package proxy

import (
	"fmt"
	"slices"

	"wsfront/proxy/http1"
)

// newTable makes the routing table of a valid Config. Its error is a FieldError:
// something the Config names is not there, or not what it should be.
func newTable(cfg Config) (*table, error) {
	t := &table{trusted: cfg.TrustedProxies, traces: cfg.Traceparent != TraceparentPass, passwords: map[string]*passwordFile{}, pools: newPools(cfg.Pools)}
	for i, c := range cfg.Sites {
		s, err := t.newSite(fmt.Sprintf("sites[%d]", i), c)
		if err != nil {
			return nil, err
		}
		t.sites = append(t.sites, s)
		for _, host := range c.Hosts {
			t.hosts.add(host, s)
		}
	}
	return t, nil
}

// newSite makes the site that stands at the field at.
func (t *table) newSite(at string, c Site) (*site, error) {
	s := &site{Site: c, name: c.Hosts[0], answers: newFieldRules(c.Headers)}
	push := false
	for i, rc := range c.Routes {
		rt, err := t.newRoute(s, fmt.Sprintf("%s.routes[%d]", at, i), rc)
		if err != nil {
			return nil, err
		}
		push = push || rc.Tunnel.Backend != "" || rc.Handler != nil
		rt.place = i
		s.routes = append(s.routes, rt)
	}
	slices.SortStableFunc(s.routes, (*route).before)
	s.upgradeInsecure = push && c.TLS.mode() != TLSOff
	if c.UpgradeInsecure != nil {
		s.upgradeInsecure = *c.UpgradeInsecure
	}
	return s, nil
}

func (t *table) newRoute(s *site, at string, c Route) (*route, error) {
	rt := &route{Route: c, name: s.name + c.Path, answers: newFieldRules(c.Headers), requests: newRequestRules(c.RequestHeaders)}
	rt.traces = t.traces && !rt.requests.concerns(http1.Traceparent)
	if rt.MaxBody == 0 {
		rt.MaxBody = DefaultMaxBody
	}
	if rt.ResponseTimeout == 0 {
		rt.ResponseTimeout = DefaultResponseTimeout
	}
	field := at + ".path"
	if c.Match != "" {
		field, rt.name = at+".match", s.name+" "+c.Match
	}
	err := rt.parsePlace()
	if err == nil {
		switch {
		case c.App != "":
			field = at + ".app"
			err = t.lead(rt, at, c.App, "http", "https")
		case c.Tunnel.Backend != "":
			field = at + ".tunnel"
			err = t.lead(rt, at, c.Tunnel.Backend, "ws", "wss")
			if c.Tunnel.Mode == TunnelMessage {
				rt.messages = newMessageTunnel(c)
			}
		case c.Files != "":
			field = at + ".files"
			var f *files
			f, err = newFiles(rt)
			rt.handler = f
			if c.Fallthrough {
				rt.folder = f
			}
		case c.Redirect != Redirect{}:
			field = at + ".redirect"
			rt.handler, err = newRedirector(rt)
		default:
			rt.handler = pushHandler{rt}
		}
	}
	if err == nil {
		field = at + ".basic_auth.file"
		rt.guard, err = newGuard(c.BasicAuth, t.passwords)
	}
	if err != nil {
		return nil, inField(field, err)
	}
	if c.App != "" {
		rt.handler = forwarder{}
	}
	return rt, nil
}

// lead fills in where a route's App or Tunnel, written at the field, leads.
func (t *table) lead(rt *route, at, written, plain, secure string) error {
	config, err := rt.BackendTLS.config()
	if err != nil {
		return FieldError{at + ".backend_tls.ca", err.Error()}
	}
	return t.pools.lead(rt, written, plain, secure, config)
}

// routeCount is how many routes there are, in all sites.
func (t *table) routeCount() (n int) {
	for _, s := range t.sites {
		n += len(s.routes)
	}
	return n
}

// close gives back what the table holds, once no new request uses it.
func (t *table) close() { t.pools.close() }
