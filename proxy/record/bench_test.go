package record

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"runtime"
	"testing"
	"time"
)

// A way is what reads and writes at the server's side in a benchmark.
type way struct {
	name string
	conn func(testing.TB) (client *tls.Conn, server net.Conn)
}

var noDeadline time.Time

var ways = []way{
	{"record", func(t testing.TB) (*tls.Conn, net.Conn) { return tls13(t) }},
	{"crypto_tls", func(t testing.TB) (*tls.Conn, net.Conn) {
		c, s := socketPair(t)
		client, server := tls.Client(c, clientConfig()), tls.Server(s, serverConfig())
		failed := make(chan error, 1)
		go func() { failed <- client.HandshakeContext(t.Context()) }() // ended by the socket's deadline, awaited below
		if err := server.HandshakeContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-failed; err != nil {
			t.Fatal(err)
		}
		return client, server
	}},
}

// BenchmarkEcho sends a message from a crypto/tls client, which the server's
// side reads and writes back: the client's cost is in all figures.
func BenchmarkEcho(b *testing.B) {
	for _, size := range []int{125, maxPlain} {
		for _, w := range ways {
			b.Run(fmt.Sprintf("%d/%s", size, w.name), func(b *testing.B) {
				client, server := w.conn(b)
				forever(b, client, server)
				done := make(chan struct{})
				go func() { // ended by the client's end, awaited below
					defer close(done)
					buf := make([]byte, maxPlain)
					for {
						n, err := server.Read(buf)
						if err != nil {
							return
						}
						if _, err := server.Write(buf[:n]); err != nil {
							return
						}
					}
				}()
				message := make([]byte, size)
				b.ReportAllocs()
				for b.Loop() {
					if _, err := client.Write(message); err != nil {
						b.Fatal(err)
					}
					if _, err := io.ReadFull(client, message); err != nil {
						b.Fatal(err)
					}
				}
				client.CloseWrite()
				<-done
			})
		}
	}
}

// BenchmarkKeys seals and opens a message, without any I/O.
func BenchmarkKeys(b *testing.B) {
	for _, suite := range suites {
		for _, size := range []int{125, maxPlain} {
			b.Run(fmt.Sprintf("%s/%d", tls.CipherSuiteName(suite), size), func(b *testing.B) {
				client, server := keyPair(b, suite)
				data, buf := make([]byte, size), make([]byte, 0, size+Overhead)
				b.ReportAllocs()
				b.SetBytes(int64(size))
				for b.Loop() {
					client.out.seq, server.in.seq = 0, 0 // no KeyUpdate, however long it runs
					buf = client.Seal(buf[:0], data)
					if _, _, err := server.Open(buf); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func forever(b *testing.B, conns ...net.Conn) {
	for _, c := range conns {
		switch c := c.(type) {
		case *Conn:
			c.SetDeadline(noDeadline)
		case *tls.Conn:
			c.SetDeadline(noDeadline)
		}
	}
}

// BenchmarkIdle tells what an idle connection holds at the server's side after
// messages of one size, by the heap with all of them open. Of the clients only
// the sockets are still there, which adds the same to all figures.
func BenchmarkIdle(b *testing.B) {
	const conns = 400
	for _, size := range []int{125, maxPlain} {
		for _, w := range append(ways, way{"detached", ways[0].conn}) {
			b.Run(fmt.Sprintf("%d/%s", size, w.name), func(b *testing.B) {
				for b.Loop() {
					var keep []any
					before := heap()
					for range conns {
						keep = append(keep, idle(b, w, size))
					}
					b.ReportMetric(float64(heap()-before)/conns, "B/conn")
					runtime.KeepAlive(keep)
				}
			})
		}
	}
}

// idle is what is left of a connection after some messages; its client, but
// for the socket, is garbage.
func idle(b *testing.B, w way, size int) any {
	client, server := w.conn(b)
	message := make([]byte, size)
	for range 20 { // past the small records that crypto/tls begins with
		if _, err := client.Write(message); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(server, message); err != nil {
			b.Fatal(err)
		}
		if _, err := server.Write(message); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(client, message); err != nil {
			b.Fatal(err)
		}
	}
	if c, ok := server.(*Conn); ok && w.name == "detached" {
		nc, k, _, _ := c.Detach()
		return []any{nc, k}
	}
	return server
}

func heap() int64 {
	runtime.GC()
	runtime.GC() // what the first has taken from pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
