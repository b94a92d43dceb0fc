package proxy

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"strings"

	"wsfront/proxy/diagnosis"
	"wsfront/proxy/http1"
)

//go:embed errorpage.html
var errorPageSource string

// errorPage and errorPagePolicy are made once and only read from then on.
var (
	errorPage       = template.Must(template.New("errorpage.html").Parse(errorPageSource))
	errorPagePolicy = stylePolicy(errorPageSource)
)

// failure is what an error page tells. Its JSON form is read by programs: the
// names stay.
type failure struct {
	Status    int    `json:"status"`
	Error     string `json:"error"`
	Message   string `json:"message"`
	RequestID string `json:"request_id"`
}

// fail answers with an error of our own and notes why. reason goes to the log
// alone, and where it is "" nothing is logged beyond the access log; hint is
// for the person who asked, and names nothing internal. Who sent a handshake is
// told its cause besides: see failFor. When an answer has
// begun already, all that can be done is to cut it, so that it does not look
// whole. Fields that were added before stay in the answer.
func (x *exchange) fail(status int, reason, hint string) {
	x.reason = reason
	if x.status != 0 {
		x.abort()
		return
	}
	x.ownError = true
	form, body := x.failurePage(failure{status, statusText(status), hint, string(x.requestID())})
	if x.upgrade && x.cause != "" {
		x.addField(diagnosis.Field, diagnosed(x.cause))
	}
	x.addField("Content-Type", form+"; charset=utf-8")
	x.addField("Cache-Control", "no-store")
	x.addField("X-Content-Type-Options", "nosniff")
	x.addField("X-Request-ID", string(x.requestID()))
	if form == "text/html" {
		x.addField("Content-Security-Policy", errorPagePolicy)
	}
	x.answer(status, body)
}

// failFor is fail where the request may be a handshake, which fails for this
// cause.
func (x *exchange) failFor(cause diagnosis.Cause, status int, reason, hint string) {
	x.cause = cause
	x.fail(status, reason, hint)
}

// failurePage renders the form that the client prefers. Who sent a handshake
// is a program, whatever its Accept says; people read it in a debugger.
func (x *exchange) failurePage(f failure) (form string, body []byte) {
	form = preferredPage(x.values(http1.Accept))
	if x.upgrade {
		form = "text/plain"
	}
	var b bytes.Buffer
	switch form {
	case "text/html":
		if err := errorPage.Execute(&b, f); err != nil {
			panic(err) // the template does not fit failure: a test would have met it
		}
	case "application/json":
		if err := json.NewEncoder(&b).Encode(f); err != nil {
			panic(err) // strings and a number always encode
		}
	default:
		fmt.Fprintf(&b, "%d %s\n%s\n", f.Status, f.Error, f.Message)
		if x.upgrade && x.cause != "" {
			fmt.Fprintf(&b, "cause %s: %s\n", x.cause, x.cause.Sentence())
		}
		fmt.Fprintf(&b, "request %s\n", f.RequestID)
	}
	return form, b.Bytes()
}

// statusText is http.StatusText, and a word for statuses that it does not know.
func statusText(status int) string {
	if text := http.StatusText(status); text != "" {
		return text
	}
	return "Error"
}

// stylePolicy allows a page its one <style> element and nothing else.
func stylePolicy(page string) string {
	_, rest, _ := strings.Cut(page, "<style>")
	style, _, _ := strings.Cut(rest, "</style>")
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'"
}
