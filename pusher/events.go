package pusher

// The messages of all log lines of this package. Operators search for them:
// renaming one is a change of behaviour.
//
// Attributes of push.open, push.close and push.cut: client (a number, unique
// while the process lives), channel, transport (websocket, event-stream or
// long-poll), remote (the peer's address) and id (the X-Request-ID of the request
// by which the client came, if it had one). push.close and push.cut have besides: messages
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
	// with an error, or an event stream with its end where it may come back by
	// itself. Attributes: status, reason, remote, method, path, id (its X-Request-ID),
	// and for an origin: origin, host. Of the app that was asked: auth (the path), cookies
	// (the names of those that came), origin, host, app_status, location, error,
	// hint. Of a token: from (where it stood), kid, alg. Of a key of the publish
	// API that is not for what it was used: key (its name).
	EventRefused = "push.refused"
	// EventInboundLost (warn): what a client sent could not be published.
	// Attributes: those of push.open, and reason.
	EventInboundLost = "push.inbound.lost"
	// EventRecheck (warn): whether clients may still listen could not be found
	// out; they stay. Attributes: status, reason, clients (how many since the
	// line before), and of the last one those of push.refused by the app.
	EventRecheck = "push.recheck"
	// EventKeys (info; warn when it failed, and the keys read before stay): the
	// keys that tokens are verified by were read again. Attributes: source (a
	// file or URL), keys (how many), and where it failed error and hint.
	EventKeys = "push.keys"
	// EventHookRetry (warn): the app could not be told something and will be
	// told again. For this and push.hook.lost, what happens often is counted and
	// logged once in ten seconds. Attributes: event (connect, message,
	// disconnect, occupy, vacate), cause (failed, lease not renewed, records not
	// read, record not removed), count (since the last such line) and error (of
	// the newest).
	EventHookRetry = "push.hook.retry"
	// EventHookLost (warn): the app will not be told something, or has given no
	// verdict on a client's message. Attributes: those of push.hook.retry; the
	// causes are refused, retried for long enough, queue full, no verdict, and
	// client not recorded (its disconnect is told unless this process is killed).
	EventHookLost = "push.hook.lost"
	// EventHookSecret (info): a secret for webhooks was made. Attributes: file.
	EventHookSecret = "push.hook.secret"
	// EventPublishKey (info; warn when it cannot be used, and what was read before
	// stays valid): a key file of the publish API has changed. Attributes: key
	// (its name), file, secrets (how many it holds), or error and hint.
	EventPublishKey = "push.publish.key"
	// EventLimitReached (warn): a limit of the configuration was reached. What
	// happens often is counted, and logged at most once in ten seconds. Attributes:
	// limit (its key below push) and count (since the last such line).
	EventLimitReached = "limit.reached"
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
	// EventStoreBroken (error): the embedded store cannot be written, and no message
	// can be published until it can. Attributes: error.
	EventStoreBroken = "push.store.broken"
	// EventStoreMended (info): the embedded store can be written again.
	EventStoreMended = "push.store.mended"
	// EventStoreDown (warn): the connection to the servers that keep the store
	// is lost; it is made again by itself.
	EventStoreDown = "push.store.down"
	// EventStoreUp (info): the connection is there again.
	EventStoreUp = "push.store.up"
	// EventStoreHole (info): live messages were lost between store and hub, and
	// are read from the store.
	EventStoreHole = "push.store.hole"
)
