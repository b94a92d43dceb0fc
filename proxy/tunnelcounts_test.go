package proxy

import (
	"testing"

	"wsfront/proxy/diagnosis"
)

// The account of a route is the same over reloads, wherever it leads, and goes
// with it. What found no route has an account of its own.
func TestTunnelCounts_OfARouteGoWithIt(t *testing.T) {
	at := func(path, backend string) Route { return Route{Path: path, Tunnel: Tunnel{Backend: backend}} }
	site := func(routes ...Route) Site {
		return Site{Hosts: []string{"app.test"}, TLS: TLS{Mode: TLSOff}, Routes: routes}
	}
	f := serveConfig(t, Config{Sites: []Site{site(at("/a", "ws://127.0.0.1:9"), at("/b", "ws://127.0.0.1:9"))}})
	route := func(i int) *route { return f.table.Load().sites[0].routes[i] }
	gone := route(1)
	f.countRefusedTunnel(route(0), diagnosis.BackendDown)
	f.countRefusedTunnel(gone, "")
	f.countRefusedTunnel(nil, diagnosis.HostRefused)
	f.reload(site(at("/a", "ws://127.0.0.1:10"), Route{Path: "/c", Files: t.TempDir()}))
	f.countRefusedTunnel(route(0), diagnosis.BackendDown)
	f.countRefusedTunnel(gone, "") // by a request that was under way
	want := func(id routeID, cause diagnosis.Cause, n uint64) {
		t.Helper()
		if got := f.tunnelCounts()[id].Refused[string(cause)]; got != n {
			t.Errorf("%+v: %d were refused for %s, want %d", id, got, cause, n)
		}
	}
	want(routeID{"app.test", "/a"}, diagnosis.BackendDown, 2)
	want(routeID{}, diagnosis.HostRefused, 1)
	f.countRefusedTunnel(route(1), diagnosis.PathUnknown) // none leads there
	want(routeID{}, diagnosis.PathUnknown, 1)
	if counts := f.tunnelCounts(); len(counts) != 2 {
		t.Errorf("accounts %v, want that of /a and that of no route", counts)
	}
	f.reload(site(at("/b", "ws://127.0.0.1:9")))
	f.countRefusedTunnel(route(0), "")
	want(routeID{"app.test", "/b"}, diagnosis.Refused, 1)
}
