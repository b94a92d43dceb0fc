package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"wsfront/proxy/http1"
)

const (
	// smallBody is the longest body that goes to the backend in one piece with
	// the head: a longer one is not worth the copy.
	smallBody = 16 << 10
	// maxKeptBody is how much memory for a body is kept for the next one.
	maxKeptBody = 128 << 10
)

var (
	errBodyTooLong = errors.New("the request body is too long")
	errBodyStorage = errors.New("store the request body")
)

// slowBody is the error of a body whose client has reached a limit of time.
type slowBody struct{ limit string }

func (e *slowBody) Error() string {
	return "the client sent its body too slowly; see limits." + e.limit
}

// Unwrap lets handlers know it by what they know.
func (e *slowBody) Unwrap() error { return os.ErrDeadlineExceeded }

// requestBody is the body of a client's request on its way to a backend.
type requestBody struct {
	x *exchange
	// length is sent to the backend: lengthNone for no body and no
	// Content-Length, lengthUnknown for chunks.
	length int64
	// whole is the body, or its beginning if file is set.
	whole []byte
	file  *os.File // without a name
	// streams: it is read from the client while the backend gets it.
	streams bool
	// asked: it streams, and the client waits to be asked for it, which is for
	// the backend to do (RFC 9110 §10.1.1).
	asked bool
}

// takeBody decides how the body goes on, as x.payload, and reads it where it is
// taken whole.
// A false return means that the request has been answered, as its body cannot
// be had.
//
// A body that comes without a length and is taken whole loses its trailer
// fields: they are sent behind the last chunk (RFC 9112 §7.1.2), and there are
// no chunks any more.
func (x *exchange) takeBody() (ok bool) {
	x.payload = requestBody{x: x, length: x.req.ContentLength}
	b := &x.payload
	var err error
	streaming := x.route.RequestBuffering != nil && !*x.route.RequestBuffering
	switch {
	case x.req.Chunked:
		if streaming {
			b.length, b.streams, b.asked = lengthUnknown, true, x.req.ExpectContinue
			return true
		}
		if x.req.ExpectContinue {
			x.down.proceed()
		}
		err = b.hold()
	case b.length > x.route.MaxBody:
		err = errBodyTooLong
	case b.length < 0:
		b.length = lengthNone
	case b.length == 0:
	case b.length > x.server.limits.Load().UploadBuffer || streaming:
		b.streams, b.asked = true, x.req.ExpectContinue
	default:
		if x.req.ExpectContinue { // as a proxy may (RFC 9110 §10.1.1)
			x.down.proceed()
		}
		err = b.takeSmall()
	}
	if err != nil {
		b.release()
		x.bodyFailed(err)
		return false
	}
	return true
}

func (b *requestBody) takeSmall() error {
	b.x.small = b.x.small[:0]
	for int64(len(b.x.small)) < b.length {
		piece, err := b.x.down.readBody()
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		b.x.small = append(b.x.small, piece...)
	}
	b.whole = b.x.small
	return nil
}

// hold takes a body without a length: what upload_buffer has room for to memory,
// and the rest of a longer one to a file. Forms fit, uploads do not.
func (b *requestBody) hold() error {
	var memory bytes.Buffer
	room := int(b.x.server.limits.Load().UploadBuffer)
	b.length = 0
	for {
		piece, err := b.x.down.readBody()
		b.length += int64(len(piece))
		switch {
		case err == io.EOF:
			b.whole = memory.Bytes()
			return nil
		case err != nil:
			return err
		case b.length > b.x.route.MaxBody:
			return errBodyTooLong
		case b.file == nil && memory.Len()+len(piece) <= room:
			memory.Write(piece)
			continue
		}
		if err := b.store(piece); err != nil {
			return fmt.Errorf("%w: %w", errBodyStorage, err)
		}
	}
}

// store puts a piece behind what the file holds.
func (b *requestBody) store(piece []byte) (err error) {
	if b.file == nil {
		if b.file, err = os.CreateTemp("", "wsfront-body-"); err != nil {
			return err
		}
		// Without a name it is gone with us, however we end.
		if err = os.Remove(b.file.Name()); err != nil {
			return err
		}
	}
	_, err = b.file.Write(piece)
	return err
}

func (b *requestBody) release() {
	if b.file != nil {
		b.file.Close()
	}
}

// inHead reports whether the body goes out together with the head.
func (b *requestBody) inHead() bool { return !b.streams && b.file == nil && len(b.whole) <= smallBody }

// replayable reports whether the request may be sent a second time, when a kept
// connection turns out to be closed: only those that ask for nothing to be done
// (RFC 9110 §9.2.1). To be idempotent is not enough: a DELETE that is answered
// by 404 the second time looks like a failure.
func (b *requestBody) replayable() bool {
	switch string(b.x.req.Method) {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return !b.streams
	}
	return false
}

// upload is a body on its way to a backend, in a goroutine of its own: the
// answer may begin before the body has ended.
type upload struct {
	body *requestBody
	to   *backendConn
	done chan struct{}
	// taken says that nothing more is to be read from the client.
	taken   atomic.Bool
	stopped atomic.Bool // by stop
	// client is what went wrong on the client's side, for which the backend is
	// not to be blamed; ended says that the body was sent whole. Both once done.
	client error
	ended  bool
	stuck  bool // the backend did not take it in time; once done
}

