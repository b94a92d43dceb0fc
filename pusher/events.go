package pusher

// The messages of all log lines of this package and of its stores. Operators search
// for them: renaming one is a change of behaviour. Each is told with its level and
// its attributes: names divided by commas, with what they mean in brackets, where
// "those of" another event stands for that one's. Not every line has all of them.
const (
	// EventOpen (debug): a client has joined its channels. Attributes: client (a
	// number, unique while the process lives), channel (or several of them),
	// transport (websocket, event-stream or long-poll), remote (the peer's address),
	// id (the X-Request-ID of the request by which the client came).
	EventOpen = "push.open"
	// EventClose (debug): a client's connection has ended. Attributes: those of
	// push.open, messages (written to the client), bytes (of these, frames' headers
	// included), duration, code (the WebSocket close code sent or received, 1006
	// where there was none, 0 for event streams), reason.
	EventClose = "push.close"
	// EventCut (warn): instead of push.close for a client that was cut off
	// because it did not read what it was sent. Attributes: those of push.open,
	// those of push.close.
	EventCut = "push.cut"
	// EventRefused (info; warn for an origin or a key): a request was answered
	// with an error, or an event stream with its end where it may come back by
	// itself; or a client is no longer admitted. Attributes: status, reason, remote,
	// method, path, id (the request's X-Request-ID), origin (the page's), host (that
	// the request was for), key (the name of a key of the publish API that is not for
	// what it was used), from (where a token stood), kid (of a token), alg (of a
	// token), auth (the path by which the app was asked), cookies (the names of those
	// that came), app_status (what the app answered), location (where that leads),
	// expires (as the app said it), asked (the channels that the client wants),
	// granted (those that the app lets it have), error, hint (what to do).
	EventRefused = "push.refused"
	// EventInboundLost (warn): what a client sent could not be published.
	// Attributes: those of push.open, reason.
	EventInboundLost = "push.inbound.lost"
	// EventRecheck (warn): whether clients may still listen could not be found
	// out; they stay. Attributes: status, reason, clients (how many since the
	// line before), auth (of the last one, as in push.refused), cookies, origin,
	// host, app_status, location, error, hint.
	EventRecheck = "push.recheck"
	// EventKeys (info; warn when it failed, and the keys read before stay): the
	// keys that tokens are verified by were read again. Attributes: source (a
	// file or URL), keys (how many), error (where it failed), hint (likewise).
	EventKeys = "push.keys"
	// EventHookRetry (warn): the app could not be told something and will be
	// told again. For this and push.hook.lost, what happens often is counted and
	// logged once in ten seconds. Attributes: event (connect, message,
	// disconnect, occupy, vacate), cause (failed, lease not renewed, records not
	// read, record not removed), count (since the last such line), error (of
	// the newest).
	EventHookRetry = "push.hook.retry"
	// EventHookLost (warn): the app will not be told something, or has given no
	// verdict on a client's message. The causes are refused, retried for long
	// enough, queue full, no verdict, and client not recorded (its disconnect is told
	// unless this process is killed). Attributes: those of push.hook.retry.
	EventHookLost = "push.hook.lost"
	// EventHookSecret (info): a secret for webhooks was made. Attributes: file.
	EventHookSecret = "push.hook.secret"
	// EventPublishKey (info; warn when it cannot be used, and what was read before
	// stays valid): a key file of the publish API has changed. Attributes: key
	// (its name), file, secrets (how many it holds), error (why it cannot be used),
	// hint (likewise).
	EventPublishKey = "push.publish.key"
	// EventLimitReached (warn): a limit of the configuration was reached. What
	// happens often is counted, and logged at most once in ten seconds. Attributes:
	// limit (its key below push), count (since the last such line).
	EventLimitReached = "limit.reached"
	// EventPanic (error): a fault in this program ended one connection.
	// Attributes: those of push.open, panic, stack.
	EventPanic = "push.panic"
)

// What a store of messages tells.
const (
	// EventStoreWarning (warn or error): the embedded store says that something
	// is wrong with it. Attributes: detail.
	EventStoreWarning = "push.store.warning"
	// EventStoreBroken (error): the embedded store cannot be written, and no message
	// can be published until it can. Attributes: error.
	EventStoreBroken = "push.store.broken"
	// EventStoreMended (info): the embedded store can be written again.
	EventStoreMended = "push.store.mended"
	// EventStoreDown (warn): the connection to the servers that keep the store
	// is lost; it is made again by itself. Attributes: error.
	EventStoreDown = "push.store.down"
	// EventStoreUp (info): the connection is there again.
	EventStoreUp = "push.store.up"
	// EventStoreHole (info): live messages were lost between store and hub, and
	// are read from the store. Attributes: from (the number of the first one), to (of
	// the last one).
	EventStoreHole = "push.store.hole"
)
