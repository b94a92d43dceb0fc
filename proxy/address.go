package proxy

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// CheckAddress reports what is wrong with a listening address, in words that
// say what to write. port is the one to propose where it is missing.
func CheckAddress(address, port string) error {
	if validPort(address) {
		return fmt.Errorf("%q is a port without its colon; write %q", address, ":"+address)
	}
	if _, rest, ok := strings.Cut(address, "://"); ok {
		return fmt.Errorf("%q is a URL; write host:port only, such as %q", address, withPort(strings.TrimRight(rest, "/"), port))
	}
	if i := strings.LastIndexByte(address, ':'); i > 0 && len(address)-i > 2 && validPort(address[i+1:]) {
		if ip, err := netip.ParseAddr(address[:i]); err == nil && ip.Is6() {
			return fmt.Errorf("%q has no brackets around the address; write %q", address, net.JoinHostPort(ip.String(), address[i+1:]))
		}
	}
	if ip, err := netip.ParseAddr(strings.Trim(address, "[]")); err == nil {
		return fmt.Errorf("%q has no port; write %q", address, net.JoinHostPort(ip.String(), port))
	}
	host, number, err := net.SplitHostPort(address)
	switch {
	case address == "off" || address == "":
		return fmt.Errorf("%q is no address; write one such as %q (off stands alone, not in a list)", address, ":"+port)
	case err != nil && strings.Count(address, ":") > 1:
		return fmt.Errorf("%q is no address; an IPv6 address stands in brackets, as in \"[::1]:%s\"", address, port)
	case err != nil:
		return fmt.Errorf("%q has no port; write %q", address, withPort(address, port))
	case number != "0" && !validPort(number):
		return fmt.Errorf("%q is no port; write a number from 1 to 65535, as in %q", number, net.JoinHostPort(host, port))
	case host == "*":
		return fmt.Errorf("every address of the machine is written without *; write %q", ":"+number)
	}
	if _, err := netip.ParseAddr(host); err == nil || host == "" {
		return nil
	}
	if err := checkName(host); err != nil {
		return fmt.Errorf("%q names no address of this machine (%w); write one such as %q", address, err, "127.0.0.1:"+number)
	}
	return nil
}

// validPort reports whether s is a port from 1 to 65535, in its one spelling.
func validPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0 && s[0] != '0'
}

// withPort adds the port where the address has none.
func withPort(address, port string) string {
	if _, _, err := net.SplitHostPort(address); err == nil {
		return address
	}
	return net.JoinHostPort(strings.Trim(address, "[]"), port)
}

// AddressesCollide reports whether two listening addresses, host:port, cannot
// both be bound: they are the same, or one stands for every address of the
// machine and the ports are equal.
func AddressesCollide(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || portA != portB || portA == "0" {
		return false
	}
	return covers(hostA, hostB) || covers(hostB, hostA)
}

// covers reports whether a listener at host takes what is sent to other.
func covers(host, other string) bool {
	host, other = numeric(host), numeric(other)
	if host == "" || strings.EqualFold(host, other) {
		return true
	}
	ip, err := netip.ParseAddr(host)
	if err != nil || !ip.IsUnspecified() {
		return false
	}
	peer, err := netip.ParseAddr(other)
	// [::] is bound for both families, 0.0.0.0 for IPv4 alone.
	return err == nil && (ip.Is6() || peer.Is4())
}

// numeric writes localhost as the address it is bound to, and an address in
// its one form.
func numeric(host string) string {
	if strings.EqualFold(host, "localhost") {
		return "127.0.0.1"
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.String()
	}
	return host
}

// loops reports whether a backend's address, host:port, leads back to a
// listener of our own.
func loops(backend, listener string) bool {
	host, port, err := net.SplitHostPort(backend)
	own, ownPort, ownErr := net.SplitHostPort(listener)
	if err != nil || ownErr != nil || port != ownPort || port == "0" {
		return false
	}
	host, own = numeric(host), numeric(own)
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return strings.EqualFold(host, own)
	}
	if ip.IsUnspecified() { // dialled, it means this machine
		ip = netip.IPv6Loopback()
		if host == "0.0.0.0" {
			ip = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		}
	}
	if ip.IsLoopback() {
		return covers(own, ip.String())
	}
	return ip.String() == own
}

// checkHost reports what is wrong with one of a site's hosts.
func checkHost(host string) error {
	if host == "" {
		return errors.New("empty; write a name such as app.example.com")
	}
	if _, rest, ok := strings.Cut(host, "://"); ok {
		return fmt.Errorf("%q is a URL; write the name only: %s", host, hostname(strings.SplitN(rest, "/", 2)[0]))
	}
	if name, _, ok := strings.Cut(host, "/"); ok {
		return fmt.Errorf("%q has a path, which belongs into a route; write %s", host, name)
	}
	if ip, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		if text := ip.WithZone("").String(); text != strings.ToLower(host) {
			return fmt.Errorf("%q is not how browsers write this address; write %q", host, text)
		}
		return nil
	}
	if name, port, err := net.SplitHostPort(host); err == nil {
		return fmt.Errorf("%q has a port, which belongs under listen (as in \":%s\"); write %s", host, port, name)
	}
	if strings.HasSuffix(host, ".") {
		return fmt.Errorf("%q ends with a dot; write %s", host, strings.TrimRight(host, "."))
	}
	if host == "*" {
		return nil
	}
	name := strings.TrimPrefix(host, "*.")
	if strings.Contains(name, "*") {
		return fmt.Errorf("%q: * stands for the whole first label only; write one such as *.example.com", host)
	}
	if err := checkName(name); err != nil {
		return fmt.Errorf("%q is no host name: %w", host, err)
	}
	return nil
}

// checkName checks a name's form (RFC 1123 §2.1, with the underscore that
// private networks have in their names).
func checkName(name string) error {
	if len(name) > 253 {
		return errors.New("it is longer than 253 characters")
	}
	labels := strings.Split(name, ".")
	for _, label := range labels {
		switch i := strings.IndexFunc(label, func(r rune) bool { return !isNameChar(r) }); {
		case label == "":
			return errors.New("two dots, or a dot at the beginning")
		case i >= 0 && label[i] >= 0x80:
			return errors.New("write it in its ASCII form, which begins with xn--")
		case i >= 0:
			return fmt.Errorf("it holds %q; letters, digits, - and dots are allowed", label[i:i+1])
		case len(label) > 63:
			return errors.New("a label is longer than 63 characters")
		case label[0] == '-' || label[len(label)-1] == '-':
			return errors.New("a label begins or ends with -")
		}
	}
	if _, err := strconv.Atoi(labels[len(labels)-1]); err == nil {
		return errors.New("the last label is a number, and it is no IP address")
	}
	return nil
}

func isNameChar(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_'
}

// localName reports whether no public CA issues certificates for a name:
// those of RFC 6761 and RFC 8375, those that private networks use, and names
// without a dot.
func localName(name string) bool {
	if !strings.Contains(name, ".") {
		return true
	}
	for _, suffix := range []string{".localhost", ".test", ".internal", ".local", ".invalid", ".example", ".lan", ".home.arpa"} {
		if strings.HasSuffix(strings.ToLower(name), suffix) {
			return true
		}
	}
	return false
}
