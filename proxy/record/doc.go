// Package record is the record layer of TLS 1.3 (RFC 8446 §5), taken over from
// crypto/tls once that has done the handshake. crypto/tls keeps, for as long as
// a connection lives, an input buffer of the largest record it has seen; here a
// connection holds a buffer only while there are bytes in it, and its keys can
// be handed to an event loop.
//
// # The walk of a connection
//
//	accept.go    Accepter.Handshake, or Client towards a backend, lets
//	             crypto/tls do the handshake over a feed
//	feed.go      the feed gives crypto/tls its input record by record, so that
//	             it never holds a byte behind the handshake, and watches what
//	             it writes
//	gather.go    writes together what HTTP/2 flushes in one moment
//	secrets.go   the traffic secrets of this one connection, as crypto/tls
//	             hands them to tls.Config.KeyLogWriter
//	takeover.go  makes a Conn of all that, or leaves the *tls.Conn as it is
//	conn.go      Read, Await, Write and Close of a Conn; Detach gives its parts
//	             away
//	keys.go      Keys: both directions' keys, no I/O
//	open.go      what a received record means: data, alerts, KeyUpdate, tickets
//	seal.go      records to send, with a KeyUpdate when one is due
//	alert.go     the errors of reading, and the alert that fits each
//	sizes.go     how large the records of a Write are
//	socket.go    reading the socket without holding a buffer while waiting
//	buffer.go    the pool that all of it lives on
//
// # Where the sequence numbers begin
//
// The client's first record under its application key is the first that
// follows its Finished, so what we read begins at number 0. What we write goes
// on where crypto/tls has stopped: a server has sent none to a few records with
// session tickets under that key. The last record written is opened with each
// number it could have; the AEAD proves the one that fits, and if none does,
// none was written (the numbers tried are all that are possible).
//
// # Safety
//
// All there is to negotiate and verify stays with crypto/tls. A connection is
// taken over only if every condition is met: TLS 1.3, not HTTP/2, a known
// cipher suite, both secrets seen, and the feed between two records. Otherwise
// the *tls.Conn goes on over its feed. The secrets of a connection are bound to
// it by the tls.Config made for its handshake, not looked up by the client's
// random value, which another client could repeat; they are erased when the
// handshake has ended, in whatever way.
//
// Post-handshake messages other than KeyUpdate, and a server's session tickets,
// which are dropped, are refused. Sending keys are replaced before 2^24 records
// (RFC 8446 §5.5). Errors are final in their direction.
//
// # What an idle connection holds
//
// Keys of 216 bytes and two AEADs, of 768 bytes each for AES-GCM (most of it
// the expanded key) and 32 for ChaCha20-Poly1305, which Rest drops until the
// next record; a Conn adds some 200 bytes, and the net.Conn. While the rest of
// a record is awaited there is one pooled buffer of 2 or 18 KiB beside that, and
// while a Write waits for the peer one of up to 72 KiB.
//
// # Session tickets
//
// There is nothing of ours in them. crypto/tls encrypts tickets by keys that
// belong to one tls.Config: new ones every 24 hours, each accepted for the 7
// days that RFC 8446 §4.6.1 allows. An Accepter has one tls.Config for its whole
// life, and a Config that GetConfigForClient returns uses the same keys unless
// it was given its own, so all listeners of an Accepter take each other's
// tickets, and a new certificate does not end them.
package record