// startUpload begins to send. It ends with the body, by stop, or when the
// backend's connection is closed; stop waits for it.
func (b *requestBody) startUpload(to *backendConn) *upload {
	if b.streams {
		b.x.down.duplex()
	}
	u := &upload{body: b, to: to, done: make(chan struct{})}
	u.taken.Store(!b.streams)
	go u.run()
	return u
}

// stop ends an upload. The rest of the body is left where it is.
func (u *upload) stop() {
	select {
	case <-u.done:
		return
	default:
	}
	u.stopped.Store(true)
	if !u.taken.Load() {
		u.body.x.down.stopBody()
	}
	_ = u.to.SetWriteDeadline(aLongTimeAgo)
	<-u.done
	if u.ended { // all the same: the connection may be kept
		u.to.writeUntil = time.Time{}
	}
}

// Write gives the backend a piece.
func (u *upload) Write(p []byte) (int, error) {
	u.to.allowWrite(u.body.x.route.ResponseTimeout)
	if u.stopped.Load() { // its deadline may have been lifted just now
		return 0, errBodyStopped
	}
	n, err := u.to.Conn.Write(p)
	u.stuck = isTimeout(err) && !u.stopped.Load()
	return n, err
}

func (u *upload) running() bool {
	select {
	case <-u.done:
		return false
	default:
		return true
	}
}

func (u *upload) run() {
	defer close(u.done)
	defer u.body.x.contain(func() {
		u.client = errFault
		u.to.clientGone()
	})
	if u.body.streams {
		if err := u.stream(); err != nil && !u.stopped.Load() {
			u.client = err
			u.to.clientGone() // whoever waits for the answer need not any more
		}
		return
	}
	if _, err := u.Write(u.body.whole); err != nil {
		return // the answer may have come all the same, and says more
	}
	if u.body.file != nil {
		held := io.NewSectionReader(u.body.file, 0, u.body.length-int64(len(u.body.whole)))
		if _, err := io.Copy(u, held); err != nil {
			return
		}
	}
	u.ended = true
}

// stream passes the body on as it comes. The error is of the client's side.
func (u *upload) stream() error {
	x := u.body.x
	chunked := u.body.length == lengthUnknown
	var taken int64
	var frame []byte
	for {
		piece, err := x.down.readBody()
		if err == io.EOF {
			u.taken.Store(true)
			break
		}
		if err != nil {
			return err
		}
		if taken += int64(len(piece)); taken > x.route.MaxBody {
			return errBodyTooLong
		}
		// Known before the backend can know it, and so before its answer.
		u.taken.Store(taken == u.body.length)
		if chunked {
			frame = http1.AppendChunkSize(frame[:0], len(piece))
			frame = append(frame, piece...)
			piece = append(frame, "\r\n"...)
			frame = piece
		}
		if _, err := u.Write(piece); err != nil {
			return nil
		}
	}
	if chunked {
		frame = append(frame[:0], "0\r\n"...)
		for _, f := range x.down.trailer() {
			if x.mayPass(&f) {
				frame = appendFieldLine(frame, f.Name, f.Value)
			}
		}
		if _, err := u.Write(append(frame, "\r\n"...)); err != nil {
			return nil
		}
	}
	u.ended = true
	return nil
}

// bodyFailed answers a request whose body could not be had from the client.
func (x *exchange) bodyFailed(err error) {
	x.down.closeAfter() // the rest of the body is not read
	var malformed *http1.Error
	var slow *slowBody
	switch {
	case errors.As(err, &slow):
		x.fail(http.StatusRequestTimeout, slow.Error(), "The upload took too long to arrive.")
	case errors.Is(err, errBodyTooLong):
		x.server.hits.add(limitMaxBody, x.client)
		x.fail(http.StatusRequestEntityTooLarge,
			fmt.Sprintf("the request body is longer than %d bytes; raise max_body on the route if the application takes more", x.route.MaxBody),
			"The upload is larger than this server accepts.")
	case errors.Is(err, errBodyStorage):
		x.fail(http.StatusServiceUnavailable, err.Error()+"; free space there, name another folder by TMPDIR, or set request_buffering: off",
			"The upload could not be stored. Try again later.")
	case errors.Is(err, errFault):
		x.fail(http.StatusInternalServerError, err.Error(), "The request could not be passed on. Try again.")
	case errors.As(err, &malformed):
		x.fail(malformed.Status, "read the request body: "+malformed.Reason, "The request's body is malformed.")
	case isGone(err):
		x.abort()
	default:
		x.fail(http.StatusBadRequest, "read the request body: "+err.Error(), "The request's body is malformed.")
	}
}

// isGone reports whether reading from a client failed because it went away,
// rather than because of what it said.
func isGone(err error) bool {
	var network interface{ Timeout() bool } // net.Error and os.PathError alike
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, context.Canceled) || errors.As(err, &network)
}
