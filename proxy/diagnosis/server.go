package diagnosis

import "strings"

// Server tells which server wrote an answer, as far as its Server field or the
// style of its error page gives it away: one of the places of fixes, or "".
// Traefik and HAProxy name themselves nowhere but in the error pages that they
// write themselves.
func (a *Answer) Server() string {
	name := strings.ToLower(a.Header("Server"))
	for _, s := range []struct{ text, server string }{
		{"apache", ForApache}, {"nginx", ForNginx}, {"openresty", ForNginx}, {"haproxy", ForHAProxy}, {"caddy", ForCaddy}, {"traefik", ForTraefik},
	} {
		if strings.Contains(name, s.text) {
			return s.server
		}
	}
	body := a.beginning()
	switch {
	case a.Header(Field) != "", a.Header("X-Request-Id") != "" && strings.Contains(body, "\nrequest "):
		return ForWsfront
	case isApachePage(body):
		return ForApache
	case strings.Contains(body, nginxPage):
		return ForNginx
	case isHAProxyPage(body):
		return ForHAProxy
	case strings.Contains(strings.ToLower(a.Header("Via")), "caddy"):
		return ForCaddy
	case name == "" && (body == "bad gateway" || body == "gateway timeout" || body == "404 page not found\n" || body == "no available server\n"):
		return ForTraefik
	}
	return ""
}

// nginxPage ends each of nginx's own error pages, with its version or without.
const nginxPage = "<center>nginx"

// isApachePage reports whether a body, in lower case, is one of Apache's own
// error pages: older ones call themselves HTML 2.0, newer ones 4.01.
func isApachePage(body string) bool {
	rest, ok := strings.CutPrefix(body, `<!doctype html public "-//ietf//dtd html 2.0//en">`)
	if !ok {
		rest, ok = strings.CutPrefix(body, `<!doctype html public "-//w3c//dtd html 4.01//en" "http://www.w3.org/tr/html4/strict.dtd">`)
	}
	return ok && strings.HasPrefix(rest, "\n<html><head>\n<title>")
}

// isHAProxyPage reports whether a body, in lower case, is one of HAProxy's own
// error pages.
func isHAProxyPage(body string) bool {
	rest, ok := strings.CutPrefix(body, "<html><body><h1>")
	if !ok {
		return false
	}
	_, rest, ok = strings.Cut(rest, "</h1>\n")
	return ok && strings.HasSuffix(strings.TrimSpace(rest), "</body></html>")
}
