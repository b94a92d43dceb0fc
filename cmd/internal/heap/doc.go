// Package heap paces the garbage collector of a server whose live heap is
// small. With Go's default it would be collected whenever a few MiB of garbage
// have come together: under load that is a hundred times in a second, for an
// eighth of all CPU (TLS handshakes and HTTP/2 leave much behind). Once the load
// is over, the garbage that piled up instead is given back to the system.
package heap
