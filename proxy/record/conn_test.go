package record

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

func TestConn_SpeaksWithCryptoTLSClient(t *testing.T) {
	client, server := tls13(t)
	say(t, client, "question")
	hear(t, server, "question")
	say(t, server, "answer")
	hear(t, client, "answer")
}

func TestConn_10000RandomSizesBothWays(t *testing.T) {
	client, server := tls13(t)
	random := rand.New(rand.NewPCG(1, 2))
	flow := make([][]byte, 2)
	for i := range flow {
		flow[i] = make([]byte, 8<<20)
		for j := range flow[i] {
			flow[i][j] = byte(random.Uint32())
		}
	}
	failed := make(chan error, 4)
	// The four are ended by the deadline of the sockets, and awaited below.
	go func() { failed <- writeRandomly(client, flow[0], 1) }()
	go func() { failed <- writeRandomly(server, flow[1], 2) }()
	go func() { failed <- readRandomly(server, flow[0], 3) }()
	go func() { failed <- readRandomly(client, flow[1], 4) }()
	for range 4 {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
}

// writeRandomly writes 10,000 pieces of flow, mostly small, some of several
// records, and then the end.
func writeRandomly(c interface {
	io.Writer
	CloseWrite() error
}, flow []byte, seed uint64) error {
	random := rand.New(rand.NewPCG(seed, 0))
	for i := range 10_000 {
		size := random.IntN(500)
		if random.IntN(100) == 0 {
			size = random.IntN(60_000)
		}
		if i == 9_999 || size > len(flow) {
			size = len(flow)
		}
		if n, err := c.Write(flow[:size]); err != nil || n != size {
			return err
		}
		flow = flow[size:]
	}
	return c.CloseWrite()
}

// readRandomly wants flow and the end, read by pieces of random size.
func readRandomly(c io.Reader, flow []byte, seed uint64) error {
	random := rand.New(rand.NewPCG(seed, 0))
	buf := make([]byte, 40_000)
	for {
		n, err := c.Read(buf[:1+random.IntN(len(buf))])
		if n > len(flow) || !bytes.Equal(buf[:n], flow[:n]) {
			return errors.New("what was read is not what was written")
		}
		flow = flow[n:]
		if err == io.EOF && len(flow) == 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// A dribble writes its data in pieces of random size, as separate packets.
type dribble struct {
	net.Conn
	random *rand.Rand
}

func (d dribble) Write(p []byte) (int, error) {
	written := 0
	for written < len(p) {
		size := min(1+d.random.IntN(3000), len(p)-written)
		if d.random.IntN(3) == 0 {
			size = min(1+d.random.IntN(8), size)
		}
		n, err := d.Conn.Write(p[written : written+size])
		written += n
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

// A noFile hides the file descriptor of its connection, which so cannot be
// waited for without a buffer.
type noFile struct{ net.Conn }

func TestConn_RecordsInAnySegments(t *testing.T) {
	for name, wrap := range map[string]func(net.Conn) net.Conn{
		"socket":       func(c net.Conn) net.Conn { return c },
		"not_a_socket": func(c net.Conn) net.Conn { return noFile{c} },
	} {
		t.Run(name, func(t *testing.T) {
			c, s := socketPair(t)
			client, server := over(t, dribble{c, rand.New(rand.NewPCG(5, 6))}, wrap(s))
			flow := make([]byte, 600_000)
			for i := range flow {
				flow[i] = byte(i >> 3)
			}
			failed := make(chan error, 1)
			go func() { failed <- writeRandomly(client, flow, 7) }() // as above
			if err := readRandomly(awaiting{server}, flow, 8); err != nil {
				t.Error(err)
			}
			if err := <-failed; err != nil {
				t.Error(err)
			}
		})
	}
}

// awaiting calls Await before each Read.
type awaiting struct{ *Conn }

func (a awaiting) Read(p []byte) (int, error) {
	if err := a.Await(); err != nil {
		return 0, err
	}
	return a.Conn.Read(p)
}

func TestConn_OverUnixSocket(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	client, server := over(t, c, s)
	say(t, client, "question")
	hear(t, server, "question")
}

func TestConn_HalfCloseStillReceivesReply(t *testing.T) {
	client, server := tls13(t)
	say(t, client, "question")
	if err := client.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	hear(t, server, "question")
	if n, err := server.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Fatalf("after close_notify Read returned %d, %v", n, err)
	}
	if err := server.Await(); err != io.EOF {
		t.Fatalf("after close_notify Await returned %v", err)
	}
	say(t, server, "reply")
	if err := server.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	hear(t, client, "reply")
	if n, err := client.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Fatalf("the client read %d, %v", n, err)
	}
	if err := server.CloseWrite(); err != nil {
		t.Errorf("a second CloseWrite: %v", err)
	}
	if _, err := server.Write([]byte("more")); err == nil {
		t.Error("a Write after CloseWrite was taken")
	}
}

func TestConn_CloseSendsCloseNotify(t *testing.T) {
	for name, before := range map[string]func(*Conn){
		"at once":                 func(*Conn) {},
		"past the write deadline": func(c *Conn) { c.SetWriteDeadline(time.Unix(1, 0)) },
		"after CloseWrite":        func(c *Conn) { c.CloseWrite() },
	} {
		t.Run(name, func(t *testing.T) {
			client, server := pair(t)
			before(server)
			if err := server.Close(); err != nil {
				t.Fatal(err)
			}
			nc, k, _, all := client.Detach() // the ticket may have come already
			rest, err := io.ReadAll(nc)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, rest...)
			var last error
			for len(all) > 0 && last == nil {
				var n int
				_, n, last = k.Open(all)
				all = all[n:]
			}
			if last != io.EOF || len(all) > 0 {
				t.Fatalf("the last record was opened to %v, and %d bytes follow", last, len(all))
			}
		})
	}
}

func TestConn_CloseEndsBlockedReadAndWrite(t *testing.T) {
	_, server := pair(t)
	ended := make(chan error, 2)
	// Close ends both, and they are awaited below.
	go func() {
		_, err := server.Read(make([]byte, 1))
		ended <- err
	}()
	go func() {
		for {
			if _, err := server.Write(make([]byte, 1<<20)); err != nil {
				ended <- err
				return
			}
		}
	}()
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := <-ended; err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("ended by %v", err)
		}
	}
}

