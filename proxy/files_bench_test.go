package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"testing"
)

// BenchmarkFiles asks for one file after the other on one connection. A picture is
// sent as it is, a script compressed on the way or by its sibling.
func BenchmarkFiles(b *testing.B) {
	dir := writeTree(b, "1kB.jpg", strings.Repeat("x", 1<<10), "1MiB.jpg", strings.Repeat("x", 1<<20),
		"a.js", strings.Repeat("function f() { return 1 }\n", 4000), "b.js", "plain", "b.js.br", strings.Repeat("x", 20000))
	for _, secure := range []bool{false, true} {
		addr := benchmarkFiles(b, dir, secure)
		for _, c := range []struct{ path, accept string }{{"/1kB.jpg", "identity"}, {"/1MiB.jpg", "identity"}, {"/b.js", "br"}, {"/a.js", "gzip"}, {"/a.js", "zstd"}} {
			b.Run(fmt.Sprintf("tls=%v%s,%s", secure, c.path, c.accept), func(b *testing.B) {
				conn, err := net.Dial("tcp", addr)
				if err != nil {
					b.Fatal(err)
				}
				defer conn.Close()
				if secure {
					conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true, ServerName: "a.test"})
				}
				r := bufio.NewReaderSize(conn, 64<<10)
				request := []byte("GET " + c.path + " HTTP/1.1\r\nHost: a.test\r\nAccept-Encoding: " + c.accept + "\r\n\r\n")
				b.ReportAllocs()
				for b.Loop() {
					if _, err := conn.Write(request); err != nil {
						b.Fatal(err)
					}
					if err := skipAnswer(r); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// benchmarkFiles serves a folder until the benchmark ends.
func benchmarkFiles(b *testing.B, dir string, secure bool) (addr string) {
	cfg := Config{Listen: Addresses{}, HTTPListen: Addresses{"127.0.0.1:0"}, AccessLog: AccessLog{Format: AccessOff}, State: b.TempDir(),
		Sites: []Site{{Hosts: []string{"a.test"}, TLS: TLS{Mode: TLSOff}, Routes: []Route{{Path: "/", Files: dir}}}}}
	if secure {
		cfg.Listen, cfg.HTTPListen, cfg.Sites[0].TLS = cfg.HTTPListen, cfg.Listen, freshPair(b, "a.test")
	}
	s, err := New(cfg, slog.New(slog.DiscardHandler), io.Discard)
	if err == nil {
		err = s.Listen()
	}
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }() // ended by cancel, awaited by Cleanup
	b.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	})
	return s.listeners[0].Addr().String()
}

// skipAnswer reads an answer without keeping anything.
func skipAnswer(r *bufio.Reader) error {
	length, chunked := 0, false
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) == 2 {
			break
		}
		if value, ok := strings.CutPrefix(string(line), "Content-Length: "); ok {
			length, _ = strconv.Atoi(strings.TrimSpace(value))
		}
		chunked = chunked || string(line) == "Transfer-Encoding: chunked\r\n"
	}
	if !chunked {
		_, err := r.Discard(length)
		return err
	}
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		size, err := strconv.ParseInt(strings.TrimSpace(string(line)), 16, 32)
		if err != nil {
			return err
		}
		if _, err := r.Discard(int(size) + 2); err != nil || size == 0 {
			return err
		}
	}
}
