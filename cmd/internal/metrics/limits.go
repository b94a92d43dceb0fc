package metrics

import "github.com/prometheus/client_golang/prometheus"

// limits is wsfront_limit_reached_total.
type limits struct {
	desc  *prometheus.Desc
	parts map[string]func() map[string]uint64
}

func newLimits(parts map[string]func() map[string]uint64) *limits {
	return &limits{
		desc: prometheus.NewDesc("wsfront_limit_reached_total",
			"How often a limit of the configuration was reached since the start.", []string{"part", "limit"}, nil),
		parts: parts,
	}
}

// Describe is that of prometheus.Collector, as is Collect.
func (l *limits) Describe(to chan<- *prometheus.Desc) { to <- l.desc }

func (l *limits) Collect(to chan<- prometheus.Metric) {
	for part, hits := range l.parts {
		for limit, n := range hits() {
			to <- prometheus.MustNewConstMetric(l.desc, prometheus.CounterValue, float64(n), part, limit)
		}
	}
}
