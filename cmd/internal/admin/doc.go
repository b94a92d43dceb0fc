// Package admin is how the wsfront command talks to a running server: HTTP over
// a unix socket in the server's state folder, and where metrics are read. Whoever
// may open the socket (its owner: it is made 0600) may give orders.
package admin
