package syslog

// The messages of all log lines of this package. Operators search for them:
// renaming one is a change of behaviour. Every line has the attributes listen
// and channel, as configured.
//
// The warnings tell what became of many lines or connections: they come at most
// once in ten seconds, with count, how many since the last time, and reason,
// the newest one.
const (
	// EventListen (info): lines are received. Attributes: address.
	EventListen = "syslog.listen"
	// EventClose (debug): a TCP connection has ended. Attributes: remote, lines,
	// duration, reason.
	EventClose = "syslog.close"
	// EventDropped (warn): datagrams came faster than they could be published,
	// and were lost.
	EventDropped = "syslog.dropped"
	// EventCut (warn): lines were longer than max_message, and lost their end.
	EventCut = "syslog.cut"
	// EventRefused (warn): datagrams or connections came from an address that
	// is not allowed, or connections beyond max_connections.
	EventRefused = "syslog.refused"
	// EventFailed (warn): lines could not be published.
	EventFailed = "syslog.failed"
)
