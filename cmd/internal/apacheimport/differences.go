package apacheimport

import "slices"

// differences tells what is otherwise than in Apache by what wsfront does with
// any request.
func (im *importer) differences(vhosts []*vhost) {
	var apps, files, answers, secure, slashes bool
	for _, s := range im.sites {
		secure = secure || s.tls != "off"
		for _, r := range s.routes {
			apps = apps || r.kind == "app"
			files = files || r.kind == "files"
			answers = answers || files || r.kind == "redirect"
			slashes = slashes || r.kind == "app" && !slices.ContainsFunc(r.options, func(o option) bool { return o.name == "encoded_slashes" })
		}
	}
	for _, v := range vhosts {
		for _, rl := range v.allRules() {
			answers = answers || rl.act.kind == toNext || len(rl.except) > 0
		}
	}
	if apps {
		im.remark("routes with app take WebSocket handshakes, too, where Apache sent the backend a plain request without Upgrade, or none")
	}
	if files {
		im.remark("a folder without index.html gets 404: wsfront lists no folders, and sends nobody to the slash behind them")
	}
	if answers {
		im.remark("a WebSocket handshake for a file, a redirect or a path that is excepted goes to the app or tunnel around it, or gets 404 where there is none: browsers take no such answer")
	}
	if secure {
		im.remark("a WebSocket handshake at plain http gets 403, where Apache redirected it to https: browsers follow no redirect there, so that pages have to open wss://. insecure_websocket: on at the site takes both")
	}
	if slashes {
		im.remark("a path with %2F gets 400, in Apache 404; encoded_slashes: on at the route lets it through")
	}
}
