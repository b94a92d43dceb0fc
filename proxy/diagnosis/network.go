package diagnosis

// network are the causes that come before there is a question: names, ports
// and TLS.
var network = map[Cause]entry{
	NameUnknown: {
		sentence: "The name has no address, so that no browser finds the server.",
		fixes: []Fix{
			{ForPage, "Compare the name in the page's URL with the one in DNS; a server can be tried before DNS points to it by --resolve HOST:ADDRESS."},
			{ForWsfront, "Add an A record, and an AAAA record only for an IPv6 address at which the server listens, for each name under hosts."},
		},
	},
	PortRefused: {
		sentence: "Nothing listens at the address and port.",
		fixes: []Fix{
			{ForWsfront, "Start wsfront, and see what listens (ss -ltnp); its addresses are under listen:\n    listen: \":443\""},
			{ForApache, "Start Apache (systemctl status apache2), with TLS on (a2enmod ssl) and the port opened:\n    Listen 443"},
			{ForNginx, "Start nginx (systemctl status nginx), with the port in the server block:\n    listen 443 ssl;"},
			{ForHAProxy, "Start HAProxy, with the port in its frontend:\n    bind :443 ssl crt /etc/haproxy/app.pem"},
		},
	},
	PortSilent: {
		sentence: "No answer comes: mostly a firewall drops the packets, or a process hangs behind a port that still takes connections.",
		fixes: []Fix{
			{ForWsfront, "Open the port in the machine's and the provider's firewall, such as: ufw allow 443/tcp. See on the server whether the connection arrives: ss -tn sport = :443."},
		},
	},
	FamilyDead: {
		sentence: "The name has both IPv4 and IPv6 addresses, and the server is reached by one of them only.",
		fixes: []Fix{
			{ForWsfront, "Listen for both, or take the record of the dead one out of DNS:\n    listen: \":443\""},
			{ForApache, "Listen for both, or take the record of the dead one out of DNS:\n    Listen [::]:443"},
			{ForNginx, "Listen for both, or take the record of the dead one out of DNS:\n    listen 443 ssl;\n    listen [::]:443 ssl;"},
			{ForHAProxy, "Listen for both, or take the record of the dead one out of DNS:\n    bind :::443 v4v6 ssl crt /etc/haproxy/app.pem"},
		},
	},
	TLSMissing: {
		sentence: "The port speaks plain HTTP, and wss:// needs TLS there.",
		fixes: []Fix{
			{ForWsfront, "Serve the site by TLS, under listen and not under http_listen:\n    listen: \":443\"\n    sites:\n      - {hosts: [app.example.com], tls: auto, routes: [{path: /, app: \"http://127.0.0.1:8080\"}]}"},
			{ForApache, "Turn TLS on in the virtual host of this port:\n    SSLEngine on\n    SSLCertificateFile /etc/ssl/app.pem\n    SSLCertificateKeyFile /etc/ssl/app.key"},
			{ForNginx, "Write ssl behind the port:\n    listen 443 ssl;"},
			{ForHAProxy, "Write ssl and the certificate behind the port:\n    bind :443 ssl crt /etc/haproxy/app.pem"},
			{ForPage, "Where the page itself is http://, open ws:// instead."},
		},
	},
	TLSRequired: {
		symptom:  "D15",
		sentence: "The WebSocket is served by TLS only, and it was asked for without: use wss:// in place of ws://.",
		fixes: []Fix{
			{ForPage, "Take the scheme from the page's own:\n    new WebSocket((location.protocol === \"https:\" ? \"wss://\" : \"ws://\") + location.host + \"/websocket\")"},
			{ForWsfront, "Redirects help pages, but no browser follows one for a WebSocket; the site can take ws:// all the same:\n    insecure_websocket: on"},
		},
	},
	TLSUntrusted: {
		sentence: "The certificate is self-signed or of a CA that browsers do not know, so that they refuse the connection without asking anybody.",
		fixes: []Fix{
			{ForWsfront, "Have a certificate issued, or have the browsers trust the internal CA (wsfront trust):\n    tls: auto"},
			{ForApache, "Have a certificate issued by a public CA, such as by certbot --apache, and name its full chain:\n    SSLCertificateFile /etc/letsencrypt/live/app.example.com/fullchain.pem"},
			{ForNginx, "Have a certificate issued by a public CA, such as by certbot --nginx, and name its full chain:\n    ssl_certificate /etc/letsencrypt/live/app.example.com/fullchain.pem;"},
			{ForHAProxy, "Have a certificate issued by a public CA, and join its chain and key in the file of crt."},
			{ForCaddy, "Remove tls internal, so that Caddy obtains a public certificate."},
		},
	},
	TLSChain: {
		sentence: "The server sends its own certificate alone, without the intermediate one that leads to a known CA, so that clients that have not met it elsewhere cannot verify it.",
		fixes: []Fix{
			{ForWsfront, "Put the intermediate certificate behind the site's own in the file of cert (fullchain.pem in place of cert.pem):\n    tls: {cert: /etc/ssl/fullchain.pem, key: /etc/ssl/app.key}"},
			{ForApache, "Name the full chain:\n    SSLCertificateFile /etc/letsencrypt/live/app.example.com/fullchain.pem"},
			{ForNginx, "Name the full chain:\n    ssl_certificate /etc/letsencrypt/live/app.example.com/fullchain.pem;"},
			{ForHAProxy, "Put the chain behind the certificate in the file of crt: cat fullchain.pem app.key > /etc/haproxy/app.pem"},
		},
	},
	TLSName: {
		symptom:  "D34",
		sentence: "The server has no certificate for the name in the URL, and the one that it sends, if any, is for other names.",
		fixes: []Fix{
			{ForWsfront, "Add the name to the site's hosts, for which certificates are obtained, or use one of the certificate's names in the page:\n    hosts: [app.example.com, www.example.com]"},
			{ForApache, "Have the certificate reissued with this name, and see which virtual host answers (apache2ctl -S):\n    ServerName app.example.com"},
			{ForNginx, "Have the certificate reissued with this name, and see which server block answers (nginx -T):\n    server_name app.example.com;"},
			{ForHAProxy, "Put a certificate with this name beside the others: bind :443 ssl crt /etc/haproxy/certs/"},
		},
	},
	TLSExpired: {
		sentence: "The certificate is not valid now: it has expired, or is for later, or this machine's clock is wrong.",
		fixes: []Fix{
			{ForWsfront, "Let wsfront renew it by itself, or put the renewed pair into the files that are named, which are watched:\n    tls: auto"},
			{ForApache, "Renew it and have Apache read it again: certbot renew, then apache2ctl graceful. Let the renewal do so each time:\n    certbot renew --deploy-hook \"apache2ctl graceful\""},
			{ForNginx, "Renew it and have nginx read it again: certbot renew, then nginx -s reload. Let the renewal do so each time:\n    certbot renew --deploy-hook \"nginx -s reload\""},
			{ForHAProxy, "Renew it, join chain and key anew, and reload HAProxy."},
		},
	},
	TLSOld: {
		sentence: "The server speaks TLS 1.0 or 1.1 only, which browsers refuse.",
		fixes: []Fix{
			{ForWsfront, "Put wsfront in front of it, which speaks TLS 1.2 and 1.3."},
			{ForApache, "Allow what browsers speak; it takes OpenSSL 1.0.1 or later:\n    SSLProtocol -all +TLSv1.2 +TLSv1.3"},
			{ForNginx, "Allow what browsers speak:\n    ssl_protocols TLSv1.2 TLSv1.3;"},
			{ForHAProxy, "Allow what browsers speak, in global:\n    ssl-default-bind-options ssl-min-ver TLSv1.2"},
		},
	},
	TLSFailed: {
		sentence: "The TLS handshake fails: the server refuses it, or has no certificate for this name.",
		fixes: []Fix{
			{ForWsfront, "Look for cert.refused and cert.failed in the log; the name has to be among the site's hosts:\n    hosts: [app.example.com]"},
			{ForApache, "Read the error log, and see which virtual host answers: apache2ctl -S"},
			{ForNginx, "Read the error log; a server block with ssl needs a certificate, and must not say ssl_reject_handshake for this name."},
		},
	},
	MixedContent: {
		symptom:  "D15",
		sentence: "The page is https and opens ws://, which browsers refuse before anything is sent.",
		fixes: []Fix{
			{ForPage, "Take the scheme from the page's own:\n    new WebSocket((location.protocol === \"https:\" ? \"wss://\" : \"ws://\") + location.host + \"/websocket\")"},
			{ForWsfront, "It heals such pages as they are, by a second Content-Security-Policy field on HTML over https, unless it is turned off:\n    upgrade_insecure: on"},
			{ForApache, "Have browsers upgrade it (a2enmod headers), on https only:\n    Header always add Content-Security-Policy upgrade-insecure-requests"},
			{ForNginx, "Have browsers upgrade it, on https only:\n    add_header Content-Security-Policy upgrade-insecure-requests always;"},
			{ForHAProxy, "Have browsers upgrade it:\n    http-response add-header Content-Security-Policy upgrade-insecure-requests if { ssl_fc }"},
			{ForCaddy, "Have browsers upgrade it:\n    header +Content-Security-Policy upgrade-insecure-requests"},
			{ForApp, "Where the application writes the URL, it must know that the page is https: have the front send X-Forwarded-Proto, and in Django believe it:\n    SECURE_PROXY_SSL_HEADER = (\"HTTP_X_FORWARDED_PROTO\", \"https\")"},
		},
	},
}
