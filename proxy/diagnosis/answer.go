package diagnosis

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Field is the field of an answer in which a wsfront on the way says what it
// makes of a failed handshake: the cause, then "; " and its sentence.
const Field = "Wsfront-Diagnosis"

// Answer is what came back for a WebSocket handshake, in whatever detail the
// caller has.
type Answer struct {
	Status int
	Proto  string                   // such as HTTP/1.1
	Header func(name string) string // the first field of that name, or ""
	Body   []byte                   // its beginning; 8 KiB are looked at
	Sent   Sent
}

// Sent is the handshake that was answered. Zero fields are not known, and
// nothing is concluded from them.
type Sent struct {
	// Scheme, Host and Path are those of the URL that the client opened: ws or
	// wss, the Host field, and the path with its query.
	Scheme, Host, Path string
	// Origin, Key and Subprotocols are the fields Origin, Sec-WebSocket-Key and
	// Sec-WebSocket-Protocol.
	Origin, Key, Subprotocols string
	// ToBackend says that a front asked a backend, and not a client a front.
	ToBackend bool
}

// OfAnswer names the most likely cause of an answer, and the facts in it that
// a person needs to judge that, in one line. For a 101 that is as it should be,
// as far as Sent lets it be known, the cause is "".
func OfAnswer(a Answer) (cause Cause, evidence string) {
	if a.Status == http.StatusSwitchingProtocols {
		return a.ofSwitch()
	}
	return a.cause(), a.Evidence()
}

// beginning is what is looked at of the body, in lower case.
func (a *Answer) beginning() string {
	return strings.ToLower(string(a.Body[:min(len(a.Body), 8<<10)]))
}

func (a *Answer) cause() Cause {
	told, _, _ := strings.Cut(a.Header(Field), ";")
	if c := Cause(told); c.Known() {
		if a.Sent.ToBackend {
			return c.AtBackend() // two fronts in a row: the inner one's client is the outer one
		}
		return c
	}
	body := a.beginning()
	if a.Status >= 400 {
		if c, ok := ofBody(body); ok {
			if c == TLSRequired && (a.Sent.Scheme == "wss" || a.Sent.ToBackend) {
				return BackendScheme // the client spoke TLS: who did not is the front
			}
			return c
		}
	}
	switch {
	case a.Status < 300:
		return a.page(body)
	case a.Status < 400:
		return a.redirect()
	case a.Status < 500:
		return a.refusal(body)
	}
	return a.failure(body)
}

func (a *Answer) page(body string) Cause {
	if a.isApp(body) {
		return AppAnswered
	}
	return PageAnswered
}

// redirect tells a loop, and an application that believes it is asked by http,
// from an ordinary redirect.
func (a *Answer) redirect() Cause {
	if a.Sent.Host == "" {
		return Redirect
	}
	to, err := url.Parse(a.Header("Location"))
	if err != nil || !to.IsAbs() || !strings.EqualFold(to.Host, a.Sent.Host) {
		return Redirect
	}
	same := a.Sent.Scheme == "wss" && to.RequestURI() == a.Sent.Path
	switch {
	case same && (to.Scheme == "https" || to.Scheme == "wss"):
		return RedirectLoop
	case same && to.Scheme == "http":
		return ForwardedProto
	}
	return Redirect
}

// refusal is the cause of a 4xx without any telling words.
func (a *Answer) refusal(body string) Cause {
	switch a.Status {
	case http.StatusBadRequest:
		switch {
		case a.Header("Sec-WebSocket-Version") != "": // gorilla and others: they looked for a handshake
			return UpgradeDropped
		case strings.Contains(body, djangoBadRequest):
			return HostRefused // what Django says of a bad Host, where DEBUG is off
		case a.isApp(body), len(a.Body) == 0 && (a.Sent.ToBackend || strings.HasPrefix(a.Header("Content-Type"), "text/html")):
			// dwebsocket's view, for one. A front that sent the fields itself knows
			// that they have arrived.
			return AppAnswered
		}
		return UpgradeDropped
	case http.StatusUnauthorized, http.StatusProxyAuthRequired:
		return LoginRequired
	case http.StatusForbidden:
		switch {
		case a.Header("Sec-WebSocket-Version") != "": // gorilla, on Origin
			return OriginRefused
		case isApachePage(body):
			return RewriteWithoutProxy
		case a.Header("WWW-Authenticate") != "" || a.Sent.Origin == "":
			return LoginRequired
		}
		return OriginRefused
	case http.StatusNotFound, http.StatusGone:
		if a.isApp(body) {
			return AppAnswered
		}
		return PathUnknown
	case http.StatusMethodNotAllowed:
		return a.page(body) // a GET is all that a handshake can be
	case http.StatusMisdirectedRequest:
		return HostRefused
	case http.StatusUpgradeRequired:
		return UpgradeDropped
	case http.StatusTooManyRequests:
		return TooMany
	case http.StatusRequestTimeout:
		return BackendSilent
	}
	return Refused
}

// failure is the cause of a 5xx without any telling words.
func (a *Answer) failure(body string) Cause {
	switch a.Status {
	case http.StatusInternalServerError:
		if isApachePage(body) && !a.isApp(body) {
			return ModuleMissing
		}
		return AppFailed
	case http.StatusBadGateway:
		return BackendDown
	case http.StatusServiceUnavailable:
		switch {
		case a.Header("Retry-After") != "" && !isApachePage(body), strings.Contains(body, nginxPage):
			return TooMany // nginx says 502 of a backend that is down, and 503 by limit_req and limit_conn
		}
		return BackendDown
	case http.StatusGatewayTimeout:
		return BackendSilent
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return UpgradeDropped
	}
	return AppFailed
}

// excerpt is the most of a body that evidence shows.
const excerpt = 120

// Evidence is the answer in one line of printable ASCII: its status, the fields
// that tell who wrote it, and the first words of its body.
func (a *Answer) Evidence() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s", a.Status, http.StatusText(a.Status))
	for _, name := range []string{"Server", "Location", "WWW-Authenticate", "Via"} {
		if v := a.Header(name); v != "" {
			fmt.Fprintf(&b, "; %s: %s", name, printable(v, excerpt))
		}
	}
	if text := firstWords(a.Body); text != "" {
		fmt.Fprintf(&b, "; body begins %q", text)
	}
	return b.String()
}

// firstWords are the first visible words of a body: markup is left out, since
// the title of an error page says more than its doctype.
func firstWords(body []byte) string {
	body = body[:min(len(body), 4<<10)]
	var b strings.Builder
	markup := false
	for _, c := range string(body) {
		switch {
		case c == '<':
			markup = true
		case c == '>' && markup:
			markup = false
			b.WriteByte(' ')
		case !markup:
			b.WriteRune(c)
		}
	}
	return printable(strings.Join(strings.Fields(b.String()), " "), excerpt)
}

// printable cuts s, and replaces what a terminal or a field could take for more
// than text.
func printable(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}
