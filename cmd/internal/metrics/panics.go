package metrics

import "github.com/prometheus/client_golang/prometheus"

// panics is wsfront_panics_total.
type panics struct {
	desc  *prometheus.Desc
	parts map[string]func() uint64
}

func newPanics(parts map[string]func() uint64) *panics {
	return &panics{
		desc: prometheus.NewDesc("wsfront_panics_total",
			"Faults in wsfront that ended one request or connection since the start.", []string{"part"}, nil),
		parts: parts,
	}
}

// Describe is that of prometheus.Collector, as is Collect.
func (p *panics) Describe(to chan<- *prometheus.Desc) { to <- p.desc }

func (p *panics) Collect(to chan<- prometheus.Metric) {
	for part, count := range p.parts {
		to <- prometheus.MustNewConstMetric(p.desc, prometheus.CounterValue, float64(count()), part)
	}
}
