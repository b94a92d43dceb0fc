package http2

import (
	"bytes"
	"errors"
	"net"
	"testing"
)

// explosive is a connection whose Write panics.
type explosive struct{ net.Conn }

func (explosive) Write([]byte) (int, error) { panic("boom") }

func TestConn_PanicWhileWritingEndsOneConnection(t *testing.T) {
	told := make(chan []byte, 1)
	cfg := Config{Handler: func(*Stream) {}, Panic: func(_, cause any, stack []byte) {
		if cause != "boom" {
			t.Errorf("told of %v", cause)
		}
		told <- stack
	}}
	f := newFrontOver(t, cfg, func(_ *front, nc net.Conn) net.Conn { return explosive{nc} })
	nc, err := net.Dial("tcp", f.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if err := <-f.ended; !errors.Is(err, errPanic) {
		t.Errorf("Serve returned %v", err)
	}
	if stack := <-told; !bytes.Contains(stack, []byte("explosive")) {
		t.Errorf("the stack is\n%s", stack)
	}
}
