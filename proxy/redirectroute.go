package proxy

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// redirector answers the requests of a redirect route.
type redirector struct {
	route  *route
	status int
	to     location
}

// location is where a redirect leads, in the parts that the field is made of.
type location struct {
	origin   string // scheme://host[:port]; "" is the origin asked for
	path     string // takes the place of the route's; "" keeps the request's
	query    string // takes the place of the request's, where hasQuery says so
	hasQuery bool
	fragment string // with its #
}

func newRedirector(rt *route) (*redirector, error) {
	d := &redirector{route: rt, status: rt.Redirect.Status}
	if d.status == 0 {
		d.status = http.StatusFound
	}
	if rt.Redirect.To == "" {
		return d, nil
	}
	var err error
	d.to, rt.template, err = rt.parseRedirect()
	return d, err
}

// serve answers without a body: browsers show none.
func (d *redirector) serve(x *exchange) {
	if d.route.Redirect.To == "" {
		x.fail(d.status, "", refusalHint(d.status))
		return
	}
	x.addField("Location", string(d.appendLocation(nil, x)))
	x.answer(d.status, nil)
}

// appendLocation appends the field's value. A clean path never begins with two
// slashes, so that the request's path cannot become another host.
func (d *redirector) appendLocation(b []byte, x *exchange) []byte {
	b = append(b, d.to.origin...)
	if x.target != nil {
		b = append(b, x.target...)
	} else {
		b = d.route.appendMapped(b, x.path, d.to.path)
	}
	switch {
	case d.to.query != "":
		b = append(append(b, '?'), d.to.query...)
	case !d.to.hasQuery:
		b = x.appendQuery(b)
	}
	return append(b, d.to.fragment...)
}

// refusalHint is what the visitor is told by a redirect route without a target.
func refusalHint(status int) string {
	switch status {
	case http.StatusForbidden:
		return "Nobody may visit this address."
	case http.StatusGone:
		return "What was at this address is gone for good."
	}
	return "There is nothing at this address."
}

// parseRedirect understands the route's target. Of a route with Match it has no
// path: the template stands for it.
func (r *Route) parseRedirect() (to location, t pathTemplate, err error) {
	if err := groupInHost(r.Redirect.To); err != nil {
		return to, nil, err
	}
	if to, err = parseLocation(bareGroups(r.Redirect.To)); err != nil {
		return to, nil, err
	}
	if t, err = r.template(to.path); t != nil {
		to.path = ""
	}
	if _, last := parseTemplate(to.query + to.fragment); err == nil && r.Match != "" && last != noGroup {
		err = fmt.Errorf("$%d stands behind the path, where groups of match have no place; write it into the path", last)
	}
	return to, t, err
}

// parseLocation understands a Redirect.To.
func parseLocation(written string) (to location, err error) {
	if strings.HasPrefix(written, "//") {
		return to, fmt.Errorf("%q has no scheme; write https:%s", written, written)
	}
	u, err := url.Parse(written)
	switch {
	case err != nil || u.Opaque != "" || strings.ContainsFunc(written, func(c rune) bool { return c <= ' ' || c >= 0x7f || strings.ContainsRune("\"<>\\^`", c) }):
		return to, fmt.Errorf("%q is no address to send browsers to; write one such as https://www.example.org, with spaces and the like percent-encoded", written)
	case u.Scheme == "" && !strings.HasPrefix(written, "/"):
		return to, fmt.Errorf("%q has no scheme; write https://%s, or a path that begins with /", written, written)
	case u.Scheme == "" && u.Host == "":
	case u.Scheme != "http" && u.Scheme != "https":
		return to, fmt.Errorf("%q does not fit here; write https://%s, or a path that begins with /", u.Scheme+"://", u.Host)
	case u.User != nil:
		return to, errors.New("a user name has no place in a redirect; remove it")
	case u.Port() != "" && !validPort(u.Port()):
		return to, fmt.Errorf("%q is no port; write a number from 1 to 65535", u.Port())
	default:
		if err := checkHost(hostname(u.Host)); err != nil || strings.Contains(u.Host, "*") {
			return to, fmt.Errorf("%q names no host to send browsers to; write one such as https://www.example.org", written)
		}
		to.origin = u.Scheme + "://" + u.Host
	}
	if u.Path != "" {
		if to.path, err = cleanPath(u.EscapedPath()); err != nil {
			return to, fmt.Errorf("%q: %w", written, err)
		}
	}
	to.query, to.hasQuery = u.RawQuery, u.RawQuery != "" || u.ForceQuery
	if u.Fragment != "" {
		to.fragment = "#" + u.EscapedFragment()
	}
	return to, nil
}
