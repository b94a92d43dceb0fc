package doctor

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http/httputil"
	"strings"
	"time"

	"wsfront/proxy/diagnosis"
)

// lump is within what time events came together.
const lump = 100 * time.Millisecond

// readStream reads an event stream for a while and looks at when events come.
func (e *exam) readStream(ctx context.Context) {
	conn, err := e.connect(ctx, "http/1.1")
	if err != nil {
		e.step("stream", Failed, "%v", visible(reason(err).Error()))
		e.find(nobody, diagnosis.OfError(err, nil), visible(err.Error()))
		return
	}
	defer conn.Close()
	begin := time.Now()
	a, r, err := beginStream(conn, getRequest(e.target, "text/event-stream"))
	if err != nil {
		tried := &attempt{answer: a, err: err}
		tried.judge()
		e.step("stream", Failed, "%s", tried.brief())
		e.find(nobody, tried.cause, tried.facts)
		return
	}
	e.meet(a)
	kind, _, _ := strings.Cut(a.get("Content-Type"), ";")
	if a.status != 200 || strings.TrimSpace(kind) != "text/event-stream" {
		e.step("stream", Failed, "%s with Content-Type: %s is no event stream", a.brief(), visible(kind))
		a.body = readBody(r, a)
		cause, facts := diagnosis.OfAnswer(a.diagnose(diagnosis.Sent{}))
		e.find(nobody, cause, facts)
		return
	}
	var src io.Reader = r
	if strings.EqualFold(a.get("Transfer-Encoding"), "chunked") {
		src = httputil.NewChunkedReader(r)
	}
	head := time.Since(begin)
	_ = conn.SetReadDeadline(deadline(ctx, e.waits.stream))
	times, ended := arrivals(src, begin)
	e.judgeStream(times, head, ended)
}

// beginStream reads the head of the answer alone.
func beginStream(conn io.ReadWriter, request []byte) (*answer, *bufio.Reader, error) {
	if _, err := conn.Write(request); err != nil {
		return nil, nil, err
	}
	r := bufio.NewReader(conn)
	a, err := readAnswer(r)
	return a, r, err
}

// arrivals are the times since begin at which the ends of events came, and
// whether the stream ended.
func arrivals(src io.Reader, begin time.Time) (times []time.Duration, ended bool) {
	buf := make([]byte, 4<<10)
	var tail byte
	for size := 0; size < maxAnswer; {
		n, err := src.Read(buf)
		size += n
		piece := bytes.ReplaceAll(buf[:n], []byte("\r"), nil)
		for _, c := range piece {
			if c == '\n' && tail == '\n' {
				times = append(times, time.Since(begin))
			}
			tail = c
		}
		if err != nil {
			return times, err == io.EOF
		}
	}
	return times, false
}

// judgeStream finds events that were sent one by one, and held back on the way:
// they came together, long after the head. Where they are the whole stream it is
// the request that counts, as what buffers answers to their end holds the head as
// well; a replay comes with the head, and then the stream goes on.
func (e *exam) judgeStream(times []time.Duration, head time.Duration, ended bool) {
	since, after := head, "head"
	if ended {
		since, after = 0, "request"
	}
	switch n := len(times); {
	case n == 0:
		e.step("stream", OK, "it is open; no event came within %v", e.waits.stream)
	case n > 1 && times[0]-since >= e.waits.held && times[n-1]-times[0] <= lump:
		text := fmt.Sprintf("%d events came together, %.1f s after the %s", n, (times[0] - since).Seconds(), after)
		e.step("stream", Failed, "%s", text)
		e.find(nobody, diagnosis.StreamBuffered, text)
	default:
		e.step("stream", OK, "%d events, the first after %.1f s, the last after %.1f s", n, times[0].Seconds(), times[n-1].Seconds())
	}
}
