package proxy

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"log/slog"
	"net"
	"strings"
	"testing"

	"wsfront/proxy/record"
)

// BenchmarkForward measures one request through the front on a kept connection,
// the client and the backend of the benchmark included: neither allocates.
func BenchmarkForward(b *testing.B) {
	const request = "GET /board/7?page=2 HTTP/1.1\r\nHost: app.test\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: text/html\r\nAccept-Language: en\r\nCookie: sessionid=8f14e45fceea167a5a36dedd4bea2543\r\n\r\n"
	answer := "HTTP/1.1 200 OK\r\nDate: Sun, 22 Nov 2026 20:00:00 GMT\r\nServer: WSGIServer\r\nContent-Type: text/html; charset=utf-8\r\nVary: Cookie\r\nContent-Length: 1024\r\n\r\n" + strings.Repeat("x", 1024)
	for _, c := range []struct {
		name         string
		secure, pool bool
	}{{"http", false, false}, {"https", true, false}, {"pool", false, true}} {
		b.Run(c.name, func(b *testing.B) {
			backends := []PoolBackend{{URL: "http://" + benchmarkBackend(b, answer)}}
			if c.pool {
				backends = append(backends, PoolBackend{URL: "http://" + benchmarkBackend(b, answer), Weight: 2})
			}
			f := benchmarkFront(b, c.secure, backends...)
			conn, err := net.Dial("tcp", f)
			if err != nil {
				b.Fatal(err)
			}
			if c.secure { // crypto/tls's own would allocate
				if conn, err = record.Client(b.Context(), conn, &tls.Config{InsecureSkipVerify: true}); err != nil {
					b.Fatal(err)
				}
			}
			defer conn.Close()
			text, p := []byte(request), make([]byte, 4096)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := conn.Write(text); err != nil {
					b.Fatal(err)
				}
				for n := 0; !bytes.HasSuffix(p[:n], []byte("xxxx")); {
					m, err := conn.Read(p[n:])
					if n += m; err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

// benchmarkFront forwards to one backend, or to several as a pool.
func benchmarkFront(b *testing.B, secure bool, backends ...PoolBackend) (addr string) {
	b.Helper()
	app, list := backends[0].URL, []Pool(nil)
	if len(backends) > 1 {
		app, list = "pool://web", []Pool{{Name: "web", Backends: backends}}
	}
	site := Site{Hosts: []string{"*"}, TLS: TLS{Mode: TLSOff}, Routes: []Route{{Path: "/", App: app}}}
	cfg := Config{Pools: list, Listen: Addresses{}, HTTPListen: Addresses{"127.0.0.1:0"}, AccessLog: AccessLog{Format: AccessOff}, Sites: []Site{site}, State: b.TempDir()}
	if secure {
		cfg.Listen, cfg.HTTPListen = Addresses{"127.0.0.1:0"}, Addresses{}
		cfg.Sites[0].TLS.Mode = TLSInternal
	}
	s, err := New(cfg, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		b.Fatal(err)
	}
	done := make(chan struct{})
	ctx := b.Context() // done before the cleanups are called
	go func() {        // ended by ctx, awaited below
		defer close(done)
		_ = s.Run(ctx)
	}()
	b.Cleanup(func() { <-done })
	addrs, plain := s.Addrs()
	return append(addrs, plain...)[0].String()
}

// benchmarkBackend answers each head with the same text, without allocating.
func benchmarkBackend(b *testing.B, answer string) string {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	text := []byte(answer)
	go func() { // ended by the listener's close
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { // ended by the front, which closes its connections
				defer conn.Close()
				r := bufio.NewReader(conn)
				for {
					line, err := r.ReadSlice('\n')
					if err != nil {
						return
					}
					if len(line) == 2 {
						_, _ = conn.Write(text)
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}
