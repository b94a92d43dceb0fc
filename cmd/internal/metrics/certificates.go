package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wsfront/proxy"
)

// onDemand is the source of certificates whose names clients choose: they are
// told of together.
const onDemand = "on_demand"

// certificates is when those end that are served, and what is wrong with them.
type certificates struct {
	expiry, problem, number family
}

func newCertificates() certificates {
	return certificates{
		expiry:  gauge("wsfront_certificate_expiry_timestamp_seconds", "When the certificate ends, in seconds since 1970; of those on demand, whose name is empty, the one that ends first.", "name", "source"),
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
		if c.Source != onDemand && len(c.Names) > 0 {
			id.name = c.Names[0]
		}
		wrong[id] = wrong[id] || c.Problem != ""
		if end, known := ends[id]; !c.NotAfter.IsZero() && (!known || c.NotAfter.Before(end)) {
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
