// Package proxy is the front door of a web application: it ends TLS with
// certificates it obtains by itself, forwards plain requests to the
// application, tunnels WebSocket handshakes to a push service, and serves
// static files.
//
// # The walk of a request
//
//	listener.go    accepts the connection, if there is a place for it
//	               (connlimit.go, handshakelimit.go)
//	clientconn.go  does the TLS handshake (proxy/record; tls.go chooses the
//	               certificate by the name the client asks for, or refuses),
//	               and waits for requests; after a second without a goroutine
//	               (proxy/park)
//	turn.go        reads the request's head (proxy/http1), and is the client's
//	               side of the exchange; turnanswer.go writes the answer
//	exchange.go    gives the request an id; clientaddr.go finds out who asks
//	server.go      find: site by Host, clean path (path.go), and the first
//	               route with a pattern that matches (match.go), or the most
//	               specific one, that takes this kind of request (router.go);
//	               one with fallthrough does where its folder has the file
//	               (files.go); and whether that is open to this client
//	               (access.go, basicauth.go)
//	choice.go      chooses a backend of the route's pool (pool.go), the one that
//	               the client's cookie names (sticky.go) or another, and goes on
//	               to the next one while none can be reached
//	forward.go     asks it on a kept connection (upstream.go, swap_unix.go), with
//	               the fields it needs (headers.go, trace.go) and its body with a length
//	               (body.go)
//	answer.go      streams the backend's answer back, its links and cookies in
//	               the client's view (rewrite.go), its fields as the route wants
//	               them (fieldrules.go)
//	routecounts.go counts it by its route and status
//	accesslog.go   writes one line when it is over (accessfile.go), in a form that
//	               accessformat.go made (accessdirectives.go, accesstext.go); what
//	               failed is logged and remembered (failures.go, tlsfailure.go)
//
// A redirect route (redirectroute.go) answers by itself in the place of
// forward.go, as a handler does.
//
// No http.Header is made on the way to a backend, and in the steady state nothing is
// allocated: names and values are slices of the buffers that were read into,
// and what a request needs is used again for the next one.
//
// # Limits
//
// limits.go has them all, as they are configured. A turn keeps those in effect
// when it began. bodypace.go holds a client to the time that its body may take,
// clientwrite.go to the time that it may leave an answer unread. Whatever limit
// is reached is counted by its name, and told of in the log (limithits.go).
//
// # Handlers
//
// Files (files.go), push services (push.go) and ACME's challenge are answered by
// handlers as net/http knows them, on the same connection as all else.
// handlerrequest.go makes the http.Request of the one that was read;
// handlerbody.go is its body, and handlercontext.go its context, which watches the
// client once somebody asks. responsewriter.go is the http.ResponseWriter, over the
// interface downstream, and responsecontrol.go what handlers ask of it besides.
// turnhandler.go has what that takes of a connection: a handler's deadlines, the
// watch, and a file that the system sends by itself.
//
// # HTTP/2
//
// A connection whose client chose it in the handshake is served by proxy/http2
// (streams.go), with a goroutine for each stream, and is parked like others while
// it has none. stream.go is what turn.go is over HTTP/1.1: it makes the same
// request of the stream's head, held to the same rules (http1.Assemble), and is
// the client's side of the same exchange. No WebSocket comes that way, as extended
// CONNECT (RFC 8441) is not offered. net/http serves no connection at all.
//
// # The walk of a tunnel
//
// A WebSocket handshake (handshake.go, RFC 6455 §4.2.1) goes the same way
// until find has found a tunnel route, or an app route when none is there. Then
// tunnellimit.go sees to the limits, choice.go chooses the backend, tunnel.go
// sends it there as it came, and only after the backend has answered with a true 101 are both
// connections given to proxy/relay, whose event loops carry the bytes and
// follow the frames in them (proxy/frame). Any other answer is passed on as
// what it is, with a field that names the cause (diagnose.go, proxy/diagnosis),
// as answers of our own to a handshake have it. In mode message, wsmessage.go carries whole messages instead.
// tunnelentry.go is what is kept of a tunnel for its end; tunnelcounts.go counts
// it for its route, and tunnelstate.go lists those that are open, and closes one.
//
// # The walk of a push client
//
// A route with a Handler gets WebSocket handshakes, requests that accept
// text/event-stream, and polls (Prefer: wait); everything else on the same path
// falls through to the next route, unless the route is for the Handler as a
// whole. The handler takes the connection over by http.Hijacker, so a push
// service in the same process costs no second connection.
//
// # What is to be seen
//
// counts.go and seen.go say what a Server tells of itself while it serves. What
// comes and goes is counted where it does, by atomic additions and pointers that
// were found before: on the route for requests (routecounts.go), on the backend
// for connections and answers (backendcounts.go), on the server for clients'
// connections and their TLS (conncounts.go). A reload hands the accounts of routes
// and backends on. sites.go tells where routes lead and whether it is there,
// certstate.go of all certificates (certaccount.go keeps what came of asking for
// them), and ready.go whether the server should get traffic: it is the only one
// that connects to backends unasked.
//
// # Who owns what
//
// A Server is made by New, which checks and allocates; Listen binds its
// addresses, or takes sockets that somebody else opened (adopt.go); Run serves,
// and ends every goroutine that it began before it returns. Reload swaps the
// routing table, which never changes once it is made: requests and tunnels under
// way keep the one they began with; tunnels and the clients of a push service
// end with their route (tenure.go). What does change, the open exchanges and
// failures of a pool's backends, has a lock. An exchange belongs to the goroutine
// that serves it, and so does a connection to a backend until upstream.keep takes
// it back. A tunnel belongs to the relay.
//
// A panic ends what the goroutine was for, a request, a connection or a tunnel,
// and nothing else (panics.go).
package proxy
