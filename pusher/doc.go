// Package pusher is a push service for web pages: a hub with channels, an endpoint
// for browsers (WebSocket, event stream or poll at the same URL), and a publish
// API for the application behind them.
//
// # The walk of a message
//
//	publish.go   the publish API checks the key, the channel's name, the length
//	             and the content type, and reads the body into memory, with room
//	             in front for the frame's header
//	hub.go       the hub has its broker (broker.go) store it. The answer says the
//	             position, and is as true as the broker's promise: memory.go keeps
//	             messages until the process ends, package natsbroker on disk
//	hub.go       the broker hands back what is stored, in the order of numbers, to
//	             the hub's one watcher, which makes a link of it (message.go), puts
//	             it at the end of its channel's chain (channel.go), and wakes the
//	             deliverers
//	deliver.go   a deliverer goes through its part of the channel's clients. A
//	             client is a place in the chain, so that nothing is queued for it.
//	             What follows that place becomes one block in the client's form
//	             (form.go), made once for all who are there, and is handed to its
//	             line
//	looped_linux.go, pipe.go, sse.go, poll.go
//	             the line writes it at once, or says when it has
//
// Nobody is waited for. A line that has not taken what it was given last is busy
// and gets nothing, while its place in the chain falls behind. Beyond QueueBytes,
// or when all that is kept for such clients (retained.go) is beyond QueueTotal, it
// is cut off, or goes on with the newest message. Either is noticed in the pass
// that would have given it more, never in the publisher's call.
//
// WebSockets get the bytes that were published, and with the subprotocol resume.v1
// the position in front of them, compressed where both sides can (deflate.go).
// Event streams and polls by lines carry text only: a binary message is not sent
// to them. Line ends within an event, LF, CR or CRLF, all arrive as LF.
//
// # The walk of a connection
//
// endpoint.go sorts requests by what they ask for, checks their Origin (origin.go),
// turns away who is beyond a limit (clientlimit.go), and has the application or a
// token say what they may listen to (auth.go). From Hub.enter on, Shutdown knows of
// the connection. Hub.join (resume.go) gives it its
// places in channels, before the client can know that it is connected: whatever
// is published from then on reaches it. Until client.start nothing is written: it
// is held.
//
// ws.go answers the handshake (RFC 6455, by gorilla/websocket), takes the
// connection from the HTTP server and lets that go. On Linux the poller
// (poller_linux.go) then listens to the bare socket, also to one below the front's
// own TLS, of which only the keys are kept (sealed.go). What it cannot have, such
// as TLS 1.2, is carried by goroutines (pipe.go). What clients send is read by
// framereader.go, held to a rate (inboundrate.go), and dealt with by inbox.go, one
// message of a client after the other; nothing more is read from one for which too
// much waits there.
//
// An event stream stays in the goroutine of its HTTP server, which writes what the
// deliverer gives it. A poll is a stream that ends with its first block.
//
// clock.go pings everybody once in a PingInterval, and admitted.go ends who is not
// admitted any longer.
//
// # The walk of a client that comes back
//
// All channels share one sequence of numbers, so a Position, the broker's epoch
// and a number, says of any of them what has been seen. A client gives the last one
// it has by ?from= or Last-Event-ID. It is told one of three things: new, resumed or
// gap. Resumed means that everything behind the position follows, once and in
// order; what cannot be proved to be that is a gap, and the stream then begins at
// this moment.
//
// The broker says first whether it reaches back to the position at all. Then the
// hub holds the channels, so that what is published from here on is kept for the
// client. The last few messages of a channel with listeners, its window, are at
// hand: if the position lies in all windows, that is where the client begins. Else
// what is missing in front of a window is read from the store and becomes a chain
// of the client's own that leads into the window. It is complete if each message
// names the one before it and none of these has vanished: trimmed, purged or
// expired. A client of several channels is given them merged, by number.
//
// A raw WebSocket cannot be told of a gap, and is closed with code 4410 instead.
//
// # How a connection ends
//
// A client is open, closing, or gone, in this order (client.go). Closing begins
// when the last thing that it is owed is known: a Close in answer to the peer's
// own, one that names what the peer did wrong, one for who is admitted no longer,
// or Shutdown's goodbye. The peer then has five seconds to take it. After our
// Close our half of the connection is shut, and the peer's is read until it ends,
// as the kernel would else send a reset that overtakes the Close. Once both have
// said Close it is over at once.
//
// Gone means that the line is closed: by a reset if the client was cut off, so that
// what the kernel holds for it is dropped. What it has sent before is still dealt
// with, for five seconds at most, unless it was cut off. Hub.depart then takes it
// out of its channels, tells webhooks, and logs how it ended.
//
// # What is counted
//
// counters.go has what happens once for a request, a connection or a publish. What
// happens once for each client and message is counted by the deliverers alone, and
// made public at the end of their work. Hub.Counts and Hub.ChannelStates (counts.go)
// gather it all for who looks.
//
// # Goroutines
//
// The hub starts with its first connection: a deliverer for each processor, eight
// at most, the poller, and the clock. Hub.Shutdown says goodbye to every client,
// waits for them, and ends these.
//
// A WebSocket that the poller listens to owns none while it is idle. A piped one
// owns one that reads, and one more while there is something to write; an event
// stream and a poll live in that of their HTTP server. An inbox has one while
// something is in it, and a client that has gone one until it has departed.
// Timers exist for closing clients, and for admissions that end or are rechecked.
//
// # Locks
//
// They are taken in this order: the memory broker's, Hub.mu, client.mu; then one of
// those that are held for a few lines only: deliverer.mu, shard.mu, clock.mu,
// poller.mu. The broker is called with none of them held. A line's methods are
// called with client.mu held and wait for nothing.
package pusher
