package http2

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"wsfront/proxy/http1"
)

// front serves each connection to it until the test is over, and then sees to it
// that nothing is left.
type front struct {
	t     testing.TB
	addr  string
	conns chan *Conn // as they come
	ended chan error // what Serve returned

	mu     sync.Mutex
	hits   map[Limit]int
	writes [][]byte // what each Write has written
}

// noted notes what is written.
type noted struct {
	net.Conn
	f *front
}

func (c noted) Write(p []byte) (int, error) {
	c.f.mu.Lock()
	c.f.writes = append(c.f.writes, append([]byte(nil), p...))
	c.f.mu.Unlock()
	return c.Conn.Write(p)
}

func newFront(t testing.TB, cfg Config) *front { return newFrontOver(t, cfg, nil) }

// newFrontOver is newFront over connections that wrap has changed, if it is not
// nil.
func newFrontOver(t testing.TB, cfg Config, wrap func(*front, net.Conn) net.Conn) *front {
	t.Helper()
	f := &front{t: t, conns: make(chan *Conn, 10000), ended: make(chan error, 10000), hits: map[Limit]int{}}
	cfg.Hit = func(_ any, l Limit) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.hits[l]++
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.addr = l.Addr().String()
	s := NewServer(cfg)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var open []*Conn
	wg.Go(func() { // ended by the listener's close
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			if wrap != nil {
				nc = wrap(f, nc)
			}
			c := s.NewConn(nc, nil)
			mu.Lock()
			open = append(open, c)
			mu.Unlock()
			f.conns <- c
			wg.Go(func() { // ended by Close below
				_, err := c.Serve(false)
				f.ended <- err
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range open {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return f
}

func (f *front) hit(l Limit) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.hits[l]
}

// endsWith waits for the end of a connection.
func (f *front) endsWith() error {
	f.t.Helper()
	select {
	case err := <-f.ended:
		return err
	case <-time.After(10 * time.Second):
		f.t.Fatal("the connection does not end")
		return nil
	}
}

func field(name, value string) http1.Field {
	return http1.Field{Known: http1.Lookup(name), Name: []byte(name), Value: []byte(value)}
}

// hello answers with a short text, whatever is asked.
func hello(s *Stream) {
	_ = s.WriteHead(200, []http1.Field{field("Content-Type", "text/plain"), field("Content-Length", "5")})
	if string(s.Method) != "HEAD" {
		_, _ = s.Write([]byte("hello"))
	}
	_ = s.End(nil)
}

// echo answers with the request's body, as it comes, and its trailer.
func echo(s *Stream) {
	_ = s.WriteHead(200, nil)
	s.Flush()
	for {
		p, err := s.ReadBody()
		if err == io.EOF {
			break
		}
		if err != nil {
			return
		}
		if _, err := s.Write(p); err != nil {
			return
		}
		s.Flush()
	}
	_ = s.End(s.Trailer())
}
