package pusher

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// hint says what the operator may do about a refusal of the application: as much
// as can be known from what the browser sent and what the application answered.
// The browser itself shows no more than a number.
func (q question) hint(status int, location string) string {
	switch {
	case status == http.StatusNotFound || status == http.StatusGone:
		return fmt.Sprintf("%d: the app has no %s; write a view for it, or name the right path in auth", status, q.path)
	case status == http.StatusMethodNotAllowed:
		return fmt.Sprintf("405: the view at %s must answer GET", q.path)
	case status == http.StatusBadRequest:
		return fmt.Sprintf("400: perhaps the app does not serve the host %s (Django: ALLOWED_HOSTS); its own log says why", cut(q.client.Host, 200))
	case status == http.StatusTooManyRequests:
		return "429: the app limits how often it is asked; with cache in auth it is asked less"
	case status >= 500:
		return fmt.Sprintf("%d: the view at %s failed; the app's own log says why", status, q.path)
	case status < 400:
		return q.redirectHint(status, location)
	case len(q.client.Header["Cookie"]) == 0 && len(q.client.Header["Authorization"]) == 0:
		return q.noCookieHint()
	}
	return fmt.Sprintf("the app answers %d though cookies or Authorization came: the session has ended, this user may not listen, "+
		"or the session's cookie is not among those named here", status)
}

func (q question) redirectHint(status int, location string) string {
	path, _, _ := strings.Cut(q.path, "?")
	to, err := url.Parse(location)
	here := err == nil && (to.Host == "" || strings.EqualFold(to.Hostname(), (&url.URL{Host: q.client.Host}).Hostname()))
	switch {
	case here && strings.HasSuffix(to.Path, path+"/"):
		return fmt.Sprintf("%d to %s: the app's URL ends with a slash; write auth: %s/", status, location, path)
	case here && to.Scheme == "https" && q.scheme == "http" && strings.HasSuffix(to.Path, path):
		return fmt.Sprintf("%d to %s: the app wants https, and this client came by plain http; the page must use wss:// or https://, "+
			"and a proxy in front that ends TLS must be one of trusted_proxies and say X-Forwarded-Proto", status, location)
	}
	said := fmt.Sprintf("the app answers %d to %s: it does not know this session", status, location)
	if len(q.client.Header["Cookie"]) == 0 {
		return said + "; " + q.noCookieHint()
	}
	return said + ", which has ended, or its cookie is not among those named here"
}

// noCookieHint says why a browser may have sent no cookie. Ports do not matter
// to cookies (RFC 6265 §8.5), hosts and the scheme do.
func (q question) noCookieHint() string {
	origin := q.client.Header.Get("Origin")
	page, err := url.Parse(origin)
	host := (&url.URL{Host: q.client.Host}).Hostname()
	switch {
	case origin == "" && q.client.Header.Get("Sec-Fetch-Site") == "":
		return "no cookie and no Origin came: this is no page in a browser; a program sends its cookie or Authorization by itself"
	case origin == "null" || err != nil:
		return "no cookie came: the page is a file or a sandboxed frame, which has no cookies of any host"
	case origin != "" && !strings.EqualFold(page.Hostname(), host):
		return fmt.Sprintf("no cookie came: the page is at %s, this endpoint at %s: cookies of the one are not sent to the other, "+
			"unless their Domain takes in both (Django: SESSION_COOKIE_DOMAIN); %s", cut(origin, 200), cut(q.client.Host, 200), q.crossHint())
	case page.Scheme == "https" && q.scheme == "http":
		return fmt.Sprintf("no cookie came: the page is at %s, but the connection came by plain http, to which cookies with Secure are not sent; "+
			"use wss:// or https://", cut(origin, 200))
	}
	return fmt.Sprintf("no cookie came, though page and endpoint are both at %s: the visitor has not logged in, or the cookie's Path does not take in %s",
		cut(q.client.Host, 200), cut(q.client.URL.Path, 200))
}

// crossHint is about a page of another host than the endpoint's.
func (q question) crossHint() string {
	if q.client.Header.Get("Sec-Fetch-Site") == "cross-site" {
		return "the browser calls the two cross-site, so the cookie needs SameSite=None and Secure as well, and some browsers send none even so; " +
			"best serve this endpoint at the page's own host"
	}
	if !isSocket(q.client) {
		return "and an EventSource sends cookies to another host only with {withCredentials: true}"
	}
	return "if they are not of one site, the cookie needs SameSite=None and Secure as well; best open the socket at the page's own host"
}
