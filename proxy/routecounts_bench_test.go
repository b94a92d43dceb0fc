package proxy

import (
	"testing"
	"time"
)

// BenchmarkCounts measures all that is counted of one request of an app's route:
// a small part of what BenchmarkForward has.
func BenchmarkCounts(b *testing.B) {
	s := bareServer(nil)
	x := &exchange{server: s, route: &route{account: newRouteAccount()}, status: 200, begin: time.Now()}
	backend := newBackendAccount()
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			backend.answered(time.Since(x.begin))
			x.gave(1024)
			s.count(x)
		}
	})
}
