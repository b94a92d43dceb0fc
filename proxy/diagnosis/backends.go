package diagnosis

// backends are answers of a front that could not get one from behind.
var backends = map[Cause]entry{
	ModuleMissing: {
		symptom:  "D6",
		sentence: "Apache fails before it reaches the backend: a proxy module for the target's scheme is not loaded, or TLS towards the backend is not turned on.",
		fixes: []Fix{
			{ForApache, "For a wss:// or https:// target say SSLProxyEngine on in the virtual host (AH01961 in the error log). Else load the modules and restart; the name has no mod_ in front:\n    a2enmod proxy proxy_http proxy_wstunnel\n    systemctl restart apache2"},
			{ForWsfront, "Nothing has to be loaded:" + tunnelWsfront},
			{ForApp, "Where Apache's error log has neither AH01144 nor AH01961, the application itself failed."},
		},
	},
	RewriteWithoutProxy: {
		symptom:  "D8",
		sentence: "Apache refuses the path by itself: a rewrite rule with [P] without mod_proxy, or a Require that denies it.",
		fixes: []Fix{
			{ForApache, "Where the error log has AH00669, load the modules and restart; else look for Require all denied at this path:\n    a2enmod proxy proxy_http proxy_wstunnel\n    systemctl restart apache2"},
			{ForWsfront, "A tunnel needs no rewrite rule:" + tunnelWsfront},
		},
	},
	BackendScheme: {
		symptom:  "D9",
		sentence: "The front speaks another protocol than the backend does at that port: plain HTTP to TLS or the other way round, or to something that is no HTTP server.",
		fixes: []Fix{
			{ForWsfront, "Write ws:// or http:// for a plain backend, wss:// or https:// for one with TLS:\n    - {path: /websocket, tunnel: \"wss://127.0.0.1:9443\"}"},
			{ForApache, "Write http:// or ws:// for a plain backend; for one with TLS https:// or wss://, with this in the virtual host:\n    SSLProxyEngine on"},
			{ForNginx, "Write what the backend speaks:\n    proxy_pass https://127.0.0.1:9443;"},
			{ForHAProxy, "Say ssl on the server's line if and only if it speaks TLS:\n    server push 127.0.0.1:9443 ssl verify required ca-file /etc/ssl/certs/ca-certificates.crt"},
			{ForCaddy, "Write what the backend speaks:\n    reverse_proxy /websocket* https://127.0.0.1:9443"},
			{ForTraefik, "Write what the backend speaks:\n    servers: [{url: \"https://127.0.0.1:9443\"}]"},
		},
	},
	BackendTLS: {
		sentence: "The front does not accept the backend's certificate: unknown CA, other name, or expired.",
		fixes: []Fix{
			{ForWsfront, "Name the CA that issued it, and the name in it:\n    backend_tls: {ca: /etc/wsfront/backend-ca.pem, server_name: push.internal}"},
			{ForApache, "Name the CA, and see that the certificate has the target's name:\n    SSLProxyCACertificateFile /etc/ssl/backend-ca.pem"},
			{ForNginx, "Name the CA and the name:\n    proxy_ssl_trusted_certificate /etc/ssl/backend-ca.pem;\n    proxy_ssl_name push.internal;"},
			{ForHAProxy, "Name the CA:\n    server push 127.0.0.1:9443 ssl verify required ca-file /etc/ssl/backend-ca.pem"},
			{ForCaddy, "Name the CA:\n    reverse_proxy /websocket* https://127.0.0.1:9443 {\n        transport http {\n            tls_trusted_ca_certs /etc/ssl/backend-ca.pem\n        }\n    }"},
		},
	},
	BackendDown: {
		symptom:  "D10",
		sentence: "The front cannot reach the WebSocket's server: it is not running, or listens at another address.",
		fixes: []Fix{
			{ForWsfront, "Start it, and compare its address (ss -ltnp) with the route's; wsfront check tries all of them:\n    - {path: /websocket, tunnel: \"ws://127.0.0.1:9000\"}"},
			{ForApache, "Start it. Apache then still refuses for 60 s unless told otherwise, and may be forbidden to connect (SELinux: setsebool -P httpd_can_network_connect 1):\n    ProxyPass \"/websocket\" \"http://127.0.0.1:9000/websocket\" upgrade=websocket retry=0"},
			{ForNginx, "Start it, and compare its address; localhost may mean ::1:\n    proxy_pass http://127.0.0.1:9000;"},
			{ForHAProxy, "Start it, and see what its health check says (echo 'show servers state' | socat stdio /run/haproxy/admin.sock)."},
			{ForCaddy, "Start it, and compare its address:" + tunnelCaddy},
			{ForTraefik, "Start it, and see that Traefik finds its port:\n    servers: [{url: \"http://127.0.0.1:9000\"}]"},
		},
	},
	BackendSilent: {
		sentence: "The request is taken and not answered in time: the WebSocket's server hangs, has no free worker, or a firewall stands before it.",
		fixes: []Fix{
			{ForApp, "See what the server does with the handshake; a synchronous worker (gunicorn sync) that holds a socket answers nobody else."},
			{ForWsfront, "It waits for 60 s, which is enough unless the server is busy:\n    response_timeout: 60s"},
			{ForApache, "Raise the threads that Apache has, where they are used up (AH00484 in the error log):\n    ServerLimit 40\n    MaxRequestWorkers 1000"},
		},
	},
	AnswerMissing: {
		symptom:  "D9",
		sentence: "The connection is closed in place of an answer to the handshake.",
		fixes: []Fix{
			{ForApp, "Read the server's log; a process that crashes at the handshake looks like this, and so does one that expects TLS or another protocol."},
			{ForNginx, "Look at the server block that takes this name: return 444 closes without an answer, and listen ... proxy_protocol wants a proxy in front that speaks it."},
			{ForWsfront, "See that the port is that of the site, and for a backend that its scheme is right:\n    - {path: /websocket, tunnel: \"ws://127.0.0.1:9000\"}"},
		},
	},
	NotHTTP: {
		symptom:  "D9",
		sentence: "What answers is no HTTP server: the port belongs to another protocol.",
		fixes: []Fix{
			{ForPage, "Name the port of the web server, 443 for wss:// where none is written."},
			{ForWsfront, "Name the backend's WebSocket port:\n    - {path: /websocket, tunnel: \"ws://127.0.0.1:9000\"}"},
		},
	},
}
