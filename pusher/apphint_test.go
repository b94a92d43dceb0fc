package pusher

import (
	"net/http"
	"strings"
	"testing"
)

func TestAppHint_SaysWhatWasMissing(t *testing.T) {
	type fields = []string
	for name, c := range map[string]struct {
		status   int
		location string
		socket   bool
		https    bool
		fields   fields
		want     string
	}{
		"no view": {404, "", true, true, nil, "404: the app has no /push/auth; write a view for it"},
		"gone":    {410, "", true, true, nil, "410: the app has no /push/auth"},
		"method":  {405, "", true, true, nil, "405: the view at /push/auth must answer GET"},
		"host":    {400, "", true, true, nil, "400: perhaps the app does not serve the host app.test (Django: ALLOWED_HOSTS)"},
		"rate":    {429, "", true, true, nil, "429: the app limits how often it is asked"},
		"fault":   {500, "", true, true, nil, "500: the view at /push/auth failed; the app's own log says why"},
		"slash":   {301, "/push/auth/", true, true, nil, "301 to /push/auth/: the app's URL ends with a slash; write auth: /push/auth/"},
		"absolute slash": {301, "https://app.test/push/auth/", true, true, nil,
			"301 to https://app.test/push/auth/: the app's URL ends with a slash; write auth: /push/auth/"},
		"wants https": {301, "https://app.test/push/auth", true, false, nil,
			"301 to https://app.test/push/auth: the app wants https, and this client came by plain http"},
		"elsewhere's slash": {302, "https://sso.test/push/auth/", true, true, fields{"Cookie", "a=b"},
			"the app answers 302 to https://sso.test/push/auth/: it does not know this session"},
		"session has ended": {302, "/login/", true, true, fields{"Cookie", "sessionid=x", "Origin", "https://app.test"},
			"the app answers 302 to /login/: it does not know this session, which has ended, or its cookie is not among those named here"},
		"login without cookie": {302, "/login/", true, true, fields{"Origin", "https://app.test"},
			"the app answers 302 to /login/: it does not know this session; no cookie came, though page and endpoint are both at app.test: " +
				"the visitor has not logged in, or the cookie's Path does not take in /websocket"},
		"forbidden": {403, "", true, true, fields{"Cookie", "sessionid=x"}, "the app answers 403 though cookies or Authorization came: the session has ended"},
		"basic":     {401, "", true, true, fields{"Authorization", "Basic x"}, "the app answers 401 though cookies or Authorization came"},
		"program":   {403, "", true, true, nil, "no cookie and no Origin came: this is no page in a browser"},
		"sandbox":   {403, "", true, true, fields{"Origin", "null"}, "no cookie came: the page is a file or a sandboxed frame"},
		"other host": {403, "", true, true, fields{"Origin", "https://www.test"},
			"no cookie came: the page is at https://www.test, this endpoint at app.test: cookies of the one are not sent to the other, " +
				"unless their Domain takes in both (Django: SESSION_COOKIE_DOMAIN); if they are not of one site, the cookie needs SameSite=None"},
		"other site": {403, "", true, true, fields{"Origin", "https://other.test", "Sec-Fetch-Site", "cross-site"},
			"no cookie came: the page is at https://other.test, this endpoint at app.test: cookies of the one are not sent to the other, " +
				"unless their Domain takes in both (Django: SESSION_COOKIE_DOMAIN); the browser calls the two cross-site, so the cookie needs SameSite=None"},
		"other host's stream": {403, "", false, true, fields{"Origin", "https://www.test"},
			"no cookie came: the page is at https://www.test, this endpoint at app.test: cookies of the one are not sent to the other, " +
				"unless their Domain takes in both (Django: SESSION_COOKIE_DOMAIN); and an EventSource sends cookies to another host only with {withCredentials: true}"},
		"port does not matter": {403, "", true, true, fields{"Origin", "https://app.test:8443"}, "no cookie came, though page and endpoint are both at app.test"},
		"insecure socket": {403, "", true, false, fields{"Origin", "https://app.test"},
			"no cookie came: the page is at https://app.test, but the connection came by plain http, to which cookies with Secure are not sent"},
		"own stream without Origin": {403, "", false, true, fields{"Sec-Fetch-Site", "same-origin"}, "no cookie came, though page and endpoint are both at app.test"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, AppAuth{Path: "/push/auth"}, func(w http.ResponseWriter, _ *http.Request) {
				if c.location != "" {
					w.Header().Set("Location", c.location)
				}
				w.WriteHeader(c.status)
			})
			r := visit("/websocket", c.fields...)
			if c.socket {
				r = socketVisit("/websocket", c.fields...)
			}
			if c.https {
				r.URL.Scheme = "https"
			}
			if got := attr(a.refuses(r), "hint"); !strings.HasPrefix(got, c.want) {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}
