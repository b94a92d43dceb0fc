package park

import (
	"runtime"
	"testing"
	"time"
)

// BenchmarkPark is one connection parked and woken by a byte: what a request
// costs more that comes after the connection was parked.
func BenchmarkPark(b *testing.B) {
	l := newLot(b)
	near, far := pair(b)
	woken := make(chan bool, 1)
	wake := func(ready bool) { woken <- ready }
	var p [1]byte
	b.ReportAllocs()
	for b.Loop() {
		if !l.Park(near, time.Now().Add(time.Hour), wake) {
			b.Fatal("not parked")
		}
		if _, err := far.Write(p[:]); err != nil {
			b.Fatal(err)
		}
		<-woken
		if _, err := near.Read(p[:]); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkParked tells what a Lot holds for each parked connection. What the
// kernel holds for epoll is not counted.
func BenchmarkParked(b *testing.B) {
	const count = 5000
	l := newLot(b)
	near, _ := pairs(b, count)
	before := inUse()
	b.ResetTimer()
	for b.Loop() { // nothing: the figure is not a time
	}
	for _, conn := range near {
		if !l.Park(conn, time.Now().Add(time.Hour), func(bool) {}) {
			b.Fatal("not parked")
		}
	}
	b.ReportMetric(float64(inUse()-before)/count, "B/conn")
	b.ReportMetric(0, "ns/op")
}

func inUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
