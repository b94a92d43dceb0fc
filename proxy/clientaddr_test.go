package proxy

import (
	"net/netip"
	"strings"
	"testing"

	"wsfront/proxy/http1"
)

func prefixes(list ...string) (p []netip.Prefix) {
	for _, s := range list {
		p = append(p, netip.MustParsePrefix(s))
	}
	return p
}

func TestIdentify(t *testing.T) {
	trusted := prefixes("10.0.0.0/8", "2001:db8:1::/48")
	for _, c := range []struct {
		name, remote          string
		forwarded             []string
		proto, host           string
		client, scheme, wants string
	}{
		{"nobody between", "192.0.2.1:5", nil, "", "", "192.0.2.1", "http", "app.test"},
		{"forged", "192.0.2.1:5", []string{"6.6.6.6"}, "https", "evil.test", "192.0.2.1", "http", "app.test"},
		{"trusted, silent", "10.0.0.1:5", nil, "", "", "10.0.0.1", "http", "app.test"},
		{"trusted", "10.0.0.1:5", []string{"192.0.2.1"}, "HTTPS", "www.test", "192.0.2.1", "https", "www.test"},
		{"forged left of the client", "10.0.0.1:5", []string{"6.6.6.6, 192.0.2.1"}, "", "", "192.0.2.1", "http", "app.test"},
		{"two proxies, two lines", "10.0.0.1:5", []string{"6.6.6.6,192.0.2.1", " 10.0.0.2 "}, "", "", "192.0.2.1", "http", "app.test"},
		{"all trusted", "10.0.0.1:5", []string{"10.0.0.3, 10.0.0.2"}, "", "", "10.0.0.3", "http", "app.test"},
		{"unknown", "10.0.0.1:5", []string{"192.0.2.1, unknown, 10.0.0.2"}, "", "", "10.0.0.2", "http", "app.test"},
		{"with port", "10.0.0.1:5", []string{"192.0.2.1:999"}, "", "", "192.0.2.1", "http", "app.test"},
		{"IPv6", "[2001:db8:1::1]:5", []string{"2001:db8::7%eth0"}, "", "", "2001:db8::7", "http", "app.test"},
		{"IPv6 with port", "[2001:db8:1::1]:5", []string{"[2001:db8::7]:999"}, "", "", "2001:db8::7", "http", "app.test"},
		{"IPv4 as IPv6", "[::ffff:10.0.0.1]:5", []string{"::ffff:192.0.2.1"}, "", "", "192.0.2.1", "http", "app.test"},
		{"wss", "10.0.0.1:5", nil, "http, wss", "", "10.0.0.1", "https", "app.test"},
		{"other scheme", "10.0.0.1:5", nil, "gopher", "", "10.0.0.1", "http", "app.test"},
		{"bad host", "10.0.0.1:5", nil, "", "a b", "10.0.0.1", "http", "app.test"},
	} {
		r := &http1.Request{HostValue: []byte("app.test")}
		for _, list := range c.forwarded {
			r.Fields = append(r.Fields, fieldList("X-Forwarded-For", list)...)
		}
		for name, v := range map[string]string{"X-Forwarded-Proto": c.proto, "X-Forwarded-Host": c.host} {
			if v != "" {
				r.Fields = append(r.Fields, fieldList(name, v)...)
			}
		}
		x := &exchange{req: r, peer: netip.MustParseAddrPort(c.remote).Addr().Unmap()}
		x.arrived(trusted)
		if x.client.String() != c.client || x.scheme != c.scheme || string(x.host) != c.wants {
			t.Errorf("%s: %s by %s for %s, want %s by %s for %s", c.name, x.client, x.scheme, x.host, c.client, c.scheme, c.wants)
		}
		if x.hops[0] != x.client || x.hops[len(x.hops)-1] != x.peer {
			t.Errorf("%s: from %s by %v to %s", c.name, x.client, x.hops, x.peer)
		}
	}
}

// Whatever a client writes, the address found is never one that stands left of
// an address which is not a trusted proxy's.
func FuzzForwarded(f *testing.F) {
	for _, s := range []string{"6.6.6.6, 192.0.2.1", "6.6.6.6,10.0.0.2,192.0.2.1,10.0.0.3", "10.0.0.1", ",,", "unknown, 10.0.0.1", "[::1]:80", "6.6.6.6, x, 10.0.0.1", "::ffff:10.0.0.1"} {
		f.Add(s, true)
		f.Add(s, false)
	}
	trusted := prefixes("10.0.0.0/8")
	f.Fuzz(func(t *testing.T, value string, known bool) {
		peer := netip.MustParseAddr("192.0.2.200")
		if known {
			peer = netip.MustParseAddr("10.0.0.200")
		}
		hops := forwardedHops(peer, []string{value}, trusted)
		if hops[len(hops)-1] != peer {
			t.Fatalf("%v does not end with the peer", hops)
		}
		for _, hop := range hops[1:] {
			if !contains(trusted, hop) {
				t.Fatalf("%q: in %v, %s is not trusted and yet believed", value, hops, hop)
			}
		}
		// Prepending never changes the result: that is what an attacker can do.
		if contains(trusted, hops[0]) {
			return // nothing but trusted proxies: what is left of them counts
		}
		if again := forwardedHops(peer, []string{"10.6.6.6, 6.6.6.6, " + value}, trusted); again[0] != hops[0] {
			t.Fatalf("%q: %s, and %s with something prepended", value, hops[0], again[0])
		}
	})
}

func FuzzValidHost(f *testing.F) {
	for _, s := range []string{"app.test:8443", "[2001:db8::1]:80", "a b", "a\r\nX: y", "a/b", "a\"b", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, host string) {
		if validHost(host) && (host == "" || strings.ContainsAny(host, " \t\r\n\"\\/?#<>\x00@")) {
			t.Errorf("%q is taken for valid", host)
		}
	})
}
