package proxy

import (
	"net"
	"net/http"

	"wsfront/proxy/diagnosis"
)

// plain answers a request that came by plain HTTP to a site with TLS. It
// reports true when the request is to be served all the same.
func (x *exchange) plain() bool {
	if x.upgrade {
		if x.site.InsecureWebSocket {
			return true
		}
		x.failFor(diagnosis.TLSRequired, http.StatusForbidden, "a WebSocket handshake by plain HTTP; the page must open wss:// (browsers follow no redirect here), or set insecure_websocket on the site",
			"This WebSocket is served by wss:// only.")
		return false
	}
	port := x.server.securePort
	if port == "" {
		x.fail(http.StatusForbidden, "plain HTTP to a site with TLS, and no https address to redirect to; give listen", "This site is served by https only.")
		return false
	}
	host := hostname(string(x.host))
	if host == "" { // allowed by RFC 9112 §3.2, and served where a site has every name
		x.fail(http.StatusBadRequest, "no host in a request by plain HTTP, so that no https address is known", "This site is served by https only.")
		return false
	}
	if port != "443" {
		host = net.JoinHostPort(host, port)
	} else if net.ParseIP(host).To4() == nil && net.ParseIP(host) != nil {
		host = "[" + host + "]"
	}
	// 308 keeps the method and its body; GET and HEAD get the status that
	// every client knows.
	status := http.StatusPermanentRedirect
	if method := string(x.req.Method); method == http.MethodGet || method == http.MethodHead {
		status = http.StatusMovedPermanently
	}
	target := string(x.req.Path)
	if x.req.HasQuery {
		target += "?" + string(x.req.Query)
	}
	x.addField("Location", "https://"+host+target)
	x.answer(status, nil)
	return false
}
