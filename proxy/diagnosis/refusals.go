package diagnosis

// The lines that send a WebSocket's path to its server, by which most causes
// are cured.
const (
	tunnelWsfront = "\n    routes:\n      - {path: /websocket, tunnel: \"ws://127.0.0.1:9000\"}\n      - {path: /, app: \"http://127.0.0.1:8080\"}"
	tunnelApache  = "\n    ProxyPreserveHost On\n    ProxyPass \"/websocket\" \"http://127.0.0.1:9000/websocket\" upgrade=websocket"
	tunnelNginx   = "\n    location /websocket {\n        proxy_pass http://127.0.0.1:9000;\n        proxy_http_version 1.1;\n        proxy_set_header Upgrade $http_upgrade;\n        proxy_set_header Connection \"upgrade\";\n        proxy_set_header Host $host;\n    }"
	tunnelHAProxy = "\n    frontend https\n        use_backend push if { path_beg /websocket }\n    backend push\n        server push 127.0.0.1:9000"
	tunnelCaddy   = "\n    reverse_proxy /websocket* 127.0.0.1:9000"
	tunnelTraefik = "\n    rule: \"PathPrefix(`/websocket`)\"\n    priority: 1000"
)

// refusals are answers other than 101 that tell how a front routes, and what an
// application wants.
var refusals = map[Cause]entry{
	Redirect: {
		symptom:  "D19",
		sentence: "The handshake is answered by a redirect, which no browser follows for a WebSocket.",
		fixes: []Fix{
			{ForPage, "Open the final URL, with its scheme, host and slash."},
			{ForApp, "Do not redirect this path: to a login answer 403, and leave APPEND_SLASH and the like to pages."},
			{ForWsfront, "Send the path to the WebSocket's own server, so that no redirect of the application's meets it:" + tunnelWsfront},
			{ForApache, "Leave handshakes out of the redirect:\n    RewriteCond %{HTTP:Upgrade} !websocket [NC]\n    RewriteRule ^ https://%{HTTP_HOST}%{REQUEST_URI} [R=301,L]"},
			{ForNginx, "Give the path a location of its own, beside the one that returns the redirect:" + tunnelNginx},
			{ForHAProxy, "Leave handshakes out of the redirect:\n    http-request redirect scheme https unless { ssl_fc } or { hdr(Upgrade) -i websocket }"},
		},
	},
	RedirectLoop: {
		symptom:  "D18",
		sentence: "The answer is a redirect to the very same URL: the application does not know that the client came by https.",
		fixes:    forwardedProtoFixes,
	},
	ForwardedProto: {
		symptom:  "D17",
		sentence: "The application takes https for http, as no X-Forwarded-Proto arrives or is believed, so that its redirects and Origin checks go wrong.",
		fixes:    forwardedProtoFixes,
	},
	PageAnswered: {
		symptom:  "D1",
		sentence: "An ordinary page answers in place of a WebSocket: the handshake is routed to the pages, or to a path that is no WebSocket.",
		fixes: []Fix{
			{ForWsfront, "Send the path to the WebSocket's server, not to the pages; the most specific path wins, whatever the order:" + tunnelWsfront},
			{ForApache, "Write the WebSocket's line before ProxyPass / and before any catch-all rule, as the first match wins (a2enmod proxy_http):" + tunnelApache},
			{ForNginx, "Give the path a location of its own with the two fields:" + tunnelNginx},
			{ForHAProxy, "Send the path to the push service before the default backend:" + tunnelHAProxy},
			{ForCaddy, "Send the path to the push service:" + tunnelCaddy},
			{ForTraefik, "Give the WebSocket's router a rule of its own, with a higher priority than the pages':" + tunnelTraefik},
		},
	},
	AppAnswered: {
		symptom:  "D1",
		sentence: "The handshake reaches the application under WSGI, which cannot take a WebSocket: no server setting cures that, the socket has to be served outside it.",
		fixes: []Fix{
			{ForWsfront, "Let the built-in push service take the socket, or send it to the server that you have for it:\n    routes:\n      - {path: /websocket, push: {channel: board}}\n      - {path: /, app: \"http://127.0.0.1:8080\"}"},
			{ForApache, "Write the WebSocket's line so that mod_wsgi never sees the path; ProxyPass comes before WSGIScriptAlias by itself, and /websocket/ does not take /websocket:" + tunnelApache},
			{ForNginx, "Give the path a location of its own, to a server that speaks WebSocket:" + tunnelNginx},
			{ForHAProxy, "Send the path to a server that speaks WebSocket:" + tunnelHAProxy},
			{ForCaddy, "Send the path to a server that speaks WebSocket:" + tunnelCaddy},
			{ForApp, "dwebsocket and its like work under runserver only. Have the application publish to a push service, or serve the socket by ASGI (daphne, uvicorn)."},
		},
	},
	PathUnknown: {
		symptom:  "D2",
		sentence: "Nothing is served at this path: it differs from the WebSocket server's own, or no rule takes it.",
		fixes: []Fix{
			{ForWsfront, "Compare the path with the routes; a path behind the backend's address replaces the route's:\n    - {path: /websocket, tunnel: \"ws://127.0.0.1:9000/ws\"}"},
			{ForApache, "End both sides with a slash or neither, and name the path that the backend has:" + tunnelApache},
			{ForNginx, "Leave the path out of proxy_pass, so that it arrives as it is (proxy_pass http://127.0.0.1:9000; without a slash behind it):" + tunnelNginx},
			{ForHAProxy, "See which backend takes the path, and whether http-request set-path changes it:" + tunnelHAProxy},
			{ForCaddy, "handle_path takes the prefix away before the backend sees it, handle does not:" + tunnelCaddy},
			{ForTraefik, "StripPrefix takes the prefix away before the backend sees it; a rule has to take the path:" + tunnelTraefik},
			{ForApp, "Compare the page's URL with the application's list of WebSocket paths, the slash at the end included."},
		},
	},
	PathMangled: {
		symptom:  "D2",
		sentence: "The path is right but for its slashes: another spelling of it is answered by a WebSocket.",
		fixes: []Fix{
			{ForPage, "Open the spelling that works."},
			{ForWsfront, "A route takes a path and what is below it; /websocket takes /websocket/ too, while /websocket/ takes only what is below:\n    - {path: /websocket, tunnel: \"ws://127.0.0.1:9000\"}"},
			{ForApache, "End both sides of ProxyPass with a slash or neither; otherwise the backend gets //websocket, or /websocketx:" + tunnelApache},
			{ForNginx, "A slash behind proxy_pass's address replaces the location's text: end both with a slash, or leave it out:" + tunnelNginx},
			{ForApp, "Take both spellings of the path, such as re_path(r\"^websocket/?$\")."},
		},
	},
	HandshakeWrong: {
		symptom:  "D22",
		sentence: "The request is no handshake of RFC 6455: its Sec-WebSocket-Key or -Version is missing or wrong, or it is no plain GET by HTTP/1.1.",
		fixes: []Fix{
			{ForPage, "Have a browser or a library make it; a handshake by curl needs all four fields:\n    curl --http1.1 -H \"Connection: Upgrade\" -H \"Upgrade: websocket\" -H \"Sec-WebSocket-Version: 13\" -H \"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\" https://app.example.com/websocket"},
			{ForWsfront, "Look for a proxy in front that changes the request; handshake.failed in the log names what is wrong."},
		},
	},
	UpgradeDropped: {
		symptom:  "D3",
		sentence: "The fields Upgrade and Connection do not arrive at the WebSocket server: a proxy between takes them away, as they are about one connection only.",
		fixes: []Fix{
			{ForWsfront, "A tunnel sends them by itself:" + tunnelWsfront},
			{ForApache, "Say upgrade=websocket (Apache 2.4.47 and later), or write ws:// in place of http:// (a2enmod proxy_wstunnel):" + tunnelApache},
			{ForNginx, "Send both by hand, in this very location:" + tunnelNginx},
			{ForHAProxy, "HAProxy passes them by itself; look for http-request del-header, and for another proxy behind it."},
			{ForCaddy, "Caddy passes them by itself; look for header_up with Connection or Upgrade, and for another proxy behind it."},
			{ForTraefik, "Traefik passes them by itself; look for a middleware that sets Connection or Upgrade, and for another proxy behind it."},
		},
	},
	ConnectionExact: {
		symptom:  "D21",
		sentence: "Chrome gets through and Firefox does not: Connection is compared as a whole, and Firefox sends \"keep-alive, Upgrade\".",
		fixes: []Fix{
			{ForWsfront, "It looks for the word wherever it stands:" + tunnelWsfront},
			{ForApache, "Look for the word wherever it stands:\n    RewriteCond %{HTTP:Upgrade} websocket [NC]\n    RewriteCond %{HTTP:Connection} upgrade [NC]"},
			{ForNginx, "Match the word in the map, or go by Upgrade alone:\n    map $http_upgrade $connection_upgrade { default upgrade; '' close; }"},
			{ForHAProxy, "Match the word, not the line:\n    acl ws hdr(Upgrade) -i websocket"},
			{ForCaddy, "Match the word, not the line:\n    @ws header Connection *Upgrade*"},
			{ForTraefik, "Match the word, not the line:\n    HeaderRegexp(`Connection`, `(?i)upgrade`)"},
		},
	},
	HostRefused: {
		symptom:  "D16",
		sentence: "The server or the application does not accept the Host that it gets: mostly a proxy replaces it by the backend's address.",
		fixes: []Fix{
			{ForWsfront, "It keeps the Host unless a route sets host; the name must be among the site's hosts:\n    hosts: [app.example.com]"},
			{ForApache, "Keep the Host:\n    ProxyPreserveHost On"},
			{ForNginx, "Keep the Host, in the same location as proxy_pass:\n    proxy_set_header Host $host;"},
			{ForHAProxy, "Do not replace it: remove http-request set-header Host."},
			{ForCaddy, "Do not replace it: remove header_up Host."},
			{ForTraefik, "Keep it, which is the default:\n    passHostHeader: true"},
			{ForApp, "Allow the name; in Django:\n    ALLOWED_HOSTS = [\"app.example.com\"]"},
		},
	},
	OriginRefused: {
		symptom:  "D16",
		sentence: "The page's Origin is refused: the server compares it with the Host it gets, or with a list that lacks the site.",
		fixes: []Fix{
			{ForWsfront, "It keeps the Host, with which most servers compare: set no host on the route. The built-in push service takes further pages' by origins:\n    push: {channel: board, origins: [\"https://app.example.com\"]}"},
			{ForApache, "Keep the Host:\n    ProxyPreserveHost On"},
			{ForNginx, "Keep the Host, in the same location as proxy_pass:\n    proxy_set_header Host $host;"},
			{ForHAProxy, "Do not replace it: remove http-request set-header Host."},
			{ForCaddy, "Do not replace it: remove header_up Host."},
			{ForApp, "Allow the site: https://app.example.com, with scheme and without a slash at the end (gorilla: Upgrader.CheckOrigin; Channels: AllowedHostsOriginValidator and ALLOWED_HOSTS; Rails: allowed_request_origins)."},
		},
	},
	LoginRequired: {
		symptom:  "D33",
		sentence: "The server wants a login that the handshake does not bring: browsers send cookies of this host only, and no password of their own.",
		fixes: []Fix{
			{ForPage, "Open the WebSocket at the page's own host, so that its cookie goes along."},
			{ForWsfront, "Let the application answer who may listen, by the page's cookie:\n    push: {channel: board, auth: {path: /may-listen}}"},
			{ForApache, "Leave the path out of basic authentication:\n    <Location \"/websocket\">\n        Require all granted\n    </Location>"},
			{ForNginx, "Leave the path out of basic authentication, in its location:\n    auth_basic off;"},
			{ForApp, "Look at who is refused and why: the session cookie's Domain and SameSite, or a login that this path should not need."},
		},
	},
	AddressRefused: {
		sentence: "The client's address is not among those that may use this path.",
		fixes: []Fix{
			{ForWsfront, "Add the address to the route's allow; behind another proxy name that one, or all clients have its address:\n    allow: [10.0.0.0/8]\n    trusted_proxies: [127.0.0.1/32]"},
			{ForApp, "Ask from a network that may use it."},
		},
	},
	SessionUnknown: {
		symptom:  "D23",
		sentence: "Socket.IO does not know the session: its requests reach different processes of the application.",
		fixes: []Fix{
			{ForPage, "Use no polling, so that one connection is all there is:\n    io({transports: [\"websocket\"]})"},
			{ForWsfront, "Run one process of the Socket.IO server behind the route:" + tunnelWsfront},
			{ForApache, "Keep a client at one member:\n    Header add Set-Cookie \"ROUTEID=.%{BALANCER_WORKER_ROUTE}e; path=/\" env=BALANCER_ROUTE_CHANGED\n    ProxySet stickysession=ROUTEID"},
			{ForNginx, "Keep a client at one server, in upstream:\n    ip_hash;"},
			{ForHAProxy, "Keep a client at one server:\n    cookie SERVERID insert indirect nocache"},
			{ForCaddy, "Keep a client at one server:\n    lb_policy cookie"},
			{ForTraefik, "Keep a client at one server:\n    sticky: {cookie: {}}"},
		},
	},
	TooMany: {
		symptom:  "D29",
		sentence: "A limit of connections or of requests is reached, so that this one is turned away.",
		fixes: []Fix{
			{ForWsfront, "Raise the limit that the log names; a proxy in front counts as one client unless it is trusted:\n    max_tunnels: 10000\n    max_tunnels_per_address: 5000\n    trusted_proxies: [10.0.0.0/8]"},
			{ForApache, "Each tunnel holds a thread; raise their number:\n    MaxRequestWorkers 1000\n    ServerLimit 40"},
			{ForNginx, "Each tunnel takes two connections; raise their number:\n    worker_connections 10000;"},
			{ForHAProxy, "Raise the number of connections:\n    maxconn 10000"},
			{ForApp, "Wait as long as Retry-After says; a page that opens its socket again and again should wait longer each time."},
		},
	},
	Restarting: {
		symptom:  "D27",
		sentence: "The front is shutting down or about to start anew, and takes no tunnel in the meantime.",
		fixes: []Fix{
			{ForPage, "Open the socket again after a moment, and later each time; push.js does so by itself."},
			{ForWsfront, "A reload takes the new configuration without a restart and touches no tunnel: wsfront reload."},
		},
	},
	AppFailed: {
		sentence: "The server behind the path fails by itself, and its own log says why.",
		fixes: []Fix{
			{ForApp, "Read the log of the application or push service at the time of this handshake."},
			{ForWsfront, "Look for handshake.failed in the log, which names the backend that answered so."},
		},
	},
	Refused: {
		sentence: "The handshake is answered with a status that says nothing about WebSockets.",
		fixes: []Fix{
			{ForApp, "Read the log of the server that wrote this answer."},
			{ForWsfront, "Look for handshake.failed in the log, which names the backend that answered so."},
		},
	},
}

var forwardedProtoFixes = []Fix{
	{ForWsfront, "It sends X-Forwarded-Proto by itself. Behind another proxy, name that one, so that what it says is kept:\n    trusted_proxies: [127.0.0.1/32]"},
	{ForApache, "Say it, in the virtual host with TLS (a2enmod headers):\n    RequestHeader set X-Forwarded-Proto https"},
	{ForNginx, "Say it, in the same location as proxy_pass:\n    proxy_set_header X-Forwarded-Proto $scheme;"},
	{ForHAProxy, "Say it:\n    http-request set-header X-Forwarded-Proto https if { ssl_fc }"},
	{ForCaddy, "Caddy says it by itself; behind another proxy, name that one:\n    servers { trusted_proxies static private_ranges }"},
	{ForTraefik, "Traefik says it by itself; behind another proxy, name that one:\n    forwardedHeaders: {trustedIPs: [10.0.0.0/8]}"},
	{ForApp, "Believe it; in Django:\n    SECURE_PROXY_SSL_HEADER = (\"HTTP_X_FORWARDED_PROTO\", \"https\")"},
}
