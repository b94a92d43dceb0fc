// Package doctor finds out why a WebSocket cannot be opened, or does not stay
// open, by doing what a browser does, step by step, against any server.
//
// # The walk of an examination
//
//	doctor.go     Run takes the steps in turn, each of which adds its line to the
//	              report and maybe a finding; after one without which a browser
//	              gets no further it goes no further either
//	target.go     the URL, and the addresses that stand in for names
//	network.go    the name, each address family, TLS and its old versions
//	plain.go      the redirect from port 80, and the plain GET of the path
//	handshake.go  handshakes as browsers send them; variants.go those that differ
//	              in one thing, to find what the server minds; socketio.go
//	http2.go      the handshake over HTTP/2, where the server offers it
//	tunnel.go     what comes behind the 101: frames, pings, the close; idle.go
//	              how long silence lasts
//	stream.go     an event stream in place of a WebSocket
//	page.go       the page that opens it; pagescan.go its scripts
//	compare.go    the routes of a configuration, their backends asked directly
//	report.go     one cause of what was found, with its evidence and fixes
//	print.go      the report for people
//
// wire.go has the bytes: requests written by hand, and answers read without
// judging them, so that what is wrong with them can be told.
//
// # Bounds
//
// What a server sends cannot make an examination longer or larger: each
// connection has a deadline, the whole has one, and of each answer no more than
// 64 KiB are read. Nothing is sent to a host that was not named.
package doctor
