// Package natsbroker is the durable pusher.Broker: NATS JetStream, by a server
// inside this process with its store in a folder, or by servers at a URL.
//
// # What is stored
//
// One stream has the messages of all channels, a subject for each, so that the
// numbers of the stream are the numbers of the Broker, and a channel costs no
// more than its subject. There are no JetStream consumers. A channel's name is
// one token of the subject (subject.go). A message's data is stored as it is; a
// header of our own has the rest (header.go). A second stream has the keys and
// values (kv.go).
//
// # The walk of a message
//
//	append.go   Append makes a message of the draft, and refuses one channel too
//	            many. The stream knows the IDs of the last minutes, after a restart
//	            too
//	flight.go   the message gets its Prev and is sent, together with a number that
//	            the stream checks, so that the Prev that is stored is true; its
//	            acknowledgement says which number it has got
//	watch.go    the stream publishes again what it has stored, over one
//	            subscription; Watch's function gets it in order, and what a
//	            missing number shows to be lost is read from the stream
//	head.go     Next, Last and Head read the stream directly
//	mend.go     after a write to the store has failed, as on a full disk, another
//	            server inside takes the place of the one that would take no message
//	            any more
//	trim.go     the stream itself drops what is too old or too much by number or
//	            in total; the bytes of a channel are counted here
//
// # What the end of a channel is
//
// Head must not say less than the truth: a client that has missed a message and
// is not told has lost it. The newest message of a channel, or the mark that its
// purge has left, is removed by nothing but its age or the store's size. Both take
// the oldest of the whole stream first. So if a channel has neither, what it had
// was older than the first message that the stream still has: that is Certain.
// Within the life of a process that is the only one to write, the number of the
// last message is remembered besides, for as many channels as there may be.
//
// For the same reason a message whose TTL is over stays in the store, unseen, for
// as long as one without would. The server can remove it, but would then forget
// that it was there; the marks it can leave instead have a life of their own that
// becomes the least TTL of every message.
//
// Prev of a channel's first message after a time without any may be above the
// number of the true one, for the same reason and within the same bounds: below
// the first message of the stream at that moment.
//
// # What a life of the store is
//
// A token of a client is worth something as long as nothing below it has
// vanished. Each start of the embedded server begins a life of the store with a
// new name, the epoch, and writes to the disk where it began (epoch.go), before
// a token can be given out. A token of an older life is continued if it is not
// above where any life after that began: then every message that it stands for
// was there at each start since. An ordinary restart, or a SIGKILL, loses
// nothing, and all tokens are good. A store that is wiped, or brought back from a
// copy, or that lost what was not yet forced to the disk when the machine failed,
// gives a gap to whoever has seen what is gone, and to nobody else.
//
// Servers at a URL keep their streams for many processes, whose starts say
// nothing. There the epoch is made with the stream and kept in its metadata, and a
// token is continued if the stream has come as far. A stream that is wiped and
// made anew has a new epoch; one that goes back to an older state is noticed only
// by tokens above its end. Do not delete the streams while a process uses them.
//
// # Safety
//
// What Append has acknowledged has been written to the file, so that it outlives
// this process however that ends. It is forced to the disk each Options.Sync; in
// between a failure of the machine may take it.
//
// An ID is remembered with its message. When a message is trimmed within the
// window of duplicates and the process is started again, its ID is forgotten.
package natsbroker
