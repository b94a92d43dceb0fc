package config

import (
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"

	"wsfront/proxy"
)

// Admin is the admin listener: where a running wsfront is looked at and given
// orders. It always answers at the socket admin.sock in the state folder, which is
// its owner's alone.
type Admin struct {
	// Listen is a further address for it, host:port. It is plain HTTP, so that it
	// belongs on this machine or a private network. Default off.
	Listen string `yaml:"listen"`

	// TokenFile holds the token that is asked for at listen. It is created with a
	// random token, readable by the owner alone, when it is missing at start. It may
	// hold several, one in each line, which all are valid. Default none where listen
	// is a loopback address, else admin.token in the state folder.
	TokenFile string `yaml:"token_file"`

	// Pprof serves profiles of the program at /debug/pprof/. Default off.
	Pprof bool `yaml:"pprof"`

	// Ready says when the server should get traffic.
	Ready Ready `yaml:"ready"`
}

// Ready is what GET /readyz goes by, besides certificates and the end of the
// server.
type Ready struct {
	// Backends is any (of each route one backend can be reached), all (every
	// backend can be), or off (whatever they do). Default any.
	Backends proxy.Readiness `yaml:"backends"`
}

// AdminListen is admin.listen, or "" for none.
func (f *File) AdminListen() string {
	if f.Admin.Listen == "off" {
		return ""
	}
	return f.Admin.Listen
}

// AdminToken is the file of the token that admin.listen asks for, or "" for none.
func (f *File) AdminToken() string {
	switch a := f.Admin; {
	case f.AdminListen() == "":
		return ""
	case a.TokenFile != "":
		return a.TokenFile
	case onLoopback(a.Listen):
		return ""
	}
	return filepath.Join(f.StateDir(), "admin.token")
}

// onLoopback reports whether nobody but this machine gets to an address.
func onLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// checkAdmin checks the address of the admin listener, which is never one of the
// sites, and its other options.
func (f *File) checkAdmin() proxy.FieldErrors {
	var found proxy.FieldErrors
	failf := func(field, format string, args ...any) {
		found = append(found, proxy.FieldError{Field: "admin." + field, Message: fmt.Sprintf(format, args...)})
	}
	a := f.Admin
	if !slices.Contains([]proxy.Readiness{"", proxy.ReadyAnyBackend, proxy.ReadyAllBackends, proxy.ReadyWithoutBackends}, a.Ready.Backends) {
		failf("ready.backends", "%q is not known; write any, all or off", a.Ready.Backends)
	}
	if f.AdminListen() == "" {
		if a.TokenFile != "" {
			failf("token_file", "nobody is asked for it without admin.listen: the socket in the state folder is its owner's alone; remove it, or write listen: 127.0.0.1:7071")
		}
		return found
	}
	if err := proxy.CheckAddress(a.Listen, "7071"); err != nil {
		failf("listen", "%s", err)
		return found
	}
	for _, own := range f.siteAddresses() {
		if proxy.AddressesCollide(a.Listen, own) {
			failf("listen", "the admin listener cannot have %q beside %q of the sites: it is not for the public; write another port, such as 127.0.0.1:7071", a.Listen, own)
			break
		}
	}
	if a.TokenFile == "" && f.StateDir() == "" && !onLoopback(a.Listen) {
		failf("token_file", "missing, as there is no state folder for it either; write state: /var/lib/wsfront, or name a file")
	}
	if api := f.PublishAPI().Listen; f.HasPush() && proxy.CheckAddress(api, "7070") == nil && proxy.AddressesCollide(a.Listen, api) {
		failf("listen", "the admin listener cannot have %q beside %q of the publish API; write another port, such as 127.0.0.1:7071", a.Listen, api)
	}
	return found
}

// admin warns of an address at which the token can be read on its way.
func (p *prober) admin() {
	if at := p.file.AdminListen(); at != "" && !onLoopback(at) {
		p.warnf("admin.listen", "%q can be reached from other machines, and the token goes there in plain text; write 127.0.0.1:7071 unless the network is private", at)
	}
}
