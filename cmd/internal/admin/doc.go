// Package admin is where a running server is looked at and given orders: HTTP at a
// unix socket in the server's state folder, which is its owner's alone, and at an
// address where the configuration has one.
//
// It knows nothing by itself. The command hands in functions (Sources), which are
// called when somebody asks. The client's side is here as well, so that both speak
// of the same types.
//
// An endpoint is one line in endpoints.go, and has its description in
// deploy/openapi-admin.yaml, which a test holds against it. A request goes through
// Handler: is it for us and from no other site's page (Access.atHome), is it allowed
// (Access.guarded, Token.admits), and then to its endpoint.
//
//	sources.go    what the answers are made of
//	status.go     the types of the answers
//	endpoints.go  what is answered at which path
//	tunnels.go    lists of tunnels
//	pprof.go      profiles
//	handler.go    who may ask
//	token.go      the token of an address
//	session.go    browsers that are logged in, and guesses
//	listen.go     the listeners and their limit
//	server.go     one listener as it is served
//	client.go     asking a server that runs
package admin
