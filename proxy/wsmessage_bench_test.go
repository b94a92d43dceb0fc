package proxy

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"
)

// maskedFrame is a client's frame whose masking key is zero.
func maskedFrame(first byte, payload []byte) []byte {
	p := []byte{first}
	switch n := len(payload); {
	case n <= 125:
		p = append(p, maskedBit|byte(n))
	case n <= 0xffff:
		p = binary.BigEndian.AppendUint16(append(p, maskedBit|length16), uint16(n))
	default:
		p = binary.BigEndian.AppendUint64(append(p, maskedBit|length64), uint64(n))
	}
	return append(append(p, 0, 0, 0, 0), payload...)
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkTunnelModes echoes messages of several clients at once, each waiting
// for its echo. The CPU time is that of the whole process, client and backend
// included; what a mode costs is what it has more than direct.
func BenchmarkTunnelModes(b *testing.B) {
	host := echoBackend(b)
	front := func(mode TunnelMode) string {
		s, err := New(Config{Listen: Addresses{}, HTTPListen: Addresses{"127.0.0.1:0"}, AccessLog: AccessLog{Format: AccessOff},
			Sites: []Site{{Hosts: []string{"*"}, TLS: TLS{Mode: TLSOff}, Routes: []Route{{Path: "/", Tunnel: Tunnel{Backend: "ws://" + host, Mode: mode}}}}}},
			slog.New(slog.DiscardHandler), io.Discard)
		if err == nil {
			err = s.Listen()
		}
		if err != nil {
			b.Fatal(err)
		}
		ctx := b.Context()
		go func() { _ = s.Run(ctx) }() // ended with the benchmark, which waits for nothing
		_, plain := s.Addrs()
		return plain[0].String()
	}
	modes := []struct{ name, addr string }{{"direct", host}, {"raw", front(TunnelRaw)}, {"message", front(TunnelMessage)}}
	for _, size := range []int{125, 16 << 10} {
		for _, mode := range modes {
			b.Run(fmt.Sprintf("%dB/%s", size, mode.name), func(b *testing.B) { benchmarkEcho(b, mode.addr, size) })
		}
	}
}

func benchmarkEcho(b *testing.B, addr string, size int) {
	const clients = 16
	message := maskedFrame(finBit|opcodeText, make([]byte, size))
	answer := len(message) - maskSize
	var conns []net.Conn
	for range clients {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			b.Fatal(err)
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, crlf(handshakeText))
		r := bufio.NewReader(conn)
		if res, err := http.ReadResponse(r, nil); err != nil || res.StatusCode != http.StatusSwitchingProtocols {
			b.Fatal(res, err)
		}
		conns = append(conns, conn)
	}
	b.ReportAllocs()
	before := cpuTime()
	b.ResetTimer()
	var wg sync.WaitGroup
	for i, conn := range conns {
		wg.Go(func() { // ends after its share
			p := make([]byte, answer)
			for range (b.N + i) / clients {
				_, err := conn.Write(message)
				if err == nil {
					_, err = io.ReadFull(conn, p)
				}
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(cpuTime()-before)/1e3/float64(b.N), "cpu-µs/op")
}
