package doctor

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"wsfront/proxy/diagnosis"
	"wsfront/proxy/frame"
)

// The opcodes that matter here (RFC 6455 §5.2).
const (
	opBinary = 0x2
	opClose  = 0x8
	opPing   = 0x9
	opPong   = 0xa
)

// wsFrame is a frame as it came. Of a long payload there is the beginning.
type wsFrame struct {
	opcode  byte
	payload []byte
}

// tunnel is the client's side of an open WebSocket.
type tunnel struct {
	conn   net.Conn
	frames *bufio.Reader // behind the judge
	pings  int           // of the server's, each of which was answered
	data   int           // frames of messages
}

// judge shows all bytes to a follower of package frame, and ends them before one
// that is against RFC 6455.
type judge struct {
	src      io.Reader
	follower frame.Follower
}

func (j *judge) Read(p []byte) (int, error) {
	n, err := j.src.Read(p)
	for rest := p[:n]; len(rest) > 0; {
		var wrong error
		if _, rest, wrong = j.follower.Feed(rest, 0); wrong != nil {
			return 0, wrong
		}
	}
	return n, err
}

// newTunnel takes over the connection of a 101.
func newTunnel(a *attempt) *tunnel {
	compression, _ := frame.Reserved(strings.Join(a.answer.fields.Values("Sec-WebSocket-Extensions"), ","))
	j := &judge{src: a.rest}
	j.follower.Init(frame.FromBackend, &frame.Rules{Compression: compression, Validate: true})
	return &tunnel{conn: a.conn, frames: bufio.NewReader(j)}
}

// next reads a frame.
func (t *tunnel) next() (wsFrame, error) {
	var head [8]byte
	if _, err := io.ReadFull(t.frames, head[:2]); err != nil {
		return wsFrame{}, err
	}
	f, size := wsFrame{opcode: head[0] & 0xf}, uint64(head[1]&0x7f)
	var err error
	switch size {
	case 126:
		_, err = io.ReadFull(t.frames, head[:2])
		size = uint64(binary.BigEndian.Uint16(head[:2]))
	case 127:
		_, err = io.ReadFull(t.frames, head[:8])
		size = binary.BigEndian.Uint64(head[:8])
	}
	if err != nil {
		return wsFrame{}, cutFrame(err)
	}
	f.payload = make([]byte, min(size, maxAnswer))
	if _, err := io.ReadFull(t.frames, f.payload); err != nil {
		return wsFrame{}, cutFrame(err)
	}
	if _, err := io.CopyN(io.Discard, t.frames, int64(size)-int64(len(f.payload))); err != nil {
		return wsFrame{}, cutFrame(err)
	}
	return f, nil
}

// cutFrame tells an end within a frame from one between two.
func cutFrame(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// handle reads a frame, and answers a ping as browsers do.
func (t *tunnel) handle() (wsFrame, error) {
	f, err := t.next()
	switch {
	case err != nil:
		return f, err
	case f.opcode == opPing:
		t.pings++
		pong := frame.AppendPing(nil, frame.FromClient, f.payload)
		pong[0] = pong[0]&0xf0 | opPong // its opcode is all in which a pong differs
		_, err = t.conn.Write(pong)
	case f.opcode <= opBinary:
		t.data++
	}
	return f, err
}

// closing is the end that a Close frame announces.
type closing struct {
	code   uint16 // 1005 for none
	reason string
}

func (c closing) Error() string {
	text := fmt.Sprintf("a Close with %d", c.code)
	if c.reason != "" {
		text += fmt.Sprintf(" %q", visible(c.reason))
	}
	return text
}

func closingOf(f wsFrame) closing {
	if len(f.payload) < 2 {
		return closing{code: 1005}
	}
	return closing{binary.BigEndian.Uint16(f.payload), string(f.payload[2:])}
}

// until reads frames until a time, or until done says so. The error is why the
// tunnel ended before; a closing where it was by a Close frame.
func (t *tunnel) until(end time.Time, done func(wsFrame) bool) error {
	_ = t.conn.SetDeadline(end)
	for {
		f, err := t.handle()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		case err != nil:
			return err
		case f.opcode == opClose:
			return closingOf(f)
		case done(f):
			return nil
		}
	}
}

