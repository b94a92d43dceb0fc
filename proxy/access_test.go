package proxy

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

func TestAllow_LetsInItsAddressesAlone(t *testing.T) {
	allow := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::7/128")}
	for _, c := range []struct {
		client string
		in     bool
	}{
		{"192.0.2.7", true}, {"2001:db8::7", true}, {"::ffff:192.0.2.9", true},
		{"203.0.113.9", false}, {"2001:db8::8", false},
		{"192.0.2.7, 203.0.113.9", false}, // anybody may have written what stands on the left
	} {
		t.Run(c.client, func(t *testing.T) {
			r := servePolicy(t, Config{TrustedProxies: loopback()}, Route{Allow: allow})
			r.eachKind(t, "X-Forwarded-For: "+c.client+"\n", func(t *testing.T, kind string, res *http.Response) {
				if c.in && res.StatusCode != success(kind) || !c.in && res.StatusCode != http.StatusForbidden {
					t.Errorf("%s", res.Status)
				}
				if !c.in {
					if isTunnel(kind) && !res.Close {
						t.Error("the connection is kept, though frames may follow")
					}
					event := map[bool]string{true: "handshake.failed", false: "request.failed"}[isTunnel(kind)]
					r.log.await(t, event, "status=403", "is not among the addresses of allow")
				}
			})
			if !c.in && r.reached() {
				t.Error("something was asked all the same")
			}
		})
	}
}

func TestAllow_EmptyListLetsNobodyIn(t *testing.T) {
	r := servePolicy(t, Config{}, Route{Allow: []netip.Prefix{}})
	r.eachKind(t, "", func(t *testing.T, _ string, res *http.Response) {
		if res.StatusCode != http.StatusForbidden {
			t.Errorf("%s", res.Status)
		}
	})
	if r.reached() {
		t.Error("something was asked all the same")
	}
}

// The peer of a link-local address has a zone, which no range has.
func TestAllow_LinkLocalAddress(t *testing.T) {
	x := &exchange{client: netip.MustParseAddr("fe80::1%eth0"), route: &route{Route: Route{Allow: []netip.Prefix{netip.MustParsePrefix("fe80::/10")}}}}
	if !x.admit() {
		t.Error("refused")
	}
}

// Both rules hold, and the address comes first: who is at the wrong place is not
// asked for a password.
func TestAllow_WithBasicAuthBothMustHold(t *testing.T) {
	r := servePolicy(t, Config{TrustedProxies: loopback()}, Route{
		Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, BasicAuth: &BasicAuth{File: passwordsFile(t, annLine)},
	})
	ann := "Authorization: " + basicAuth("ann", annPassword) + "\n"
	for fields, want := range map[string]int{
		"X-Forwarded-For: 203.0.113.9\n" + ann: 403,
		"X-Forwarded-For: 203.0.113.9\n":       403,
		"X-Forwarded-For: 192.0.2.7\n":         401,
		"X-Forwarded-For: 192.0.2.7\n" + ann:   200,
	} {
		r.eachKind(t, fields, func(t *testing.T, kind string, res *http.Response) {
			want := want
			if want == 200 {
				want = success(kind)
			}
			if res.StatusCode != want {
				t.Errorf("%s with %s", res.Status, strings.ReplaceAll(fields, "\n", " "))
			}
		})
	}
}
