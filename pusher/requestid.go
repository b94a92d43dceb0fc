package pusher

import "net/http"

// maxRequestID is the length of the longest X-Request-ID that is logged.
const maxRequestID = 64

// requestID is the X-Request-ID of r, by which the front has logged the request and
// the application may have; "" if there is none, or none that is fit for a line of
// a log: it may be a client's own where no front has replaced it.
func requestID(r *http.Request) string {
	ids := r.Header["X-Request-Id"]
	if len(ids) != 1 || len(ids[0]) > maxRequestID {
		return ""
	}
	for _, b := range []byte(ids[0]) {
		if b <= ' ' || b > '~' {
			return ""
		}
	}
	return ids[0]
}
