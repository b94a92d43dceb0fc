package http1

import (
	"errors"
	"io"
	"net/http"
)

// Body reads the body of one message from a Reader. What lies behind it stays
// there for the next message. It is to be Reset before use.
type Body struct {
	// Trailer holds the trailer fields of a chunked body that has ended. They
	// are valid until the next Reset.
	Trailer []Field

	reader  *Reader
	framing Framing
	left    int64
	done    bool
	chunks  Chunks
}

// Reset begins a body that is next in r. length counts for Length alone, lim
// for ChunkedBody alone.
func (b *Body) Reset(r *Reader, f Framing, length int64, lim Limits) {
	b.reader, b.framing, b.left, b.Trailer = r, f, -1, nil
	switch f {
	case NoBody:
		b.left = 0
	case Length:
		b.left = max(0, length)
	case ChunkedBody:
		b.chunks.Reset(lim)
	}
	b.done = b.left == 0
}

// Next returns the next piece of the body, which is never empty and is valid
// until the next call of any method of the Reader but Buffered and Discard. It
// waits for bytes only if none are buffered that belong to the body. The error
// is io.EOF at the body's end, io.ErrUnexpectedEOF if the connection ends
// before, an *Error if the body is malformed, or the connection's own.
func (b *Body) Next() ([]byte, error) {
	for !b.done {
		piece, err := b.buffered()
		if len(piece) > 0 || err != nil {
			return piece, err
		}
		if b.done {
			break
		}
		if err := b.fill(); err != nil {
			return nil, err
		}
	}
	return nil, io.EOF
}

// Done reports whether Next has nothing more to return than io.EOF. It is known
// together with the last piece, if the end of the body had come with it.
func (b *Body) Done() bool { return b.done }

// Left is how many bytes of payload are to come, or -1 if nobody knows.
func (b *Body) Left() int64 {
	if b.done {
		return 0
	}
	return b.left
}

// buffered takes the next piece out of what the Reader holds.
func (b *Body) buffered() (piece []byte, err error) {
	n := 0
	buf := b.reader.Buffered()
	switch b.framing {
	case Length:
		n = int(min(b.left, int64(len(buf))))
		piece = buf[:n]
		b.left -= int64(n)
		b.done = b.left == 0
	case UntilClose:
		n, piece = len(buf), buf
	case ChunkedBody:
		piece, n, b.done, err = b.chunks.Next(buf)
		if b.done {
			b.Trailer = b.chunks.Trailer
		}
	}
	b.reader.Discard(n)
	return piece, err
}

// fill waits for bytes.
func (b *Body) fill() error {
	err := b.reader.fill(b.left > smallBuffer || b.chunks.left > smallBuffer)
	switch {
	case err == io.EOF && b.framing == UntilClose:
		b.done = true
		return nil
	case err == io.EOF:
		return io.ErrUnexpectedEOF
	case errors.Is(err, ErrFull):
		// Limits.Head is larger than the buffer: only a trailer waits for more.
		return &Error{http.StatusRequestHeaderFieldsTooLarge, "the trailer section is too long"}
	}
	return err
}
