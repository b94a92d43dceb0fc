package pusher

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// origins is which pages may connect. The zero value admits pages of the
// request's own host.
type origins struct {
	any    bool
	listed []string // canonical
}

func newOrigins(list []string) origins {
	var o origins
	for _, entry := range list {
		if entry == "*" {
			o.any = true
			continue
		}
		if u, err := url.Parse(entry); err == nil {
			o.listed = append(o.listed, canonicalOrigin(u))
		}
	}
	return o
}

// admit says whether the page that sent r may connect. No Origin means that no
// page sent it: the check protects people's browsers, and whoever writes the
// request by hand can write any Origin as well (RFC 6455 §10.2).
func (o origins) admit(r *http.Request) bool {
	for _, origin := range r.Header["Origin"] {
		if !o.admitOrigin(origin, r.Host) {
			return false
		}
	}
	return true
}

func (o origins) admitOrigin(origin, host string) bool {
	if o.any {
		return true
	}
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" {
		return false // "null" among them: a sandboxed frame or a file
	}
	if len(o.listed) > 0 {
		return slices.Contains(o.listed, canonicalOrigin(u))
	}
	// The scheme is not compared: behind a proxy it is not known here. The port
	// is, as browsers leave out the default one on both sides.
	return strings.EqualFold(u.Host, host)
}

// foreign says whether an event stream's answer must name r's Origin, without
// which the browser keeps it from a page of another host (Fetch standard §3.3).
func (o origins) foreign(r *http.Request) bool {
	return r.Header.Get("Origin") != "" && (o.any || len(o.listed) > 0)
}

// canonicalOrigin is u's origin as browsers write it: lower case, and without
// the scheme's own port.
func canonicalOrigin(u *url.URL) string {
	scheme, host := strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	switch scheme {
	case "http":
		host = strings.TrimSuffix(host, ":80")
	case "https":
		host = strings.TrimSuffix(host, ":443")
	}
	return scheme + "://" + host
}

// originProblem says what is wrong with an entry of Endpoint.Origins and what to
// write instead; empty when it is right.
func originProblem(entry string) string {
	if entry == "*" {
		return ""
	}
	if entry == "" {
		return `is empty; write an origin such as "https://app.example.com", or "*" for every page`
	}
	if strings.Contains(entry, "*") {
		return fmt.Sprintf(`%q: a "*" stands only alone, for every page; list each origin, such as "https://app.example.com"`, entry)
	}
	if !strings.Contains(entry, "://") {
		return fmt.Sprintf("%q has no scheme; write %q", entry, "https://"+strings.TrimSuffix(entry, "/"))
	}
	u, err := url.Parse(entry)
	if err != nil || u.Host == "" {
		return fmt.Sprintf("%q is no origin; write scheme and host, such as \"https://app.example.com\"", entry)
	}
	if page, ok := map[string]string{"ws": "http", "wss": "https"}[strings.ToLower(u.Scheme)]; ok {
		return fmt.Sprintf("%q is the address of a socket; write that of the page: %q", entry, page+"://"+u.Host)
	}
	if bare := u.Scheme + "://" + u.Host; !strings.EqualFold(bare, entry) {
		return fmt.Sprintf("%q is more than an origin, which is scheme and host alone; write %q", entry, bare)
	}
	return ""
}
