package proxy

import (
	"net"
	"net/http"
)

// plain answers a request that came by plain HTTP to a site with TLS. It
// reports true when the request is to be served all the same.
func (s *Server) plain(x *exchange, r *http.Request) bool {
	if isHandshake(r) {
		if x.site.InsecureWebSocket {
			return true
		}
		x.fail(r, http.StatusForbidden, "a WebSocket handshake by plain HTTP; the page must open wss:// (browsers follow no redirect here), or set insecure_websocket on the site",
			"This WebSocket is served by wss:// only.")
		return false
	}
	if s.securePort == "" {
		x.fail(r, http.StatusForbidden, "plain HTTP to a site with TLS, and no https address to redirect to; give listen", "This site is served by https only.")
		return false
	}
	host := hostname(x.host)
	if s.securePort != "443" {
		host = net.JoinHostPort(host, s.securePort)
	} else if net.ParseIP(host).To4() == nil && net.ParseIP(host) != nil {
		host = "[" + host + "]"
	}
	// 308 keeps the method and its body; GET and HEAD get the status that
	// every client knows.
	status := http.StatusPermanentRedirect
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		status = http.StatusMovedPermanently
	}
	x.Header().Set("Location", "https://"+host+r.URL.RequestURI())
	x.Header().Set("Content-Length", "0")
	x.WriteHeader(status)
	return false
}
