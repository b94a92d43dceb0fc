package apacheimport

import "slices"

// differences tells what is otherwise than in Apache by what wsfront does with
// any request.
func (im *importer) differences(vhosts []*vhost) {
	var apps, files, answers, secure, slashes, bodies, fields bool
	isHeaders := func(o option) bool { return o.name == "headers" }
	lacks := func(r route, name string) bool {
		return r.kind == "app" && !slices.ContainsFunc(r.options, func(o option) bool { return o.name == name })
	}
	for _, s := range im.sites {
		secure = secure || s.tls != "off"
		fields = fields || slices.ContainsFunc(s.options, isHeaders)
		for _, r := range s.routes {
			apps = apps || r.kind == "app"
			fields = fields || slices.ContainsFunc(r.options, isHeaders)
			files = files || r.kind == "files"
			answers = answers || files || r.kind == "redirect"
			slashes = slashes || lacks(r, "encoded_slashes")
			bodies = bodies || lacks(r, "max_body") && s.vhost.server.maxBody == nil
		}
	}
	for _, v := range vhosts {
		for _, rl := range v.allRules() {
			answers = answers || rl.act.kind == toNext || len(rl.except) > 0
		}
	}
	if im.siteOf("*") == nil {
		im.remark("a name that no site has gets 421; Apache gave it to its first vhost")
	}
	if apps {
		im.remark("routes with app take WebSocket handshakes, too, where Apache sent the backend a plain request without Upgrade, or none")
	}
	if files {
		im.remark("a folder without index.html gets 404, and a file asked for by another method than GET and HEAD 405; Apache lists folders or redirects to the slash behind them, and takes POST. PHP programs in it get 404, too: where there are some, import on the server, where they are seen")
	}
	if answers {
		im.remark("a WebSocket handshake for a file, a redirect or a path that is excepted goes to the app or tunnel around it, or gets 404 or 403 where there is none: browsers take no such answer")
	}
	if secure {
		im.remark("a WebSocket handshake at plain http gets 403, where pages are redirected to https: browsers follow no redirect there, so that pages have to open wss://. insecure_websocket: on at the site takes both")
	}
	im.scheme(vhosts)
	if bodies {
		im.remark("uploads of more than 100 MiB get 413; Apache forwards bodies of any length. max_body at the route raises it")
	}
	if fields {
		im.remark("headers are set in answers by HTTP, not in the one that opens a WebSocket, of which browsers show no field")
	}
	if slices.ContainsFunc(im.balancerOrder, func(b *balancer) bool { return b.used && b.alias == nil && b.sticky != "" && !b.onlyOne() }) {
		im.remark("the cookie of a sticky pool is made by wsfront, in the answer that opens a WebSocket too: who has one of Apache's may get another backend, once")
	}
	if slashes {
		im.remark("a path with %2F gets 400, in Apache 404; encoded_slashes: on at the route lets it through")
	}
}

// scheme says what apps are told of https.
func (im *importer) scheme(vhosts []*vhost) {
	var forwards, told, secure bool
	for _, v := range vhosts {
		forwards = forwards || slices.ContainsFunc(v.allRules(), func(r *rule) bool { return r.act.kind == toBackend && !r.act.app })
		told = told || v.toldScheme
		secure = secure || v.secure()
	}
	switch {
	case !forwards || told:
	case secure:
		im.remark("Apache does not tell the app that its pages are asked for by https; wsfront does (X-Forwarded-Proto), so that links that were http:// become https://")
	default:
		im.remark("wsfront tells the app by which scheme it is asked (X-Forwarded-Proto), which Apache does not")
	}
}
