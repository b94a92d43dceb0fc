// Package apacheimport makes a configuration for wsfront of one for Apache. It
// takes the meaning over, not the text: what Apache would do with a request
// decides which routes there are.
//
// Import walks this way:
//
//	import.go      Import, and that what comes out is a valid configuration
//	vhost.go       the vhosts, their names and addresses; what stands outside of
//	               them is added to each
//	directives.go  which directive means what: a handler for each, or the reason
//	               why none is needed (harmless.go)
//	scope.go       sections, and for which requests they hold
//	proxypass.go   ProxyPass and its like make rules (rule.go); target.go reads
//	               their URLs, mapping.go and pattern.go expressions
//	rewrite.go     RewriteRule; rewriteplace.go which paths; rewritecond.go finds out what conditions mean by
//	               trying them with the requests that browsers send
//	static.go      Alias, DocumentRoot, Redirect
//	access.go, headers.go, tls.go, balancer.go, logs.go, wsgi.go  what they say
//	resolve.go     makes routes of the rules: which rule takes what is below each
//	               prefix, in Apache's order? route.go writes it down
//	site.go        sites of vhosts; listen.go their addresses
//	traps.go       what is wrong in the original; differences.go what is otherwise here
//	emit.go        the YAML
//	note.go        where each directive has ended; report.go tells a person
//	ways.go        what to do with an app inside Apache; gunicorn.go without it
//
// No directive is lost: each ends as imported, not needed, or left to a person.
// What may be reached only by some stays closed when it cannot be said here who
// they are.
package apacheimport
