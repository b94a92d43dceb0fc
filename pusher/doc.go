// Package pusher is a push service for web pages: a hub with channels, a
// WebSocket and event-stream endpoint for browsers, and a publish API for the
// application behind them.
//
// # The walk of a message
//
// A publish travels through three files:
//
//	publish.go  the publish API checks the key, the channel's name, the length
//	            and the content type, and makes one Message of the body
//	hub.go      the hub finds the channel and hands the same Message to each of
//	            its clients; nothing is copied per client and nobody is waited for
//	client.go   the client queues the Message up to QueueBytes; its writer takes
//	            it from there to the connection (ws.go or sse.go)
//
// A client whose queue is full is cut off at that moment, in the publisher's
// call, so that a reader that stopped can delay neither the publisher nor any
// other client.
//
// # The walk of a connection
//
// ws.go answers the handshake (RFC 6455, by gorilla/websocket), joins the
// client to its channel, and reads until the connection ends; sse.go does the
// same for a request that accepts text/event-stream. Both write nothing but
// what was published: the page's "new WebSocket(url)" finds the text in
// message.data, unwrapped.
//
// # Goroutines
//
// A connection owns two: the one its HTTP server started, which reads (or, for
// an event stream, writes), and for WebSockets one writer. Both end when the
// connection ends; Hub.Shutdown says goodbye to every client and waits for
// both. The hub itself owns no goroutine.
package pusher
