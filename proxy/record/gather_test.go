package record

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"
)

// http2Pair is a connection that has agreed on HTTP/2, and counts below TLS how
// often the server writes.
func http2Pair(t *testing.T) (client *tls.Conn, server net.Conn, writes *atomic.Int32) {
	t.Helper()
	near, far := socketPair(t)
	counted := &countedConn{Conn: far}
	config, offered := serverConfig(), clientConfig()
	config.NextProtos, offered.NextProtos = []string{"h2"}, []string{"h2"}
	client = tls.Client(near, offered)
	failed := make(chan error, 1)
	go func() { failed <- client.Handshake() }() // ends with the handshake; awaited below
	server, _, err := NewAccepter(config).Handshake(t.Context(), counted)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	counted.writes.Store(0)
	return client, server, &counted.writes
}

type countedConn struct {
	net.Conn
	writes atomic.Int32
}

func (c *countedConn) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

func TestGatherer_ArrivesInOrderAndIsEndedByClose(t *testing.T) {
	client, server, writes := http2Pair(t)
	var want []byte
	sent := make(chan error, 1)
	go func() { // ends with what it writes; awaited below
		for i := range 2000 {
			piece := bytes.Repeat([]byte{byte(i)}, 1+i%3000)
			want = append(want, piece...)
			if _, err := server.Write(piece); err != nil {
				sent <- err
				return
			}
		}
		sent <- server.Close()
	}()
	got, err := io.ReadAll(client)
	if err != nil { // without close_notify it is io.ErrUnexpectedEOF
		t.Errorf("the end: %v", err)
	}
	if err := <-sent; err != nil {
		t.Errorf("sending: %v", err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%d bytes arrived, and not the %d that were sent", len(got), len(want))
	}
	if n := writes.Load(); n >= 2000 {
		t.Errorf("%d writes for 2000: none was gathered", n)
	}
}

func TestGatherer_PeerThatDoesNotReadIsWaitedForInBoundedMemory(t *testing.T) {
	_, server, _ := http2Pair(t)
	if err := server.SetWriteDeadline(time.Now().Add(300 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	taken, piece := 0, make([]byte, 16<<10)
	var err error
	for err == nil && taken < 64<<20 {
		var n int
		n, err = server.Write(piece)
		taken += n
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v after %d bytes, want the deadline", err, taken)
	}
	g := server.(*tls.Conn).NetConn().(*feed).gathered
	g.mu.Lock()
	defer g.mu.Unlock()
	if waiting := len(g.pending); waiting > 2*maxGathered {
		t.Errorf("%d bytes wait", waiting)
	}
}

func TestGatherer_IdleHoldsNoBuffer(t *testing.T) {
	client, server, _ := http2Pair(t)
	if _, err := server.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(client, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	g := server.(*tls.Conn).NetConn().(*feed).gathered
	g.flush()
	if g.pending != nil || g.spare != nil {
		t.Error("a buffer is left")
	}
}
