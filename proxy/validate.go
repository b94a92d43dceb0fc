package proxy

import (
	"errors"
	"fmt"
	"net/mail"
	"net/url"
	"slices"
	"strings"
	"time"
)

// FieldError is one mistake in a Config.
type FieldError struct {
	// Field is the path to the option, such as sites[0].routes[2].app. For an
	// option that was left out, it is the path at which it would stand.
	Field string
	// Message says what is wrong and what to write instead.
	Message string
}

func (e FieldError) Error() string { return e.Field + ": " + e.Message }

// inField is err as a mistake of the field, unless it names its own.
func inField(field string, err error) error {
	var own FieldError
	if errors.As(err, &own) {
		return own
	}
	return FieldError{field, err.Error()}
}

// FieldErrors are all the mistakes in a Config, in the order of its fields.
type FieldErrors []FieldError

func (e FieldErrors) Error() string {
	lines := make([]string, len(e))
	for i, f := range e {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.As find a FieldError.
func (e FieldErrors) Unwrap() []error {
	list := make([]error, len(e))
	for i, f := range e {
		list[i] = f
	}
	return list
}

// Validate returns FieldErrors with every mistake it finds, or nil. It looks
// at the Config alone, not at the machine: that a file exists or a port is
// free shows when the Server is made and listens.
func (c Config) Validate() error {
	v := validator{Config: c.withDefaults(), hosts: map[string]string{}}
	v.listeners()
	v.server()
	v.acme()
	v.pools()
	if len(c.Sites) == 0 {
		v.failf("sites", "missing; write what is served, such as sites: [{hosts: [app.example.com], routes: [{path: /, app: \"http://127.0.0.1:8080\"}]}]")
	}
	for i, s := range c.Sites {
		v.site(fmt.Sprintf("sites[%d]", i), s)
	}
	if v.found == nil {
		return nil
	}
	return v.found
}

// validator gathers the mistakes of one Config.
type validator struct {
	Config // with defaults
	found  FieldErrors
	hosts  map[string]string // lower-case host to the field that has it
}

func (v *validator) failf(field, format string, args ...any) {
	v.found = append(v.found, FieldError{field, fmt.Sprintf(format, args...)})
}

// fail adds err, if there is one, as a mistake of the field.
func (v *validator) fail(field string, err error) {
	if err != nil {
		v.failf(field, "%s", err)
	}
}

// listeners checks the addresses, and that there is one for every site.
func (v *validator) listeners() {
	type entry struct{ field, address string }
	var seen []entry
	check := func(name, port string, list Addresses) {
		for i, a := range list {
			field := fmt.Sprintf("%s[%d]", name, i)
			if err := CheckAddress(a, port); err != nil {
				v.fail(field, err)
				continue
			}
			if j := slices.IndexFunc(seen, func(e entry) bool { return AddressesCollide(e.address, a) }); j >= 0 {
				v.failf(field, "%q cannot be had beside %q of %s; remove one of them or change its port", a, seen[j].address, seen[j].field)
			}
			seen = append(seen, entry{field, a})
		}
	}
	check("listen", "443", v.Listen)
	check("http_listen", "80", v.HTTPListen)
	switch {
	case v.hasTLS() && len(v.Listen) == 0:
		v.failf("listen", "off, but there are sites with TLS; write an address such as \":443\", or tls: off at every site")
	case len(v.Listen) == 0 && len(v.HTTPListen) == 0:
		v.failf("http_listen", "off, so that nobody can reach the sites; write an address such as \":80\"")
	}
}

// server checks what holds for all sites.
func (v *validator) server() {
	for i, p := range v.TrustedProxies {
		if !p.IsValid() {
			v.failf(fmt.Sprintf("trusted_proxies[%d]", i), "no range of addresses; write one such as 10.0.0.0/8")
		}
	}
	if v.State == "" && DefaultState() == "" && v.keepsCertificates() {
		v.failf("state", "missing, and the environment names no folder of the user's own; write a folder such as /var/lib/wsfront")
	}
	v.accessLog()
	if t := v.Traceparent; t != "" && t != TraceparentBegin && t != TraceparentPass {
		v.failf("traceparent", "%q is unknown; write begin, or pass for a traceparent field only where the client sent one", t)
	}
	v.count("max_tunnels", v.MaxTunnels)
	v.count("max_tunnels_per_address", v.MaxTunnelsPerAddress)
	v.limits()
	v.duration("drain_timeout", v.DrainTimeout)
	v.duration("upgrade_drain", v.UpgradeDrain)
}

func (v *validator) acme() {
	a := v.ACME
	if a.Email != "" {
		if m, err := mail.ParseAddress(a.Email); err != nil || m.Address != a.Email {
			v.failf("acme.email", "%q is no mail address; write one such as ops@example.com", a.Email)
		}
	}
	if a.CA != "" && !absoluteURL(a.CA, "https") {
		v.failf("acme.ca", "%q is no https:// URL; write the CA's directory, such as https://acme-v02.api.letsencrypt.org/directory", a.CA)
	}
	if a.OnDemand.Ask != "" && !absoluteURL(a.OnDemand.Ask, "http", "https") {
		v.failf("acme.on_demand.ask", "%q is no absolute URL; write one such as http://127.0.0.1:8080/may-have-certificate", a.OnDemand.Ask)
	}
}

// duration checks a time that must not be negative; 0 stands for the default.
func (v *validator) duration(field string, d time.Duration) {
	if d < 0 {
		v.failf(field, "%s is negative; write a time such as 30s, or leave it out for the default", d)
	}
}

func absoluteURL(s string, schemes ...string) bool {
	u, err := url.Parse(s)
	return err == nil && slices.Contains(schemes, u.Scheme) && u.Hostname() != ""
}

// keepsCertificates reports whether any site needs the State folder.
func (c Config) keepsCertificates() bool {
	return slices.ContainsFunc(c.Sites, func(s Site) bool {
		m := s.TLS.mode()
		return m == TLSAuto || m == TLSInternal
	})
}

// hasTLS reports whether any site is served by TLS.
func (c Config) hasTLS() bool {
	return slices.ContainsFunc(c.Sites, func(s Site) bool { return s.TLS.mode() != TLSOff })
}

// withDefaults fills in what was left out.
func (c Config) withDefaults() Config {
	if c.Listen == nil && c.hasTLS() {
		c.Listen = Addresses{":443"}
	}
	if c.HTTPListen == nil && (c.hasTLS() || len(c.Listen) == 0) {
		c.HTTPListen = Addresses{":80"}
	}
	if c.State == "" {
		c.State = DefaultState()
	}
	if c.AccessLog.Format == "" {
		c.AccessLog.Format = AccessCombined
	}
	if c.MaxTunnels == 0 {
		c.MaxTunnels = pairsWithin(openFilesLimit())
	}
	if c.MaxTunnelsPerAddress == 0 {
		c.MaxTunnelsPerAddress = DefaultMaxTunnelsPerAddress
	}
	c.Limits = c.Limits.withDefaults()
	if c.DrainTimeout == 0 {
		c.DrainTimeout = DefaultDrainTimeout
	}
	if c.UpgradeDrain == 0 {
		c.UpgradeDrain = DefaultUpgradeDrain
	}
	return c
}

// ListenAddresses returns the addresses of Listen and HTTPListen in effect,
// defaults included.
func (c Config) ListenAddresses() (listen, httpListen []string) {
	c = c.withDefaults()
	return c.Listen, c.HTTPListen
}

// reloadable reports every change that needs a restart. Both sides have their
// defaults filled in, so that writing a default out is no change.
func (c Config) reloadable(next Config) error {
	var list []error
	compare := func(field string, same bool, was, now any) {
		if !same {
			list = append(list, fmt.Errorf("config reload not supported for %s: old=%v, new=%v; restart instead", field, was, now))
		}
	}
	compare("listen", slices.Equal(c.Listen, next.Listen), c.Listen, next.Listen)
	compare("http_listen", slices.Equal(c.HTTPListen, next.HTTPListen), c.HTTPListen, next.HTTPListen)
	if len(c.Listen) > 0 && slices.Equal(c.Listen, next.Listen) {
		// An address that is bound speaks TLS or does not: it cannot change.
		protocol := map[bool]string{true: "https", false: "http"}
		compare("the protocol at listen", c.hasTLS() == next.hasTLS(), protocol[c.hasTLS()], protocol[next.hasTLS()])
	}
	compare("state", c.State == next.State, c.State, next.State)
	compare("acme.email", c.ACME.Email == next.ACME.Email, c.ACME.Email, next.ACME.Email)
	compare("acme.ca", c.ACME.CA == next.ACME.CA, c.ACME.CA, next.ACME.CA)
	compare("acme.ca_root", c.ACME.CARoot == next.ACME.CARoot, c.ACME.CARoot, next.ACME.CARoot)
	compare("access_log.format", c.AccessLog.Format == next.AccessLog.Format, c.AccessLog.Format, next.AccessLog.Format)
	compare("access_log.file", c.AccessLog.File == next.AccessLog.File, c.AccessLog.File, next.AccessLog.File)
	compare("access_log.skip", slices.Equal(c.AccessLog.Skip, next.AccessLog.Skip), c.AccessLog.Skip, next.AccessLog.Skip)
	return errors.Join(list...)
}
