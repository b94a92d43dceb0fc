package proxy

import (
	"io"
	"net/http"
	"sync"
)

// bodyReader is the Body of a handler's request.
type bodyReader struct {
	w    *responseWriter
	mu   sync.Mutex // held while it is read
	rest []byte
	err  error // of all that follows

	asking sync.Mutex
	asked  bool // the client was asked for the body, or will not be any more
}

// ask asks a client that waits to be asked, once.
func (b *bodyReader) ask() {
	b.asking.Lock()
	defer b.asking.Unlock()
	if !b.asked && b.w.x.req.ExpectContinue {
		b.w.x.down.proceed()
	}
	b.asked = true
}

// unasked keeps a 100 from being sent once there is a final status.
func (b *bodyReader) unasked() {
	b.asking.Lock()
	defer b.asking.Unlock()
	b.asked = true
}

// Read reads on, and asks for the body where the client waits for that.
func (b *bodyReader) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(p) == 0 {
		return 0, nil
	}
	if len(b.rest) == 0 && b.err == nil {
		b.ask()
		if b.rest, b.err = b.w.x.down.readBody(); b.err != nil {
			b.over()
		}
	}
	n := copy(p, b.rest)
	if b.rest = b.rest[n:]; n > 0 {
		return n, nil
	}
	return 0, b.err
}

// over is called when the body cannot be read on.
func (b *bodyReader) over() {
	b.rest = nil
	if b.err != io.EOF {
		return
	}
	r := b.w.request
	for _, f := range b.w.x.down.trailer() {
		if r.Trailer == nil {
			r.Trailer = http.Header{}
		}
		r.Trailer.Add(string(f.Name), string(f.Value))
	}
	b.w.context.bodyOver()
}

// Close leaves the rest of the body unread.
func (b *bodyReader) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rest = nil; b.err == nil {
		b.err = http.ErrBodyReadAfterClose
	}
	return nil
}

// still keeps the body from being read while the answer begins, until the
// returned function is called. Where it is being read, nobody knows how much of
// it will be, and the connection ends with the answer.
func (b *bodyReader) still() (unlock func()) {
	if b.mu.TryLock() {
		return b.mu.Unlock
	}
	b.w.x.down.closeAfter()
	return func() {}
}

// end ends the body with the exchange, whoever still reads it.
func (b *bodyReader) end() {
	if !b.mu.TryLock() {
		b.w.x.down.stopBody()
		b.mu.Lock()
	}
	defer b.mu.Unlock()
	b.rest, b.err = nil, errHandlerOver
}
