package metrics

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"wsfront/proxy/tally"
)

// family is a metric, of which there is one series for each set of its labels'
// values.
type family struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
}

func counter(name, help string, labels ...string) family {
	return family{prometheus.NewDesc(name, help, labels, nil), prometheus.CounterValue}
}

func gauge(name, help string, labels ...string) family {
	return family{prometheus.NewDesc(name, help, labels, nil), prometheus.GaugeValue}
}

// send gives one series. The values are those of the family's labels, in their
// order.
func (f family) send(to chan<- prometheus.Metric, value float64, values ...string) {
	to <- prometheus.MustNewConstMetric(f.desc, f.kind, value, valid(values)...)
}

// sendFlag is send of 1 or 0.
func (f family) sendFlag(to chan<- prometheus.Metric, set bool, values ...string) {
	value := 0.0
	if set {
		value = 1
	}
	f.send(to, value, values...)
}

// sendEach gives a series for each key, which is the last of its values.
func sendEach[N int | int64 | uint64](f family, to chan<- prometheus.Metric, counts map[string]N, values ...string) {
	for key, n := range counts {
		f.send(to, float64(n), append(values[:len(values):len(values)], key)...)
	}
}

// histogram is a family of distributions of durations.
type histogram struct{ desc *prometheus.Desc }

func durations(name, help string, labels ...string) histogram {
	return histogram{prometheus.NewDesc(name, help, labels, nil)}
}

// send gives one distribution; none for the zero one, which nobody counts.
func (h histogram) send(to chan<- prometheus.Metric, d tally.Distribution, values ...string) {
	if len(d.Counts) == 0 {
		return
	}
	upTo := make(map[float64]uint64, len(d.Bounds)) // Prometheus' buckets hold all that is below
	var sum uint64
	for i, bound := range d.Bounds {
		sum += d.Counts[i]
		upTo[bound.Seconds()] = sum
	}
	to <- prometheus.MustNewConstHistogram(h.desc, d.Count(), d.Sum.Seconds(), upTo, valid(values)...)
}

// valid are values as Prometheus takes them: what a configuration has that is not
// UTF-8 is told by U+FFFD, as the library would panic.
func valid(values []string) []string {
	for i, v := range values {
		values[i] = strings.ToValidUTF8(v, "\uFFFD")
	}
	return values
}