func TestConn_EndWithoutCloseNotify(t *testing.T) {
	client, server := pair(t)
	nc, k, _, _ := client.Detach()
	sealed := k.Seal(nil, []byte("data"))
	half := k.Seal(nil, []byte("more"))
	nc.Write(append(sealed, half[:10]...))
	nc.(*net.TCPConn).CloseWrite()
	hear(t, server, "data")
	if _, err := server.Read(make([]byte, 9)); err != io.ErrUnexpectedEOF {
		t.Errorf("an end within a record is %v", err)
	}

	client, server = pair(t)
	client.NetConn().(*net.TCPConn).CloseWrite()
	if _, err := server.Read(make([]byte, 9)); err != io.EOF {
		t.Errorf("an end between records is %v", err)
	}
}

func TestConn_ResetIsReported(t *testing.T) {
	client, server := pair(t)
	client.NetConn().(*net.TCPConn).SetLinger(0)
	client.NetConn().Close()
	if err := server.Await(); !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("Await returned %v", err)
	}
}

func TestConn_ChangedRecordIsRefusedWithAnAlert(t *testing.T) {
	client, server := pair(t)
	sealed := client.keys.Seal(nil, []byte("data"))
	sealed[8] ^= 1
	if _, err := client.NetConn().Write(sealed); err != nil {
		t.Fatal(err)
	}
	_, err := server.Read(make([]byte, 9))
	if p, ok := errors.AsType[*ProtocolError](err); !ok || p.Code != alertBadRecordMAC {
		t.Fatalf("Read returned %v", err)
	}
	if _, again := server.Read(make([]byte, 9)); again != err {
		t.Errorf("then %v", again)
	}
	if _, err := server.Write([]byte("more")); err == nil {
		t.Error("data was written after the alert")
	}
	_, err = client.Read(make([]byte, 9))
	if a, ok := errors.AsType[*AlertError](err); !ok || a.Code != alertBadRecordMAC {
		t.Errorf("the client read %v", err)
	}
}

