package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wsfront/proxy"
)

// The sources of certificates whose names clients may choose: those of each are
// told of together. One of the internal CA is made for whoever asks for it, and
// again in time, so that its end is nobody's concern.
const (
	onDemand = "on_demand"
	internal = "internal"
)

// certificates is when those end that are served, and what is wrong with them.
type certificates struct {
	expiry, problem, number family
}

func newCertificates() certificates {
	return certificates{
		expiry:  gauge("wsfront_certificate_expiry_timestamp_seconds", "When the certificate ends, in seconds since 1970; of those on demand, whose name is empty, the one that ends first; none for those of the internal CA.", "name", "source"),
		problem: gauge("wsfront_certificate_problem", "1 while something is wrong with the certificate that wsfront certificates tells, 0 otherwise.", "name", "source"),
		number:  gauge("wsfront_certificates", "Certificates that are served, or should be.", "source"),
	}
}

// certificateID is what certificates are told apart by. Two of one ID, such as an
// RSA and an ECDSA one, are one series: that of the worse.
type certificateID struct{ name, source string }

func (f certificates) collect(to chan<- prometheus.Metric, all []proxy.CertificateState) {
	ends := map[certificateID]time.Time{}
	wrong := map[certificateID]bool{}
	number := map[string]int{}
	for _, c := range all {
		number[c.Source]++
		id := certificateID{source: c.Source}
		if c.Source != onDemand && c.Source != internal && len(c.Names) > 0 {
			id.name = c.Names[0]
		}
		wrong[id] = wrong[id] || c.Problem != ""
		if end, known := ends[id]; c.Source != internal && !c.NotAfter.IsZero() && (!known || c.NotAfter.Before(end)) {
			ends[id] = c.NotAfter
		}
	}
	for id, end := range ends {
		f.expiry.send(to, float64(end.Unix()), id.name, id.source)
	}
	for id, is := range wrong {
		f.problem.sendFlag(to, is, id.name, id.source)
	}
	sendEach(f.number, to, number)
}
