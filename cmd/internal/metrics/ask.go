package metrics

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"wsfront/proxy"
	"wsfront/pusher"
)

// values are what the sources told, each asked once; nil is what none told.
type values struct {
	version         string
	config          *Config
	front           *proxy.Counts
	certificates    []proxy.CertificateState
	push            *pusher.Counts
	ready, draining *bool
	limits          map[string]map[string]uint64
	capacity        map[string]map[string]int64
	panics          map[string]uint64
}

// ask asks all sources. A fault in one of them ends this answer and no more: it is
// called by the goroutine of the request, not by the library's.
func (s Sources) ask() *values {
	v := &values{version: s.Version, limits: map[string]map[string]uint64{}, capacity: map[string]map[string]int64{}, panics: map[string]uint64{}}
	if s.Config != nil {
		c := s.Config()
		v.config = &c
	}
	if s.Front != nil {
		c := s.Front()
		v.front = &c
	}
	if s.Certificates != nil {
		v.certificates = s.Certificates()
	}
	if s.Push != nil {
		ctx, cancel := context.WithTimeout(context.Background(), sourceTimeout)
		defer cancel()
		if c, runs := s.Push(ctx); runs {
			v.push = &c
		}
	}
	if s.Ready != nil { // in a time of its own: whoever has none left finds no backend
		ctx, cancel := context.WithTimeout(context.Background(), sourceTimeout)
		defer cancel()
		is := s.Ready(ctx)
		v.ready = &is
	}
	if s.Draining != nil {
		is := s.Draining()
		v.draining = &is
	}
	for part, hits := range s.Limits {
		v.limits[part] = hits()
	}
	for part, most := range s.Capacity {
		v.capacity[part] = most()
	}
	for part, count := range s.Panics {
		v.panics[part] = count()
	}
	return v
}

// families are all metrics of wsfront's own.
type families struct {
	process      process
	front        front
	certificates certificates
	push         push
}

func newFamilies() *families {
	return &families{newProcess(), newFront(), newCertificates(), newPush()}
}

// collector is a prometheus.Collector of one answer.
type collector struct {
	families *families
	values   *values
}

// Describe tells nothing beforehand: the registry then looks at what Collect gives.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

// Collect gives what the values tell.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	c.families.process.collect(to, c.values)
	if c.values.front != nil {
		c.families.front.collect(to, *c.values.front)
	}
	c.families.certificates.collect(to, c.values.certificates)
	if c.values.push != nil {
		c.families.push.collect(to, *c.values.push)
	}
}