func TestConn_DeadlineLeavesReadingWhereItWas(t *testing.T) {
	client, server := pair(t)
	sealed := client.keys.Seal(nil, bytes.Repeat([]byte("0123456789"), 1000))
	for _, part := range [][]byte{nil, sealed[:3], sealed[3:1000]} {
		client.NetConn().Write(part)
		server.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		if err := server.Await(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("Await returned %v", err)
		}
		if _, err := server.Read(make([]byte, 5)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("Read returned %v", err)
		}
	}
	client.NetConn().Write(sealed[1000:])
	server.SetReadDeadline(time.Now().Add(patience))
	hear(t, server, "0123456789012")
}

func TestConn_WriteDeadlineIsFinal(t *testing.T) {
	_, server := pair(t)
	server.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
	n, err := server.Write(make([]byte, 32<<20))
	if !errors.Is(err, os.ErrDeadlineExceeded) || n >= 32<<20 {
		t.Fatalf("Write returned %d, %v", n, err)
	}
	server.SetWriteDeadline(time.Time{})
	if n, again := server.Write([]byte("x")); n != 0 || again != err {
		t.Fatalf("then %d, %v", n, again)
	}
}

// What a waiting connection holds is seen after its deadline has ended the
// wait: nothing moves a buffer between the two.
func TestConn_WaitingHoldsNoMoreThanItMust(t *testing.T) {
	client, server := pair(t)
	held := func() int {
		server.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		if err := server.Await(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("Await returned %v", err)
		}
		server.SetReadDeadline(time.Now().Add(patience))
		if server.sock.buf == nil {
			return 0
		}
		return len(server.sock.buf.b)
	}
	if n := held(); n != 0 {
		t.Errorf("at first: %d bytes", n)
	}
	say(t, client, "data")
	hear(t, server, "data")
	if n := held(); n != 0 {
		t.Errorf("after data: %d bytes", n)
	}
	sealed := client.keys.Seal(nil, make([]byte, maxPlain+1))
	for _, part := range []struct{ upTo, held int }{
		{3, smallBuffer},
		{5, recordBuffer},
		{1000, recordBuffer},
	} {
		client.NetConn().Write(sealed[:part.upTo])
		if n := held(); n != part.held {
			t.Errorf("with a part of a record: %d bytes, want %d", n, part.held)
		}
		sealed = sealed[part.upTo:]
	}
	client.NetConn().Write(sealed)
	if _, err := io.ReadFull(server, make([]byte, maxPlain+1)); err != nil {
		t.Fatal(err)
	}
	if n := held(); n != 0 {
		t.Errorf("after the records: %d bytes", n)
	}
}

func TestConn_KeyUpdatesWhileDataFlows(t *testing.T) {
	client, server := pair(t)
	for range 50 {
		if _, err := client.NetConn().Write(requestUpdate(client.keys, nil)); err != nil {
			t.Fatal(err)
		}
		say(t, client, "question")
		hear(t, server, "question")
		say(t, server, "answer")
		hear(t, client, "answer")
	}
}

func TestConn_AwaitIsNotWokenByKeyUpdate(t *testing.T) {
	client, server := pair(t)
	client.NetConn().Write(client.keys.update(nil))
	server.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if err := server.Await(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("Await returned %v", err)
	}
}

func TestConn_DetachGivesAwayWhatWasReceived(t *testing.T) {
	client, server := pair(t)
	sealed := client.keys.Seal(nil, []byte("opened"))
	sealed = client.keys.Seal(sealed, []byte("whole"))
	half := client.keys.Seal(nil, []byte("half"))
	client.NetConn().Write(append(sealed, half[:7]...))
	hear(t, server, "op")
	nc, k, plain, cipher := server.Detach()
	if nc != server.NetConn() || string(plain) != "ened" {
		t.Fatalf("detached plain bytes %q", plain)
	}
	client.NetConn().Write(half[7:])
	rest := make([]byte, len(sealed)+len(half))
	n := copy(rest, cipher)
	for n < 2*Overhead+len("whole")+len("half") {
		m, err := nc.Read(rest[n:])
		if err != nil {
			t.Fatal(err)
		}
		n += m
	}
	if got := opened(t, k, rest[:n]); got != "wholehalf" {
		t.Fatalf("behind them %q", got)
	}
}

func TestConn_DetachOfNothingIsNil(t *testing.T) {
	_, server := pair(t)
	if _, _, plain, cipher := server.Detach(); plain != nil || cipher != nil {
		t.Fatalf("%v, %v", plain, cipher)
	}
}
