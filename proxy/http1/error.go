package http1

import "net/http"

// Error is why a message is refused. The connection that it came from must be
// closed: where its next message begins is not known.
type Error struct {
	// Status is the one to answer a request with: 400, 414, 417, 431, 501 or
	// 505. For a head that Response.Parse refuses it is always 502.
	Status int
	// Reason says in words what is wrong, and repeats nothing of the message, so
	// that it may be logged as it is.
	Reason string
}

// Error returns the reason.
func (e *Error) Error() string { return e.Reason }

func bad(reason string) *Error { return &Error{Status: http.StatusBadRequest, Reason: reason} }
