// Package pusher is a push service for web pages: a hub with channels, a
// WebSocket and event-stream endpoint for browsers, and a publish API for the
// application behind them.
//
// # The walk of a message
//
// A publish travels through three files:
//
//	publish.go  the publish API checks the key, the channel's name, the length
//	            and the content type, and reads the body into memory, with room
//	            in front for the frame's header
//	hub.go      the hub makes one message of it (message.go) and hands it to
//	            each client of the channel (channel.go); nothing is copied per
//	            client and nobody is waited for
//	client.go   the client queues the message's frame, up to QueueBytes; its
//	            writer (ws.go or sse.go) takes from there what waits and writes
//	            it at once
//
// A client whose queue is full is cut off at that moment, in the publisher's
// call, so that a reader that stopped can delay neither the publisher nor any
// other client.
//
// # The walk of a connection
//
// endpoint.go sorts requests and checks their Origin (origin.go). ws.go answers
// the handshake (RFC 6455, by gorilla/websocket), joins the client to its
// channel before the client can know, and reads until the connection ends;
// sse.go does the same for a request that accepts text/event-stream. Both write
// nothing but what was published: the page's "new WebSocket(url)" finds the text
// in message.data, unwrapped.
//
// Event streams carry text only: a binary message is not sent to them. Line ends
// within a message, LF, CR or CRLF, all arrive as LF. WebSocket extensions,
// compression among them, and subprotocols are not negotiated.
//
// # How a connection ends
//
// A client is open, closing, or gone, in this order (client.go). Closing begins
// when the last frame is queued: a Close in answer to the peer's own, one that
// names what the peer did wrong, or Shutdown's goodbye; the peer then has five
// seconds. Gone means that deadlines in the past make all its I/O fail: it was
// cut off, or has vanished; what the kernel still holds for it is dropped, by a
// reset of the connection. In every case the connection's own goroutine closes
// it and logs how it ended.
//
// # Goroutines
//
// A WebSocket owns one, which reads, and a second one for as long as there is
// something to write; the one that the HTTP server started has returned after
// the handshake. A timer queues its pings. An event stream runs in the goroutine
// of its HTTP server. All end when the connection ends; Hub.Shutdown says goodbye
// to every client and waits for them. The hub itself owns no goroutine.
package pusher
