package proxy

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"time"
)

// What handlers find in a responseWriter beside http.ResponseWriter: the methods
// of http.ResponseController, and io.ReaderFrom.

// ReadFrom is for io.Copy: it spares a buffer, and over plain HTTP has the
// system send a file by itself.
func (w *responseWriter) ReadFrom(src io.Reader) (int64, error) {
	if err := w.opened(); err != nil {
		return 0, err
	}
	sender, ok := w.x.down.(sourceSender)
	if !ok || w.length <= w.written || w.silent {
		return io.Copy(struct{ io.Writer }{w}, src)
	}
	limited, ok := src.(*io.LimitedReader)
	if !ok {
		limited = &io.LimitedReader{R: src, N: w.length - w.written}
	}
	if err := w.room(limited.N); err != nil {
		return io.Copy(struct{ io.Writer }{w}, src) // what there truly is may fit
	}
	if !w.begun {
		w.typed = true // or src would have to be read ahead
		w.begin(w.length, nil)
	}
	n, err := sender.sendFrom(limited)
	w.wrote(n)
	return n, err
}

// sourceSender is a downstream to which a source need not be copied piece by piece.
type sourceSender interface {
	// sendFrom sends what src has of a body whose length was announced. The
	// error is that of src, or that of writing.
	sendFrom(src *io.LimitedReader) (int64, error)
}

// Flush sends what was written so far: many handlers assert http.Flusher.
func (w *responseWriter) Flush() { _ = w.FlushError() } // the next Write meets the error again

// FlushError is what http.ResponseController prefers to Flush.
func (w *responseWriter) FlushError() error {
	if err := w.opened(); err != nil {
		return err
	}
	if !w.begun {
		w.begin(w.length, nil)
	}
	w.x.down.flush()
	return w.x.down.err()
}

// NoteRefusal is for a Handler that refuses a handshake: why, in one line, is
// remembered among Server.Failures. It is to be called before the answer.
func (w *responseWriter) NoteRefusal(reason string) {
	if !w.over.Load() {
		w.x.refusal = reason
	}
}

// Hijack gives the connection out, and with it what the client sent behind its
// request: see http.Hijacker. The log knows the exchange as switched.
func (w *responseWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	switch {
	case w.over.Load():
		return nil, nil, errHandlerOver
	case w.ended:
		return nil, nil, http.ErrHijacked
	case w.begun:
		return nil, nil, errHeadSent
	}
	w.context.stop()
	taken, err := w.x.down.takeOver()
	if err != nil {
		w.context.resume(w.x.down)
		return nil, nil, err
	}
	w.ended = true
	if w.x.status == 0 {
		w.x.status = http.StatusSwitchingProtocols
	}
	early := len(taken.leftover)
	r := bufio.NewReaderSize(io.MultiReader(bytes.NewReader(taken.leftover), taken.Conn), max(early, hijackBuffer))
	if early == 0 {
		r = bufio.NewReaderSize(taken.Conn, hijackBuffer)
	} else if _, err := r.Peek(early); err != nil { // so that it counts as Buffered
		return nil, nil, err
	}
	return taken.Conn, bufio.NewReadWriter(r, bufio.NewWriterSize(taken.Conn, hijackBuffer)), nil
}

// hijackBuffer is the size of either buffer of a connection that was taken over:
// most takers use them for the handshake alone.
const hijackBuffer = 1 << 10

// SetReadDeadline replaces the time that the client has for its request's body,
// for this exchange. It may be called concurrently, as may SetWriteDeadline.
func (w *responseWriter) SetReadDeadline(t time.Time) error {
	return w.context.setDeadline(downstream.setReadDeadline, t)
}

// SetWriteDeadline replaces the time that the client has to take what is written.
func (w *responseWriter) SetWriteDeadline(t time.Time) error {
	return w.context.setDeadline(downstream.setWriteDeadline, t)
}

// EnableFullDuplex allows another goroutine to read the body while the answer is
// written. Here it need not be asked for.
func (w *responseWriter) EnableFullDuplex() error {
	w.x.down.duplex()
	return nil
}
