package doctor

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// target is a URL, taken apart.
type target struct {
	scheme   string // ws, wss, http or https
	hostname string // without port and brackets
	port     string
	host     string // the Host field
	path     string // with its query
}

// secure reports whether TLS comes first.
func (t target) secure() bool { return t.scheme == "wss" || t.scheme == "https" }

// origin is that of the page that opens this URL from the same host.
func (t target) origin() string {
	if t.secure() {
		return "https://" + t.host
	}
	return "http://" + t.host
}

func (t target) String() string { return t.scheme + "://" + t.host + t.path }

// parseTarget takes a URL apart. Its host is that of the Host field, where the
// port that the scheme implies is left out (RFC 6455 §4.1).
func parseTarget(written string) (target, error) {
	if !strings.Contains(written, "://") {
		return target{}, fmt.Errorf("%q is no URL; write wss://%s", written, strings.TrimLeft(written, "/"))
	}
	u, err := url.Parse(written)
	switch {
	case err != nil:
		return target{}, fmt.Errorf("%q is no URL; write one such as wss://app.example.com/websocket", written)
	case u.Scheme != "ws" && u.Scheme != "wss" && u.Scheme != "http" && u.Scheme != "https":
		return target{}, fmt.Errorf("%s:// cannot be examined; write wss://%s", u.Scheme, u.Host+u.RequestURI())
	case u.Hostname() == "":
		return target{}, fmt.Errorf("%q names no host; write one such as wss://app.example.com/websocket", written)
	case u.User != nil:
		return target{}, fmt.Errorf("a WebSocket's URL has no user name; write %s://%s", u.Scheme, u.Host+u.RequestURI())
	case strings.IndexFunc(u.Hostname(), func(r rune) bool { return r <= ' ' || r >= 0x7f }) >= 0:
		return target{}, fmt.Errorf("%q is not in its ASCII form, which begins with xn--", u.Hostname())
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return target{}, fmt.Errorf("%q is no port; write a number from 1 to 65535", port)
		}
	}
	t := target{scheme: u.Scheme, hostname: u.Hostname(), port: u.Port(), path: u.RequestURI()}
	implied := "80"
	if t.secure() {
		implied = "443"
	}
	t.host = t.hostname
	if strings.Contains(t.hostname, ":") {
		t.host = "[" + t.hostname + "]"
	}
	if t.port == "" {
		t.port = implied
	}
	if t.port != implied {
		t.host = net.JoinHostPort(t.hostname, t.port)
	}
	return t, nil
}

// instead are addresses that stand in for names, each with the port to use there
// or 0.
type instead map[string][]netip.AddrPort

// parseInstead reads HOST:ADDRESS, HOST:ADDRESS:PORT, and HOST:PORT:ADDRESS as
// curl has it; for the latter every port of the host goes to the address.
func parseInstead(written []string) (instead, error) {
	all := instead{}
	for _, w := range written {
		host, rest, ok := strings.Cut(w, ":")
		to, err := parseAddress(rest)
		if before, after, three := strings.Cut(rest, ":"); ok && err != nil && three {
			if _, e := strconv.ParseUint(before, 10, 16); e == nil {
				to, err = parseAddress(after)
			}
		}
		if !ok || host == "" || err != nil {
			return nil, fmt.Errorf("--resolve %s: write HOST:ADDRESS, such as app.example.com:192.0.2.7 or app.example.com:[2001:db8::7]", w)
		}
		host = strings.ToLower(host)
		all[host] = append(all[host], to)
	}
	return all, nil
}

func parseAddress(s string) (netip.AddrPort, error) {
	if to, err := netip.ParseAddrPort(s); err == nil {
		return to, nil
	}
	addr, err := netip.ParseAddr(strings.Trim(s, "[]"))
	return netip.AddrPortFrom(addr, 0), err
}
