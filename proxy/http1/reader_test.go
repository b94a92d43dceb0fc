package http1

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// waiting is a connection with an Await that notes whether a buffer was held.
type waiting struct {
	net.Conn
	reader *Reader
	awaits int
	held   bool
	err    error
}

func (w *waiting) Await() error {
	w.awaits++
	w.held = w.reader.buf != nil
	return w.err
}

// connect joins two ends of a TCP connection.
func connect(t *testing.T) (client, server net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client = dial(t, l.Addr().String())
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return client, server
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestReader_HoldsNoBufferWhileIdle(t *testing.T) {
	client, server := connect(t)
	var r Reader
	w := &waiting{Conn: server, reader: &r}
	r.Reset(w)
	for i := range 2 {
		if _, err := io.WriteString(client, "hello"); err != nil {
			t.Fatal(err)
		}
		if err := r.Fill(); err != nil || string(r.Buffered()) != "hello" {
			t.Fatalf("%q, %v", r.Buffered(), err)
		}
		if w.awaits != i+1 || w.held {
			t.Errorf("%d waits, with a buffer %v", w.awaits, w.held)
		}
		if len(r.buf) != smallBuffer {
			t.Errorf("a buffer of %d bytes", len(r.buf))
		}
		r.Release()
		if r.buf == nil {
			t.Fatal("a buffer with bytes in it was given back")
		}
		// With a buffer held there is nothing to wait for without one.
		if _, err := io.WriteString(client, "!"); err != nil {
			t.Fatal(err)
		}
		if err := r.Fill(); err != nil || string(r.Buffered()) != "hello!" || w.awaits != i+1 {
			t.Fatalf("%q, %v, %d waits", r.Buffered(), err, w.awaits)
		}
		r.Discard(6)
		r.Release()
		if r.buf != nil || len(r.Buffered()) != 0 {
			t.Error("an empty buffer is held after Release")
		}
	}
	w.err = errors.New("closed")
	if err := r.Fill(); !errors.Is(err, w.err) || r.buf != nil {
		t.Errorf("a failed wait: %v, with a buffer %v", err, r.buf != nil)
	}
}

func TestReader_GrowsAndKeepsTheBytes(t *testing.T) {
	want := strings.Repeat("0123456789", BufferSize)[:BufferSize]
	var r Reader
	r.Reset(iotest.OneByteReader(strings.NewReader(want + "x")))
	defer r.Reset(nil)
	for i := range BufferSize {
		if err := r.Fill(); err != nil {
			t.Fatal(i, err)
		}
		if i == smallBuffer-1 && len(r.buf) != smallBuffer {
			t.Errorf("%d bytes take a buffer of %d", i+1, len(r.buf))
		}
	}
	if err := r.Fill(); err != ErrFull {
		t.Errorf("behind a full buffer: %v", err)
	}
	if string(r.Buffered()) != want {
		t.Error("the bytes are not those that were sent")
	}
	r.Discard(3)
	if err := r.Fill(); err != nil || string(r.Buffered()) != want[3:]+"x" {
		t.Errorf("after room was made: %v", err)
	}
}

func TestReader_DiscardMovesNothing(t *testing.T) {
	var r Reader
	r.Reset(iotest.OneByteReader(strings.NewReader("abcd")))
	defer r.Reset(nil)
	for range 3 {
		if err := r.Fill(); err != nil {
			t.Fatal(err)
		}
	}
	slice := r.Buffered()
	r.Discard(2)
	if string(slice) != "abc" || string(r.Buffered()) != "c" {
		t.Errorf("%q, %q", slice, r.Buffered())
	}
	defer func() {
		if recover() == nil {
			t.Error("more was discarded than there was")
		}
	}()
	r.Discard(2)
}

// lastWords returns its error together with its only byte, and never again.
type lastWords struct{ err error }

func (l *lastWords) Read(p []byte) (int, error) {
	if l.err == nil {
		return 0, io.EOF
	}
	err := l.err
	l.err = nil
	return copy(p, "a"), err
}

func TestReader_BytesAndErrorOfOneReadBothArrive(t *testing.T) {
	broken := errors.New("broken")
	var r Reader
	r.Reset(&lastWords{broken})
	defer r.Reset(nil)
	if err := r.Fill(); err != nil || string(r.Buffered()) != "a" {
		t.Fatalf("%q, %v", r.Buffered(), err)
	}
	if err := r.Fill(); err != broken {
		t.Errorf("the error behind the bytes: %v", err)
	}
	if err := r.Fill(); err != io.EOF {
		t.Errorf("behind that error: %v", err)
	}
}

type silent struct{}

func (silent) Read([]byte) (int, error) { return 0, nil }

func TestReader_GivesUpASourceThatSaysNothing(t *testing.T) {
	var r Reader
	r.Reset(silent{})
	defer r.Reset(nil)
	if err := r.Fill(); err != io.ErrNoProgress {
		t.Errorf("%v", err)
	}
}

func TestReader_Unread(t *testing.T) {
	for _, sizes := range [][2]int{{0, 0}, {0, 3}, {3, 2}, {3, smallBuffer}, {smallBuffer, 1}, {5000, 100}, {100, BufferSize - 100}, {100, BufferSize - 99}} {
		behind, before := strings.Repeat("b", sizes[0]), strings.Repeat("a", sizes[1])
		var r Reader
		r.Reset(strings.NewReader(behind))
		for len(r.Buffered()) < len(behind) {
			if err := r.Fill(); err != nil {
				t.Fatal(err)
			}
		}
		err := r.Unread([]byte(before))
		switch {
		case sizes[0]+sizes[1] > BufferSize:
			if err != ErrFull {
				t.Errorf("%v: %v", sizes, err)
			}
		case err != nil || string(r.Buffered()) != before+behind:
			t.Errorf("%v: %v, %d bytes", sizes, err, len(r.Buffered()))
		}
		r.Reset(nil)
	}
	var r Reader
	r.Reset(strings.NewReader("abcdef"))
	defer r.Reset(nil)
	if err := r.Fill(); err != nil {
		t.Fatal(err)
	}
	r.Discard(4)
	if err := r.Unread([]byte("xyz")); err != nil || string(r.Buffered()) != "xyzef" {
		t.Errorf("into the room of what was discarded: %q, %v", r.Buffered(), err)
	}
}

func TestReader_ReadsInLargePiecesWhatComesInMasses(t *testing.T) {
	var r Reader
	r.Reset(bytes.NewReader(make([]byte, 100<<10)))
	defer r.Reset(nil)
	var pieces []int
	for r.Fill() == nil {
		pieces = append(pieces, len(r.Buffered()))
		r.Discard(len(r.Buffered()))
	}
	if len(pieces) != 4 || pieces[0] != smallBuffer || pieces[1] != BufferSize {
		t.Errorf("pieces of %v bytes", pieces)
	}
}
