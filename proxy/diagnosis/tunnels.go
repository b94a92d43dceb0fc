package diagnosis

// tunnels are what is wrong with a 101, and with the tunnel behind it.
var tunnels = map[Cause]entry{
	SwitchHeaders: {
		symptom:  "D26",
		sentence: "The 101 lacks Upgrade: websocket or Connection: Upgrade, without which no browser takes it.",
		fixes: []Fix{
			{ForWsfront, "It passes both, and refuses a backend's 101 that lacks them:" + tunnelWsfront},
			{ForApache, "Look behind it: Apache passes a backend's 101 on with both, whatever mod_headers is told."},
			{ForNginx, "Look for proxy_hide_header Upgrade, and for a module that rewrites headers."},
			{ForHAProxy, "Look for http-response del-header."},
			{ForApp, "Answer with both fields (RFC 6455 section 4.2.2)."},
		},
	},
	AcceptWrong: {
		sentence: "The 101's Sec-WebSocket-Accept does not fit the key that was sent, as if it were a copy of another answer.",
		fixes: []Fix{
			{ForApp, "Compute it from the Sec-WebSocket-Key of this very request (RFC 6455 section 4.2.2); a library does."},
			{ForWsfront, "It refuses such an answer; look for a cache or a second proxy between it and the backend."},
			{ForApache, "Keep the cache and rewriting modules away from this path."},
			{ForNginx, "Keep the cache away from this path:\n    proxy_cache off;"},
		},
	},
	SubprotocolLost: {
		symptom:  "D24",
		sentence: "A subprotocol was offered and the 101 chooses none, or one that was not offered: browsers close the socket then.",
		fixes: []Fix{
			{ForApp, "Choose one of those offered and say it in Sec-WebSocket-Protocol, or have the page offer none."},
			{ForPage, "Leave out the second argument where the server knows no subprotocol:\n    new WebSocket(url)"},
			{ForWsfront, "It passes the field both ways:" + tunnelWsfront},
			{ForApache, "Look for RequestHeader unset Sec-WebSocket-Protocol, and its Header unset."},
			{ForNginx, "nginx passes the field; look for proxy_set_header Sec-WebSocket-Protocol and proxy_hide_header."},
		},
	},
	HTTP2Tunnel: {
		symptom:  "D20",
		sentence: "The server offers WebSockets over HTTP/2 and fails there, so that browsers that use it get no tunnel, while HTTP/1.1 works.",
		fixes: []Fix{
			{ForWsfront, "It takes WebSockets by HTTP/1.1 towards backends, whatever the client speaks:" + tunnelWsfront},
			{ForApache, "Do not offer it (it is off by default):\n    H2WebSockets off"},
			{ForHAProxy, "Do not offer it, or keep HTTP/2 away from the backend (server ... alpn http/1.1):\n    h2-workaround-bogus-websocket-clients"},
			{ForCaddy, "Keep HTTP/2 away from the backend:\n    transport http { versions 1.1 }"},
		},
	},
	FramesBroken: {
		symptom:  "D25",
		sentence: "What follows the 101 is no sequence of valid WebSocket frames: bytes are put between them, or compression is used that was not agreed on.",
		fixes: []Fix{
			{ForWsfront, "It passes the bytes as they are, and names the side that breaks the rules:\n    validate: true"},
			{ForApache, "Keep output filters (mod_substitute, mod_deflate, mod_pagespeed) away from this path, and do not touch Sec-WebSocket-Extensions."},
			{ForNginx, "Keep sub_filter and gzip away from this path, and pass Sec-WebSocket-Extensions both ways or neither."},
			{ForHAProxy, "Delete Sec-WebSocket-Extensions in the request if it is deleted in the answer."},
			{ForApp, "Compress only what was negotiated: an extension that the client did not get back in the 101 is not in use. Do not write to the socket beside the library."},
		},
	},
	ClosedAtOnce: {
		sentence: "The WebSocket opens and is closed at once: the server behind it does not want this client, or fails right after the handshake.",
		fixes: []Fix{
			{ForApp, "Read its log: a handler that ends, an exception in the first lines, or a check of user or Origin behind the handshake."},
			{ForWsfront, "tunnel.close in the log has the close code and who closed."},
		},
	},
	NoPong: {
		sentence: "A ping is not answered: the server behind the 101 does not read, or does not speak WebSocket to the end.",
		fixes: []Fix{
			{ForApp, "Read from the socket all the time, even if pages send nothing; libraries answer pings only while somebody reads."},
			{ForWsfront, "It answers pings by itself where it ends the WebSocket (push routes, mode: message)."},
		},
	},
	IdleCut: {
		symptom:  "D14",
		sentence: "A tunnel is cut when nothing passes for a while: an idle timeout on the way, meant for requests.",
		fixes: []Fix{
			{ForWsfront, "It cuts no silent tunnel unless told to; for timeouts of others on the way it pings:\n    ping: 25s"},
			{ForApache, "Raise the timeout for this path, and have the server ping more often than that:\n    ProxyPass \"/websocket\" \"http://127.0.0.1:9000/websocket\" upgrade=websocket timeout=3600\n    Timeout 3600"},
			{ForNginx, "Raise the timeout in this location, and have the server ping more often than that:\n    proxy_read_timeout 1h;\n    proxy_send_timeout 1h;"},
			{ForHAProxy, "Give tunnels a timeout of their own:\n    timeout tunnel 1h"},
			{ForCaddy, "Remove read_timeout and stream_timeout from the transport."},
			{ForTraefik, "Raise the timeouts of the entry point:\n    transport: {respondingTimeouts: {readTimeout: 0, idleTimeout: 3600s}}"},
			{ForApp, "Send a ping every 25 s, which also keeps NAT and load balancers awake."},
		},
	},
	StreamBuffered: {
		symptom:  "D32",
		sentence: "An event stream is held back and arrives in lumps: something on the way buffers or compresses it.",
		fixes: []Fix{
			{ForWsfront, "It passes each piece as it comes:\n    - {path: /, app: \"http://127.0.0.1:8080\"}"},
			{ForApache, "Send each piece on, and leave event streams out of mod_deflate:\n    ProxyPass \"/events\" \"http://127.0.0.1:9000/events\" flushpackets=on"},
			{ForNginx, "Turn buffering off in this location, or send X-Accel-Buffering: no with the stream:\n    proxy_buffering off;"},
			{ForHAProxy, "Leave text/event-stream out of compression type."},
			{ForCaddy, "Send each piece on:\n    reverse_proxy /events* 127.0.0.1:9000 { flush_interval -1 }"},
			{ForApp, "Send Content-Type: text/event-stream and X-Accel-Buffering: no, and flush after each event."},
		},
	},
}
