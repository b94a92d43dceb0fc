package proxy

import (
	"cmp"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"
)

// How long before its end a certificate that was not renewed is a problem; for one
// that lives for less than six times that, it is a sixth of its life. ACME renews
// when a third is left, and one in files takes a person.
const (
	expirySoon      = 7 * 24 * time.Hour
	expirySoonFiles = 14 * 24 * time.Hour
)

// What CertificateState.Source may be.
const (
	certAuto     = "auto"
	certOnDemand = "on_demand"
	certInternal = "internal"
	certFiles    = "files"
)

// Certificates tells of each certificate that is served, or should be: those of
// the sites in the order of the configuration, and then those on demand, at most
// 1,000. Of those of the internal CA for names below a wildcard, which clients
// choose, none is told of: the wildcard stands for them. It may be called
// concurrently.
func (s *Server) Certificates() []CertificateState { return s.certs.states() }

func (c *certificates) states() []CertificateState {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.table.Load()
	list := []CertificateState{}
	files := t.files
	seen := map[string]bool{} // pairs of files that several sites have
	for _, s := range c.config.Sites {
		switch s.TLS.mode() {
		case TLSFiles:
			state := files[0].state()
			files = files[1:]
			if pair := s.TLS.Cert + "\x00" + s.TLS.Key; !seen[pair] || state.Problem != "" {
				seen[pair] = true
				list = append(list, state)
			}
		case TLSInternal:
			for _, host := range s.Hosts {
				list = append(list, c.internal.state(hostname(host)))
			}
		case TLSAuto:
			for _, host := range s.Hosts {
				if !strings.HasPrefix(host, "*") {
					list = append(list, c.keptState(hostname(host)))
				}
			}
		}
	}
	return append(list, c.demandedStates(t)...)
}

// keptState is that of a name whose certificate is kept by ACME.
func (c *certificates) keptState(name string) CertificateState {
	state := CertificateState{Names: []string{name}, Source: certAuto}
	var leaf *x509.Certificate
	var due bool
	a := c.acme.Load()
	if a != nil {
		leaf, due = a.current(name)
	}
	failure, failed := c.account.failure(name)
	switch {
	case leaf == nil && failed:
		state.Problem, state.Hint = "there is none yet: "+failure.error, failure.hint+failure.next()
	case leaf == nil && a == nil:
		state.Problem, state.Hint = "there is none yet", "it is obtained once an address with TLS is served"
	case leaf == nil:
		state.Problem, state.Hint = "there is none yet", "it is being obtained; "+eventCertFailed+" in the log says so if that fails"
	default:
		state.describe(leaf, expirySoon, "its renewal should have begun; "+eventCertFailed+" in the log says what stands in the way")
		if failed && due {
			state.Problem = joined(state.Problem, "the last try to renew it failed: "+failure.error)
			state.Hint = failure.hint + failure.next()
		}
	}
	return state
}

// demandedStates are those of certificates on demand that are loaded.
func (c *certificates) demandedStates(t *certTable) []CertificateState {
	a := c.acme.Load()
	if a == nil {
		return nil
	}
	var list []CertificateState
	for _, name := range c.account.names() {
		if source, _ := t.hosts.find([]byte(name)); source != (onDemandSource{&c.acme}) {
			continue
		}
		if leaf, _ := a.current(name); leaf == nil {
			c.account.unload(name)
			continue
		}
		state := c.keptState(name)
		state.Source = certOnDemand
		list = append(list, state)
	}
	return list
}

// state is that of a pair of files.
func (f *pemFile) state() CertificateState {
	state := CertificateState{Source: certFiles}
	state.describe(f.pair.Load().Leaf, expirySoonFiles, "put a new pair in its place: it is read at once")
	for _, p := range f.problems() {
		if !strings.HasPrefix(p.problem, "expired") { // which describe has said
			state.Problem, state.Hint = joined(state.Problem, p.problem), cmp.Or(state.Hint, p.hint)
		}
	}
	if p := f.unread.Load(); p != nil {
		state.Problem, state.Hint = joined(state.Problem, p.problem), p.hint
	}
	return state
}

// state is that of a name of a site with tls: internal. Its certificate is made
// for the first client that asks, and again in time, so that nothing is wrong
// where there is none.
func (ca *internalCA) state(name string) CertificateState {
	ca.mu.Lock()
	defer ca.mu.Unlock()
	state := CertificateState{Names: []string{name}, Source: certInternal, Issuer: issuerName(ca.root.Subject.Organization, ca.root.Subject.CommonName)}
	if leaf := ca.leaves[name]; leaf != nil && time.Now().Before(leaf.Leaf.NotAfter) {
		state.NotAfter = leaf.Leaf.NotAfter
	}
	return state
}

// describe fills in what a certificate says of itself, and whether its time is
// over or nearly so, for which hint says what to do.
func (s *CertificateState) describe(leaf *x509.Certificate, soon time.Duration, hint string) {
	s.Names = slices.Clone(leaf.DNSNames)
	for _, ip := range leaf.IPAddresses {
		s.Names = append(s.Names, ip.String())
	}
	if len(s.Names) == 0 {
		s.Names = []string{leaf.Subject.CommonName}
	}
	s.Issuer, s.NotAfter = issuerName(leaf.Issuer.Organization, leaf.Issuer.CommonName), leaf.NotAfter
	left := time.Until(leaf.NotAfter)
	switch {
	case left <= 0:
		s.Problem, s.Hint = "expired on "+leaf.NotAfter.Format(time.RFC3339), "clients refuse it; "+hint
	case left < min(soon, leaf.NotAfter.Sub(leaf.NotBefore)/6):
		s.Problem, s.Hint = fmt.Sprintf("ends in %s, and has not been renewed", roughly(left)), hint
	}
}

// issuerName is who issued a certificate, as people know it.
func issuerName(organization []string, commonName string) string {
	return strings.TrimSpace(strings.Join(organization, ", ") + " " + commonName)
}

// roughly is a time in days, or hours where it is short.
func roughly(d time.Duration) string {
	if d >= 48*time.Hour {
		return fmt.Sprintf("%d days", int(d.Hours())/24)
	}
	return fmt.Sprintf("%d hours", int(d.Hours()))
}

// joined is two problems as one, the first of which may be "".
func joined(first, second string) string {
	if first == "" {
		return second
	}
	return first + "; " + second
}
