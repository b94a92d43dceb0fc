// Package syslog receives log lines and publishes each on a channel of the push
// service, so that a page shows what rsyslog, logger, or any program that speaks
// syslog reports. It knows nothing of the hub but a function.
//
// # The walk of a line
//
//	listen.go    the socket is bound, and Run owns every goroutine
//	datagram.go  UDP and unix sockets: a datagram is a line (RFC 5426)
//	stream.go    TCP: frame.go finds the lines in the stream (RFC 6587)
//	parse.go     one goroutine takes lines from the queue, cleans them, and finds
//	             their parts by RFC 5424 or RFC 3164 (go-syslog)
//	format.go    it writes them as /var/log/syslog has them, as JSON, or by a
//	             template, and publishes
//
// The socket is read as fast as it fills; the queue between it and publishing is
// bounded. When it is full, what comes by UDP is dropped, since the sender would
// not know anyhow, and counted; TCP and unix sockets are left unread, so that
// the kernel slows the sender down.
//
// No line is refused for its form: one that follows neither RFC is passed on as
// its text, with what is known about it.
package syslog
