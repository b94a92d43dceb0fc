// Package proxy is the front door of a web application: it ends TLS with
// certificates it obtains by itself, forwards plain requests to the
// application, tunnels WebSocket handshakes to a push service, and serves
// static files.
//
// # The walk of a request
//
//	listener.go  accepts the connection; tls.go chooses the certificate by the
//	             name the client asks for, or refuses the handshake
//	server.go    gives the request an id, finds out who the client is
//	             (clientaddr.go), and asks the routing table
//	router.go    brings the path into its one clean form (path.go), finds the
//	             site by Host and the route by the most specific path that
//	             takes this kind of request
//	forward.go   sends it to the app backend with the fields it needs
//	             (headers.go), its body with a length (body.go); files.go
//	             serves it from a folder instead
//	answer.go    streams the backend's answer back, its links and cookies in
//	             the client's view (rewrite.go)
//	accesslog.go writes one line when it is over
//
// # The walk of a tunnel
//
// A WebSocket handshake (handshake.go, RFC 6455 §4.2.1) goes the same way
// until the router has found a tunnel route, or an app route when none is
// there. Then tunnel.go sends it to the backend as it came, and only after the
// backend has answered with a true 101 do bytes flow both ways
// (proxy/relay). Any other answer is passed on as what it is.
//
// Where the route's mode is message, wsmessage.go takes the place of the relay:
// it hands both ends to a library that takes whole messages from the one to the
// other. wsmessageconn.go stands between the library and the sockets, and has
// wsmessageframe.go look at each frame that comes (proxy/frame).
//
// # The walk of a push client
//
// A route with a Handler gets WebSocket handshakes and requests that accept
// text/event-stream; everything else on the same path falls through to the
// next route. The handler takes the connection over by http.Hijacker, so a
// push service in the same process costs no second connection.
//
// # Who owns what
//
// A Server is made by New, which checks and allocates; Listen binds its
// addresses; Run serves, and ends every goroutine that it began before it
// returns. Reload swaps the routing table, which never changes once it is
// made: requests and tunnels under way keep the one they began with.
package proxy
