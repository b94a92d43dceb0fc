package proxy

// The events that this package logs. Operators search for them: a name, once
// released, stays.
const (
	// eventListen: an address is served. Attributes: address, protocol.
	eventListen = "listen"
	// eventRequestFailed: a request was answered with an error of our own.
	// Attributes: id, client, site, route, backend, method, path, status,
	// reason.
	eventRequestFailed = "request.failed"
	// eventHandshakeFailed: a WebSocket handshake did not become a tunnel.
	// Attributes as request.failed.
	eventHandshakeFailed = "handshake.failed"
	// eventPanic: a request ended by a panic, which ended nothing else.
	// Attributes: id, panic, stack.
	eventPanic = "request.panic"
	// eventTunnelOpen: a backend answered 101. Attributes: id, client, site,
	// route, backend.
	eventTunnelOpen = "tunnel.open"
	// eventTunnelClose: a tunnel ended. Attributes: those of tunnel.open,
	// bytes_in, bytes_out, duration, reason.
	eventTunnelClose = "tunnel.close"
	// eventShutdown: the server stops. Attributes: drain_timeout.
	eventShutdown = "shutdown"
	// eventReload: a new configuration is in effect. Attributes: sites, routes.
	eventReload = "config.reload"
	// eventHTTPServer: a message of net/http about a connection. Attributes:
	// message.
	eventHTTPServer = "http.server"
)
