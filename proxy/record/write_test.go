package record

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"
	"time"
)

// A write that met its deadline goes on where it was, if it may: the peer misses
// nothing of the stream.
func TestConn_WriteWhileGoesOnBehindADeadline(t *testing.T) {
	client, server := socketPair(t)
	p := accept(t, NewAccepter(serverConfig()), clientConfig(), client, server)
	conn := taken(t, p.server)
	sent, heard := bytes.Repeat([]byte("0123456789abcdef"), 1<<20), []byte(nil) // more than sockets hold
	hearSome := func(int) bool {
		buf := make([]byte, 1<<20)
		n, err := p.client.Read(buf) // of what is there: more may not come before this returns
		if heard = append(heard, buf[:n]...); err != nil {
			t.Error(err)
			return false
		}
		return conn.SetWriteDeadline(time.Now().Add(10*time.Millisecond)) == nil
	}
	if err := conn.SetWriteDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := conn.WriteWhile(sent, hearSome); n != len(sent) || err != nil {
		t.Fatal(n, err)
	}
	if len(heard) == 0 {
		t.Error("it met no deadline")
	}
	rest := make([]byte, len(sent)-len(heard))
	if _, err := io.ReadFull(p.client, rest); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(append(heard, rest...), sent) {
		t.Error("it arrived otherwise than it was sent")
	}
	// Who is not asked again, or says no, gets the deadline's error.
	if err := conn.SetWriteDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.WriteWhile(sent, func(int) bool { return false }); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
}
