package record

import (
	"crypto/tls"
	"fmt"
	"runtime"
	"syscall"
	"testing"
)

// BenchmarkHandshake tells what a handshake costs the server, by the CPU time
// of its thread alone (the client has another): with and without a
// post-quantum key share, in full and resumed.
func BenchmarkHandshake(b *testing.B) {
	for _, curve := range []tls.CurveID{tls.X25519, tls.X25519MLKEM768, tls.CurveP256} {
		for _, resume := range []bool{false, true} {
			name := "full"
			if resume {
				name = "resumed"
			}
			b.Run(fmt.Sprintf("%s/%s", curve, name), func(b *testing.B) { benchHandshake(b, curve, resume) })
		}
	}
}

func benchHandshake(b *testing.B, curve tls.CurveID, resume bool) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	config := serverConfig()
	config.CurvePreferences = []tls.CurveID{curve}
	a := NewAccepter(config)
	cc := clientConfig()
	cc.CurvePreferences = config.CurvePreferences
	handshake := func(measure bool) (cpu int64) {
		c, s := socketPair(b)
		defer c.Close()
		defer s.Close()
		client := tls.Client(c, cc)
		done := make(chan error, 1)
		go func() { // ended by the socket's deadline, awaited below
			err := client.HandshakeContext(b.Context())
			if err == nil {
				_, err = client.Read(make([]byte, 1)) // and the ticket before it
			}
			done <- err
		}()
		before := threadCPU(b)
		server, state, err := a.Handshake(b.Context(), s)
		cpu = threadCPU(b) - before
		if err != nil || state.CurveID != curve || measure && state.DidResume != resume {
			b.Fatal(err, state.CurveID, state.DidResume)
		}
		say(b, server, "x")
		if err := <-done; err != nil {
			b.Fatal(err)
		}
		return cpu
	}
	if resume {
		handshake(false)
	}
	var cpu int64
	for b.Loop() {
		if !resume {
			cc.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		}
		cpu += handshake(true)
	}
	b.ReportMetric(float64(cpu)/1e3/float64(b.N), "server-µs/op")
}

// threadCPU is the CPU time of this thread in nanoseconds.
func threadCPU(b *testing.B) int64 {
	var u syscall.Rusage
	const thread = 1 // RUSAGE_THREAD
	if err := syscall.Getrusage(thread, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}