// follow looks at what comes behind a 101, and ends the WebSocket.
func (e *exam) follow(ctx context.Context, a *attempt) {
	t := newTunnel(a)
	compression := a.answer.get("Sec-WebSocket-Extensions")
	pong := false
	done := func(f wsFrame) bool {
		pong = pong || f.opcode == opPong
		return pong && t.data > 0
	}
	begin := time.Now()
	_ = t.conn.SetDeadline(deadline(ctx, e.waits.frames))
	_, err := t.conn.Write(frame.AppendPing(nil, frame.FromClient, []byte("wsfront")))
	if err == nil {
		err = t.until(deadline(ctx, e.waits.frames), done)
	}
	if err == nil && !pong {
		err = t.until(deadline(ctx, e.waits.pong-e.waits.frames), func(f wsFrame) bool { pong = pong || f.opcode == opPong; return pong })
	}
	if err != nil {
		e.ended(err, time.Since(begin))
		return
	}
	switch t.data {
	case 0:
		e.step("frames", OK, "the server sends nothing by itself in %v", e.waits.frames)
	default:
		e.step("frames", OK, "the first frames are valid")
	}
	if pong {
		e.step("ping", OK, "answered")
	} else {
		e.step("ping", Failed, "no pong within %v", e.waits.pong)
		e.find(some, diagnosis.NoPong, fmt.Sprintf("no pong within %v; %d other frames came", e.waits.pong, t.data+t.pings))
	}
	if compression == "" {
		e.step("compression", OK, "not agreed on; messages pass as they are")
	} else {
		e.step("compression", OK, "agreed on: %s", visible(compression))
	}
	e.goodbye(ctx, t)
}

// ended tells how a tunnel ended that should not have.
func (e *exam) ended(err error, after time.Duration) {
	var wrong *frame.Violation
	how := endOf(err)
	switch {
	case errors.As(err, &wrong):
		e.step("frames", Failed, "an invalid frame: %s", wrong.Reason)
		e.find(nobody, diagnosis.FramesBroken, "invalid frame behind the 101: "+wrong.Reason)
	case errors.Is(err, io.ErrUnexpectedEOF):
		e.step("frames", Failed, "the connection ends within a frame")
		e.find(nobody, diagnosis.FramesBroken, "the connection ends within a frame")
	default:
		e.step("frames", Failed, "%s after %v", how, after.Round(10*time.Millisecond))
		e.find(nobody, diagnosis.ClosedAtOnce, fmt.Sprintf("101, and %s after %v", how, after.Round(10*time.Millisecond)))
	}
}

// endOf says how a tunnel ended.
func endOf(err error) string {
	var goodbye closing
	switch {
	case errors.As(err, &goodbye):
		return goodbye.Error()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the end of the connection without a Close (1006 in a browser)"
	}
	return visible(reason(err).Error()) + " (1006 in a browser)"
}

// goodbye closes the WebSocket as RFC 6455 §7.1.2 has it.
func (e *exam) goodbye(ctx context.Context, t *tunnel) {
	_ = t.conn.SetDeadline(deadline(ctx, e.waits.close))
	_, err := t.conn.Write(frame.AppendClose(nil, frame.FromClient, 1000, ""))
	if err == nil {
		err = t.until(deadline(ctx, e.waits.close), func(wsFrame) bool { return false })
	}
	var answered closing
	switch {
	case errors.As(err, &answered):
		e.step("close", OK, "answered by %v", answered)
	case err == nil:
		e.step("close", Warning, "not answered within %v", e.waits.close)
	default:
		e.step("close", Warning, "not answered: %s", endOf(err))
	}
}

// leaveTimeout is how long a server may take to close a WebSocket that was opened
// to see whether it can be.
const leaveTimeout = 500 * time.Millisecond

// leave closes what became a WebSocket as a browser does, so that the server has
// nothing to complain of in its log.
func (a *attempt) leave() {
	if a.switched() {
		_ = a.conn.SetDeadline(time.Now().Add(leaveTimeout))
		partFrom(a.conn, a.rest)
	}
	a.close()
}

// partFrom sends a Close and reads until the server has closed, or a deadline.
func partFrom(w io.Writer, r io.Reader) {
	if _, err := w.Write(frame.AppendClose(nil, frame.FromClient, 1000, "")); err == nil {
		_, _ = io.Copy(io.Discard, io.LimitReader(r, maxAnswer))
	}
}
