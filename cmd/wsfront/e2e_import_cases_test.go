//go:build e2e

package main_test

// importCase is a fixture of testdata/apache/e2e and what is asked of it.
type importCase struct {
	fixture string
	targets []string // each by GET, and as handshakes in two spellings
	probes  []probe  // further ones; GET and siteHost where nothing is said
	// expected are the differences that may be, and must be.
	expected []difference
}

// difference is one between Apache and what was imported that the import's
// report names.
type difference struct {
	probes string // regular expression on a probe's words
	fields string // regular expression on the names of what differs
	status string // regular expression on the beginning of the status that wsfront answers
	note   string // what the report says of it
}

// always are differences of most fixtures, by what wsfront does with any
// request.
var always = []difference{
	{fields: "^X-Forwarded-Proto$", note: "(X-Forwarded-Proto)"},
	{probes: "%2Fb", fields: "^status$", status: "400", note: "a path with %2F gets 400, in Apache 404"},
	// The same backend gets the same request, but that it is a handshake still.
	{probes: "Connection: ", fields: "^(status|echo)$", status: "101", note: "routes with app take WebSocket handshakes, too"},
}

// paths are the shapes of a path at and below a prefix that is mapped: with and
// without a slash, one that only begins the same, doubled slashes, a query,
// escapes.
func paths(prefix string) []string {
	return []string{
		prefix, prefix + "/", prefix + "/a", prefix + "x", prefix + "/a//b", "/" + prefix + "/a",
		prefix + "/a/?q=1&r=%2F", prefix + "/a%20b", prefix + "/%7Ea",
	}
}

