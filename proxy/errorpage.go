package proxy

import (
	"fmt"
	"net/http"
)

// fail answers with an error of our own and notes why. reason goes to the log
// alone; hint is for the person who asked, and names nothing internal.
func (x *exchange) fail(r *http.Request, status int, reason, hint string) {
	x.reason = reason
	h := x.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	x.WriteHeader(status)
	fmt.Fprintf(x, "%d %s\n%s\nrequest %s\n", status, http.StatusText(status), hint, x.id)
}
