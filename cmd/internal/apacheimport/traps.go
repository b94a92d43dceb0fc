package apacheimport

import (
	"slices"
	"strings"

	"wsfront/cmd/internal/apacheconf"
)

// traps tells what is wrong in the original, beyond what its lines told when
// they were read.
func (im *importer) traps(vhosts []*vhost) {
	im.hostsTold()
	im.websockets(vhosts)
	for _, v := range vhosts {
		im.rewriteEngine(v)
	}
	if im.nameless && len(im.sites) > 0 {
		im.gap("no ServerName: write the names that are served into hosts in place of " + placeholder + ", or give --host NAME")
	}
}

// hostsTold says once which lines have the backend see another Host.
func (im *importer) hostsTold() {
	told := func(list []*apacheconf.Directive, message string) {
		var once []*apacheconf.Directive
		for _, d := range list {
			if !slices.Contains(once, d) && !d.Is("RewriteCond") {
				once = append(once, d)
			}
		}
		if len(once) > 0 {
			im.remark(message, once...)
		}
	}
	told(im.hostChanged, "ProxyPreserveHost is off, Apache's default, so that the backend sees its own address as Host: kept by host: at the route. Usually one wants the client's (Django's ALLOWED_HOSTS and CSRF check, a socket's check of Origin): remove host: then")
	told(im.poolHost, "ProxyPreserveHost is off, so that Apache sends each member of the balancer its own address as Host; a pool sends the client's, or what host: at the route says")
}

// websockets says what becomes of WebSockets.
func (im *importer) websockets(vhosts []*vhost) {
	any, timed := false, []*apacheconf.Directive(nil)
	for _, v := range vhosts {
		for _, r := range v.allRules() {
			if r.act.kind != toBackend || r.act.app {
				continue
			}
			any = any || im.forWebSockets(r)
			if r.act.timeout != 0 {
				timed = append(timed, r.from...)
			}
		}
		timed = append(timed, lines(v.server.timeout)...)
	}
	switch {
	case any && len(timed) > 0:
		im.remark("in Apache this was the time after which a silent WebSocket was cut, too; here it is response_timeout alone. ping: 30s at the route keeps backend and networks awake, idle_timeout cuts", timed...)
	case any:
		im.remark("Apache cuts a WebSocket that is silent for its Timeout (60 s, on Debian 300 s); wsfront does not. ping: 30s at the route keeps backend and networks awake, idle_timeout cuts")
	case im.opts.Push == "" && len(im.sites) > 0:
		im.remark("no line sends WebSockets anywhere. Where pages open one at /websocket, say: --push /websocket has the built-in push service answer it (path: /websocket, push: {channel: board}); a process of your own takes path: /websocket, tunnel: ws://127.0.0.1:PORT. Pages that hard-code ws:// work by https, too", lines(im.sites[0].vhost.section)...)
	}
}

// forWebSockets reports whether a rule was written for WebSockets.
func (im *importer) forWebSockets(r *rule) bool {
	words := strings.ToLower(strings.Join(lastLine(r.from).Args, " "))
	if strings.Contains(words, "ws://") || strings.Contains(words, "wss://") || strings.Contains(words, "upgrade=") || !r.plain && r.upgrade {
		return true
	}
	b := im.balancers[r.act.pool]
	return b != nil && slices.ContainsFunc(b.members, func(m member) bool {
		return strings.HasPrefix(strings.ToLower(m.action.written), "ws")
	})
}

// rewriteEngine says where rewrites have no effect in Apache.
func (im *importer) rewriteEngine(v *vhost) {
	if v.section == nil {
		return
	}
	for _, r := range v.rewrites {
		if r.scope.rewriting == nil && r.scope.kind == inServer {
			im.remark("RewriteEngine On is missing in this vhost, so that Apache does not look at its rewrite rules; they were imported as meant", v.section)
			return
		}
	}
}

// accessOfRest deals with sections that protect what has neither a path nor
// an expression.
func (im *importer) accessOfRest(v *vhost) {
	for _, s := range v.scopes {
		if !s.access.restricts() || s.kind != inPattern && s.kind != inRest || s.dealt {
			continue
		}
		s.dealt = true
		text := strings.ToLower(s.section.Raw)
		switch {
		case strings.Contains(text, ".ht") || strings.Contains(text, `/\.`) || strings.Contains(text, `^\.`) || strings.Contains(text, ".git"):
			im.dealtWith(s, "names that begin with a dot are not served")
			s.expr = ""
		case strings.HasPrefix(s.expr, "^[^/]"):
			im.dealtWith(s, "every path begins with a slash")
			s.expr = ""
		case v.app.whole() && !s.global:
			im.dealtWith(s, "Apache behind wsfront goes on to protect it, see below")
			s.expr = ""
		case s.expr == "":
			im.needsYou(s.section, "it protects requests that cannot be told by their path, and they are NOT protected here: write a route with path or match for them, with allow or basic_auth")
		}
	}
}

// dealtWith says of a section that protects why that is not needed.
func (im *importer) dealtWith(s *scope, because string) {
	im.fates[s.section] = fate{kind: NotNeeded, message: because}
	for _, d := range s.access.lines {
		im.fates[d] = fate{kind: NotNeeded, message: because}
	}
}