var importCases = []importCase{
	{fixture: "path-and-catch-all",
		targets: append(paths("/ws"), "/", "/a?b", "/wsx/ws", "/a%2Fb", "/a/../ws"),
		probes:  []probe{{target: "/ws", method: "POST", body: "text"}, {target: "/", method: "HEAD"}, {target: "/to/x?http://app.test/y"}}},
	{fixture: "most-copied",
		targets: append(paths("/ws"), "/")},
	{fixture: "equals-pair",
		targets: append(paths("/ws"), "/")},
	{fixture: "anchored-or",
		targets: append(paths("/ws"), "/", "/static/app.js", "/static/docs", "/static/deep/a%20b.txt", "/static/nosuch", "/staticx")},
	{fixture: "upgrade-option",
		targets: append(paths("/ws"), "/")},
	{fixture: "locations",
		targets: append(append(paths("/desk"), paths("/desk/tunnel")...), "/", "/desk/tunnel/deep/a")},
	{fixture: "hidden-locations",
		targets:  append(paths("/live"), "/"),
		expected: []difference{{"^GET /+live(/| |$)", "^backend$", "", "hid this line"}}},
	{fixture: "slash-trap",
		targets:  append(append(paths("/ws"), paths("/inner")...), "/"),
		expected: []difference{{"^GET /+ws/", "^target$", "", "the doubled slash was left out"}}},
	{fixture: "socketio",
		targets: []string{"/", "/socket.io/?EIO=4&transport=websocket", "/socket.io/?EIO=4&transport=polling", "/other?transport=websocket"},
		expected: []difference{
			{"^GET /socket.io/.*=websocket$", "^backend$", "", "the condition on the query only stood in for the handshake"},
			{"^GET /socket.io/.*=polling Connection", "^backend$", "", "the condition on the query only stood in for the handshake"},
		}},
	{fixture: "balancers",
		targets:  append(paths("/ws"), "/"),
		expected: []difference{{"", "^(backend|Set-Cookie)$", "(200|101)", "the cookie of a sticky pool is made by wsfront"}}},
	{fixture: "exclusions",
		targets:  append(paths("/live"), "/", "/static/app.js", "/static", "/media/photo.txt", "/media/", "/static/docs/", "/static/docs"),
		expected: []difference{{"^GET /(static|media)/.* Connection", "", "101", "a WebSocket handshake for a file, a redirect or a path that is excepted goes to the app or tunnel around it, or gets 404 or 403"}}},
	{fixture: "regex",
		targets: []string{"/", "/sockjs/1/2/websocket", "/sockjs/1/2/websocket/", "/sockjs/1/xhr", "/sockjs//websocket", "/x/sockjs/1/websocket"}},
	{fixture: "files-or-paths",
		targets: append(append(paths("/own"), paths("/kept")...), "/", "/desk/a/view/b?c", "/desk/a/b/view/c", "/desk/a/view", "/number/12", "/number/12/", "/number/x",
			"/static/app.js", "/static/nosuch.js", "/media/photo.txt", "/media/nosuch", "/media"),
		expected: []difference{{"^GET /static/app.js Connection", "", "101", "a WebSocket handshake for a file, a redirect or a path that is excepted goes to the app"}}},
	{fixture: "tls",
		targets: []string{"/", "/ws?a=1"},
		probes: []probe{
			{target: "/", secure: true}, {target: "/ws/a?b", secure: true, socket: "Upgrade"}, {target: "/ws/a?b", secure: true, socket: "keep-alive, Upgrade"},
			{target: "/", secure: true, host: "www.app.test"}, {target: "/a?b", host: "www.app.test"},
		},
		expected: []difference{{"^GET .* Connection", "^(status|Location)$", "403", "a WebSocket handshake at plain http gets 403"}}},
	{fixture: "hidden-path",
		targets:  append(paths("/ws"), "/"),
		expected: []difference{{"^GET /+ws(/| |$)", "^backend$", "", "hid this line"}}},
	{fixture: "distribution",
		targets: []string{"/", "/live/a", "/live"},
		probes: []probe{
			{target: "/", host: "www.app.test"}, {target: "/x", host: "a.second.test"}, {target: "/", host: "second.test"},
			{target: "/live/a", host: "second.test", socket: "Upgrade"}, {target: "/", host: "foreign.test"},
		},
		expected: []difference{{"of foreign.test$", "", "421", "a name that no site has gets 421"}}},
	{fixture: "redirects",
		targets:  []string{"/", "/old", "/old/a?b=c", "/oldx", "/moved/a", "/gone", "/gone/a", "/blog/12", "/blog/12/?q", "/blog/x", "/legacy/a/b?c", "/forbidden/x", "/hidden/x"},
		expected: []difference{{"^GET /(old|moved|gone|blog|legacy|forbidden)\\b.* Connection", "", "(101|403)", "a WebSocket handshake for a file, a redirect or a path that is excepted goes to the app or tunnel around it, or gets 404 or 403"}}},
	{fixture: "cookies",
		targets: append(paths("/shop"), paths("/api")...),
		probes: []probe{
			{target: "/shop/cookie/a?id=1;Path=/;HttpOnly"}, {target: "/shop/to/a?/b"},
			{target: "/api/to/a?http://SELF/v1/x"}, {target: "/shop/to/a?http://SELF/b"}, {target: "/api/to/a?http://elsewhere.test/v1/x"},
		},
		expected: []difference{{"/to/a\\?/b$", "^Location$", "", "Location and other links in answers are mapped back by the route"}}},
	{fixture: "headers-and-access",
		targets: []string{"/", "/metrics", "/metrics/a", "/metricsx", "/near", "/admin", "/admin/a"},
		probes: []probe{
			{target: "/admin/a", fields: "Authorization: Basic c3RhZmY6c2VjcmV0\r\n"}, // staff:secret
			{target: "/admin/a", fields: "Authorization: Basic c3RhZmY6d3Jvbmc=\r\n"}, // staff:wrong
			{target: "/up", method: "POST", body: string(make([]byte, 2000))},
			{target: "/up", method: "POST", body: "short"},
		},
		expected: []difference{
			{"^GET .* Connection", "^X-Added$", "101", "headers are set in answers by HTTP, not in the one that opens a WebSocket"},
			{"^POST /up$", "", "413", "Apache does not hold what it forwards to LimitRequestBody"},
		}},
	{fixture: "single-page",
		targets: []string{"/", "/style.css", "/some/view", "/api/a", "/api", "/socket", "/socket/a"},
		probes:  []probe{{target: "/", method: "POST", body: "x"}},
		expected: []difference{
			{"^POST /$", "", "405", "a file asked for by another method than GET and HEAD 405"},
			{"^GET /(style.css|some/view|api|) Connection", "", "404", "a WebSocket handshake for a file, a redirect or a path that is excepted"},
		}},
}
