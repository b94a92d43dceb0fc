package pusher

// The messages of all log lines of this package. Operators search for them:
// renaming one is a change of behaviour.
//
// Attributes of push.open, push.close and push.cut: client (a number, unique
// while the process lives), channel, transport (websocket or event-stream) and
// remote (the peer's address). push.close and push.cut have besides: messages
// and bytes (written to the client, frames' headers included), duration, code
// (the WebSocket close code sent or received, 1006 where there was none, 0 for
// event streams) and reason.
const (
	// EventOpen (debug): a client has joined its channel.
	EventOpen = "push.open"
	// EventClose (debug): a client's connection has ended.
	EventClose = "push.close"
	// EventCut (warn): instead of push.close for a client that was cut off
	// because it did not read what it was sent.
	EventCut = "push.cut"
	// EventRefused (info; warn for an origin or a key): a request was answered
	// with an error. Attributes: status, reason, remote, method, path, and for
	// an origin: origin, host.
	EventRefused = "push.refused"
	// EventPanic (error): a fault in this program ended one connection.
	// Attributes: those of push.open, panic, stack.
	EventPanic = "push.panic"
)

// What a store of messages tells. Of EventStoreWarning the attribute is detail,
// of EventStoreDown error, and of EventStoreHole from and to: the numbers of the
// first and last message that did not come by themselves.
const (
	// EventStoreWarning (warn or error): the embedded store says that something
	// is wrong with it.
	EventStoreWarning = "push.store.warning"
	// EventStoreDown (warn): the connection to the servers that keep the store
	// is lost; it is made again by itself.
	EventStoreDown = "push.store.down"
	// EventStoreUp (info): the connection is there again.
	EventStoreUp = "push.store.up"
	// EventStoreHole (info): live messages were lost between store and hub, and
	// are read from the store.
	EventStoreHole = "push.store.hole"
)
