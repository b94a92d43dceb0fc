package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
)

// heldInMemory is how much of a body that comes without a length is kept in
// memory; the rest of a longer one goes to a file. Forms fit, uploads do not.
const heldInMemory = 1 << 20

var (
	errBodyTooLong = errors.New("the request body is too long")
	errBodySpent   = errors.New("the backend closed a kept connection while it was sent a request body, which cannot be sent twice")
	errBodyStorage = errors.New("store the request body")
)

// requestBody is the body of a client's request on its way to a backend. It
// remembers what went wrong on the client's side, which the backend is not to
// be blamed for. http.Transport may go on reading it in a goroutine of its own
// after the answer has begun; net/http ends that when the handler returns.
type requestBody struct {
	request *http.Request
	limit   int64

	mu    sync.Mutex
	taken int64
	err   error // not io.EOF
	begun bool

	// trailer gets the fields behind the last chunk that its keys announced.
	trailer http.Header
}

func (b *requestBody) Read(p []byte) (int, error) {
	n, err := b.request.Body.Read(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.begun = true
	b.taken += int64(n)
	if b.taken > b.limit {
		err = errBodyTooLong
	}
	switch {
	case err == io.EOF:
		for name := range b.trailer {
			b.trailer[name] = b.request.Trailer[name]
		}
	case err != nil && b.err == nil:
		b.err = err
	}
	return n, err
}

// Close does nothing: the body is net/http's, and after a kept connection
// turned out to be closed it may still be sent on another one.
func (b *requestBody) Close() error { return nil }

// again is for http.Transport, which asks before it uses another connection.
func (b *requestBody) again() (io.ReadCloser, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.begun {
		return nil, errBodySpent
	}
	return b, nil
}

func (b *requestBody) failure() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// hold takes the body whole.
func (b *requestBody) hold() (_ *heldBody, err error) {
	held := &heldBody{}
	var memory bytes.Buffer
	if _, err = io.Copy(&memory, io.LimitReader(b, heldInMemory)); err != nil {
		return nil, err
	}
	held.memory, held.size = memory.Bytes(), int64(memory.Len())
	if held.size < heldInMemory {
		return held, nil
	}
	if held.file, err = os.CreateTemp("", "wsfront-body-"); err != nil {
		return nil, fmt.Errorf("%w: %w", errBodyStorage, err)
	}
	defer func() {
		if err != nil {
			held.close()
		}
	}()
	// Without a name it is gone with us, however we end.
	if err = os.Remove(held.file.Name()); err != nil {
		return nil, fmt.Errorf("%w: %w", errBodyStorage, err)
	}
	more, err := io.Copy(held.file, b)
	if err != nil && b.failure() == nil {
		err = fmt.Errorf("%w: %w", errBodyStorage, err)
	}
	held.size += more
	return held, err
}

// heldBody is a body that has been taken whole.
type heldBody struct {
	memory []byte   // its beginning
	file   *os.File // the rest, without a name; nil when there is none
	size   int64
}

// open reads it from the start. Each call is independent of the others.
func (h *heldBody) open() (io.ReadCloser, error) {
	if h.file == nil {
		return io.NopCloser(bytes.NewReader(h.memory)), nil
	}
	rest := io.NewSectionReader(h.file, 0, h.size-int64(len(h.memory)))
	return io.NopCloser(io.MultiReader(bytes.NewReader(h.memory), rest)), nil
}

func (h *heldBody) close() {
	if h.file != nil {
		h.file.Close()
	}
}

// attach gives out the body of the client's request: none, the client's own as
// it comes, or one that was taken whole, which release gives back. A false
// return means that the request has been answered, as its body cannot be had.
//
// A body that is taken whole loses its trailer fields: they are sent behind
// the last chunk (RFC 9112 §7.1.2), and there are no chunks any more.
func (rt *route) attach(x *exchange, r *http.Request, out *http.Request) (body *requestBody, release func(), ok bool) {
	release = func() {}
	body = &requestBody{request: r, limit: rt.MaxBody}
	switch {
	case r.ContentLength > rt.MaxBody:
		x.bodyFailed(r, errBodyTooLong)
		return body, release, false
	case r.ContentLength == 0:
		delete(out.Header, "Expect")
		if len(r.Header["Content-Length"]) > 0 {
			sendLengthZero(out)
		}
		return body, release, true
	case r.ContentLength < 0 && (rt.RequestBuffering == nil || *rt.RequestBuffering):
		held, err := body.hold()
		if err != nil {
			x.bodyFailed(r, err)
			return body, release, false
		}
		delete(out.Header, "Expect") // it has been answered, and the body is here
		if held.size == 0 {
			sendLengthZero(out)
			return body, release, true
		}
		out.ContentLength, out.GetBody = held.size, held.open
		out.Body, _ = held.open() // never fails: nothing is opened anew
		return body, held.close, true
	}
	if r.ContentLength < 0 && len(r.Trailer) > 0 {
		body.trailer = http.Header{}
		for name := range r.Trailer {
			if x.mayPass(name) {
				body.trailer[name] = nil
			}
		}
		out.Trailer = body.trailer
	}
	out.Body, out.ContentLength, out.GetBody = body, r.ContentLength, body.again
	// A backend that refuses without asking for the body must not get it, nor
	// the client be asked for it. http.Transport sends it all the same where
	// the connection is to be kept.
	out.Close = len(out.Header["Expect"]) > 0
	// An answer may begin while the body is still coming; without this,
	// net/http would wait for the body before it writes the answer's header.
	_ = http.NewResponseController(x).EnableFullDuplex() // HTTP/2 needs none
	return body, release, true
}

// sendLengthZero has http.Transport write the length of no body, which it
// leaves out for most methods. WSGI servers take a POST without it as an error.
func sendLengthZero(out *http.Request) {
	out.Body, out.TransferEncoding = http.NoBody, []string{"identity"}
}

// bodyFailed answers a request whose body could not be had from the client.
func (x *exchange) bodyFailed(r *http.Request, err error) {
	if r.ProtoMajor == 1 {
		x.Header().Set("Connection", "close") // the rest of the body is not read
	}
	switch {
	case errors.Is(err, errBodyTooLong):
		x.fail(r, http.StatusRequestEntityTooLarge,
			fmt.Sprintf("the request body is longer than %d bytes; raise max_body on the route if the application takes more", x.route.MaxBody),
			"The upload is larger than this server accepts.")
	case errors.Is(err, errBodyStorage):
		x.fail(r, http.StatusServiceUnavailable, err.Error()+"; free space there, name another folder by TMPDIR, or set request_buffering: off",
			"The upload could not be stored. Try again later.")
	case r.Context().Err() != nil, r.ProtoMajor > 1, isGone(err):
		x.gone()
	default:
		x.fail(r, http.StatusBadRequest, "read the request body: "+err.Error(), "The request's body is malformed.")
	}
}

// gone ends an exchange whose client went away: no failure, and nothing to
// write to. The panic cuts the connection, in case the client has only ended
// its own half.
func (x *exchange) gone() { panic(http.ErrAbortHandler) }

// isGone reports whether reading from a client failed because it went away,
// rather than because of what it said.
func isGone(err error) bool {
	var network interface{ Timeout() bool } // net.Error and os.PathError alike
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, context.Canceled) || errors.As(err, &network)
}
