package http2

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// bytesConn gives what it has to be read, then the end, and takes what is
// written.
type bytesConn struct {
	net.Conn
	in io.Reader
}

func (c *bytesConn) Read(p []byte) (int, error)       { return c.in.Read(p) }
func (c *bytesConn) Write(p []byte) (int, error)      { return len(p), nil }
func (c *bytesConn) Close() error                     { return nil }
func (c *bytesConn) SetReadDeadline(time.Time) error  { return nil }
func (c *bytesConn) SetWriteDeadline(time.Time) error { return nil }

// FuzzConn serves whatever bytes come: it ends when they end, and nothing that
// waits for a Handler is more than the windows allow.
func FuzzConn(f *testing.F) {
	var b bytes.Buffer
	fr := http2.NewFramer(&b, nil)
	_ = fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 100})
	get := []byte{0x82, 0x87, 0x84, 0x41, 1, 'a'}
	_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: get[:3], EndHeaders: false})
	_ = fr.WriteContinuation(1, true, get[3:])
	_ = fr.WriteDataPadded(1, false, []byte("body"), make([]byte, 3))
	_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0, 1, 'a', 1, 'b'}, EndHeaders: true, EndStream: true})
	_ = fr.WriteWindowUpdate(1, 1000)
	_ = fr.WritePing(false, [8]byte{})
	_ = fr.WritePriority(3, http2.PriorityParam{StreamDep: 1})
	_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: get, EndHeaders: true, EndStream: true, PadLength: 2, Priority: http2.PriorityParam{StreamDep: 1}})
	_ = fr.WriteRSTStream(3, http2.ErrCodeCancel)
	_ = fr.WriteGoAway(3, http2.ErrCodeNo, nil)
	f.Add(b.Bytes())
	f.Add([]byte{0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 1, 1, 5, 0, 0, 0, 1, 0xff})
	f.Fuzz(func(t *testing.T, in []byte) {
		s := NewServer(Config{Handler: func(s *Stream) {
			s.conn.mu.Lock()
			waiting := 0
			for k := s.first; k != nil; k = k.next {
				waiting += len(k.b)
			}
			s.conn.mu.Unlock()
			if waiting > streamWindow {
				t.Errorf("%d bytes of a body wait", waiting)
			}
			echo(s)
		}})
		c := s.NewConn(&bytesConn{in: io.MultiReader(bytes.NewReader([]byte(preface)), bytes.NewReader(in))}, nil)
		_, err := c.Serve(false)
		var fault *ConnError
		if err != nil && !errors.As(err, &fault) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("Serve returned %v", err)
		}
		if len(c.streams) > 0 || len(c.out) > 0 || c.flushing {
			t.Errorf("left over: %d streams, %d bytes", len(c.streams), len(c.out))
		}
	})
}
