package proxy

// What RouteState.Kind may be.
const (
	kindApp      = "app"
	kindTunnel   = "tunnel"
	kindFiles    = "files"
	kindRedirect = "redirect"
	kindPush     = "push"
)

// What RouteState.Health may be.
const (
	healthUp       = "up"
	healthDegraded = "degraded"
	healthDown     = "down"
)

// Sites tells of the sites and routes in effect, in the order of the
// configuration. It may be called concurrently.
func (s *Server) Sites() []SiteState {
	t, tunnels := s.table.Load(), s.tunnelCounts()
	list := make([]SiteState, 0, len(t.sites))
	for _, site := range t.sites {
		state := SiteState{Name: site.name, Hosts: site.Hosts, TLS: string(site.TLS.mode()), Routes: make([]RouteState, len(site.routes))}
		for _, rt := range site.routes {
			one := rt.state()
			one.Tunnels = tunnels[site.routeID(rt)].Open
			state.Routes[rt.place] = one
		}
		list = append(list, state)
	}
	return list
}

// state is how a route fares, but for its tunnels. What several routes of one
// path are asked for is counted together.
func (rt *route) state() RouteState {
	state := RouteState{Route: rt.Path + rt.Match, Health: healthUp, Backends: []BackendState{}}
	state.Kind, state.To = rt.leads()
	state.Requests, state.Failed = rt.account.requests()
	if rt.pool == nil {
		return state
	}
	up := 0
	for _, m := range rt.pool.members {
		b := rt.pool.backendState(m)
		state.Backends = append(state.Backends, b)
		if b.Up {
			up++
		}
	}
	switch up {
	case len(state.Backends):
	case 0:
		state.Health = healthDown
	default:
		state.Health = healthDegraded
	}
	return state
}

// leads is what kind a route is of, and where it leads.
func (rt *route) leads() (kind, to string) {
	switch {
	case rt.App != "":
		return kindApp, rt.App
	case rt.Tunnel.Backend != "":
		return kindTunnel, rt.Tunnel.Backend
	case rt.Files != "":
		return kindFiles, rt.Files
	case rt.Handler != nil:
		return kindPush, ""
	}
	return kindRedirect, rt.Redirect.To
}

func (p *pool) backendState(m *member) BackendState {
	state := BackendState{Backend: m.backend.written, Backup: m.backup}
	state.Up, state.Open = p.state(m)
	if f := m.backend.account.failure.Load(); f != nil {
		state.Failed, state.Reason = f.at, f.reason
	}
	return state
}
