// Package diagnosis knows why WebSocket handshakes fail: it names one cause for
// what came back in place of a tunnel, and what to write to cure it. It does no
// I/O, so that a command that asks a server from outside and a front whose
// backend has just refused a handshake share it.
//
// # The walk of a diagnosis
//
//	error.go      OfError names the cause of a failed lookup, dial or TLS
//	              handshake; Cause.AtBackend turns it into what that means when
//	              it was a front that met it
//	answer.go     OfAnswer names the cause of an answer, by its status and then
//	              by what its fields and the beginning of its body give away
//	switching.go  does so for a 101 that no browser takes
//	signs.go      the texts by which servers, frameworks and applications are
//	              known; server.go tells which server wrote an answer
//	cause.go      the causes, each with its sentence, its symptom and its fixes,
//	              which stand in network.go, refusals.go, backends.go and tunnels.go
//
// A cause is a suspicion: the most likely one by what many people turned out to
// have done. Whoever can ask further questions, as wsfront doctor does, may know
// better.
//
// Everything here may be used concurrently.
package diagnosis
