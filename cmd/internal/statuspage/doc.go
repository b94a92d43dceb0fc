// Package statuspage is the page of the admin listener on which a person sees what
// a running server does: GET / and the files below /page/, and GET /events, by
// which the page is told every second what has changed.
//
// # How the page stays true
//
// The page opens /events as an event stream, and when that stands it asks the same
// URL for JSON: the state, and the number of the last tick that is in it. From then
// on it applies the ticks with higher numbers, those included that came while it
// asked. A tick says what has changed since the one before it: the parts of the
// status that differ, tunnels that are new, the figures of those in which something
// moved, and those that are gone.
//
// The state that it is given is what the ticks have told up to that number, and not
// what a look at the server finds: a tunnel that comes and goes between two ticks is
// in neither, and would else stay on the page for ever.
//
// A tick whose number does not follow the last says that something between them was
// not published: nobody listened and the state was given up, or it was too long. The
// page then asks for the state again, as it does when the push service tells it of a
// gap, such as after a restart of the server. A page whose connection was lost for a
// moment comes back with the position that it has seen, and is given the ticks that
// it has missed.
//
// # What it costs
//
// Nothing while nobody listens. Else a tick in a second, of some forty bytes while
// nothing changes. Where it takes more than a hundredth of that to look at the tunnels
// and to make one, they come less often, down to one in ten seconds.
package statuspage
