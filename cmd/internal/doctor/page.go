package doctor

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"wsfront/proxy/diagnosis"
)

const (
	// maxRedirects is how many redirects to the same host a page may take.
	maxRedirects = 5
	// maxScripts is how many scripts of a page are read.
	maxScripts = 10
)

// lookAtPage reads a page and the scripts of its own host that it names, and
// looks for what a browser refuses to open from it.
func (e *exam) lookAtPage(ctx context.Context) {
	asked, err := parseTarget(e.o.Page)
	if err != nil {
		return // prepare has checked it
	}
	page, t, ok := e.visit(ctx, asked)
	if !ok {
		return
	}
	text := string(page.body)
	if !t.secure() {
		e.step("page", OK, "it is http://, from where ws:// may be opened")
		return
	}
	if upgrades(page, text) {
		e.step("page", OK, "its Content-Security-Policy has browsers open wss:// in place of ws://")
		return
	}
	found := insecureSockets(t.path, text)
	scripts := linkedScripts(t, text)
	for i, script := range scripts {
		if i == maxScripts || len(found) > 0 {
			break
		}
		if a, err := e.fetchAnywhere(ctx, script); err == nil && a.status == 200 {
			found = append(found, inScript(script.path, string(a.body), 1)...)
		}
	}
	if len(found) == 0 && t != asked {
		e.step("page", Warning, "it leads to %s, which has no ws://; a page behind a login cannot be looked at", t)
		return
	}
	if len(found) == 0 {
		e.step("page", OK, "no ws:// in the page and in %d scripts of its own host", min(len(scripts), maxScripts))
		return
	}
	e.step("page", Failed, "it opens ws:// (%s)", found[0])
	severity := some
	if e.target.scheme == "ws" {
		severity = certain // what was examined is what no browser will ask for
	}
	e.find(severity, diagnosis.MixedContent, found[:min(len(found), 3)]...)
}

// visit follows redirects on the page's own host, and tells a loop.
func (e *exam) visit(ctx context.Context, t target) (*answer, target, bool) {
	for range maxRedirects {
		a, err := e.fetchAnywhere(ctx, t)
		if err != nil {
			e.step("page", Warning, "%s cannot be read: %v", t, visible(reason(err).Error()))
			return nil, t, false
		}
		if a.status < 300 || a.status >= 400 {
			if a.status != 200 {
				e.step("page", Warning, "%s is answered %s; what it shows was looked through all the same", t, a.brief())
			}
			return a, t, true
		}
		next, ok := e.redirectOf(t, a)
		if !ok {
			return nil, t, false
		}
		t = next
	}
	e.step("page", Failed, "more than %d redirects, the last to %s", maxRedirects, t)
	e.find(some, diagnosis.RedirectLoop, fmt.Sprintf("%d redirects on this host, the last to %s", maxRedirects, t))
	return nil, t, false
}

// redirectOf is where an answer leads on the same host.
func (e *exam) redirectOf(t target, a *answer) (target, bool) {
	base := url.URL{Scheme: t.scheme, Host: t.host}
	from, err := base.Parse(t.path)
	if err != nil {
		return t, false
	}
	to, err := from.Parse(a.get("Location"))
	if err != nil {
		e.step("page", Warning, "a redirect to %q, which is no URL", visible(a.get("Location")))
		return t, false
	}
	next, err := parseTarget(to.String())
	switch {
	case err != nil || next.hostname != t.hostname:
		e.step("page", Warning, "it leads to %s; name that page to have it looked at", visible(to.String()))
		return t, false
	case next == t:
		e.step("page", Failed, "%s leads to itself", t)
		e.find(some, diagnosis.RedirectLoop, fmt.Sprintf("%s is answered %s", t, a.brief()))
		return t, false
	}
	return next, true
}

// fetchAnywhere asks for a page at the address of its own host.
func (e *exam) fetchAnywhere(ctx context.Context, t target) (*answer, error) {
	addrs, err := e.lookup(ctx, t.hostname, t.port)
	if err != nil {
		return nil, err
	}
	var a *answer
	for _, addr := range addrs[:min(len(addrs), maxAddresses)] {
		if a, err = e.fetch(ctx, t, addr.String(), "text/html,*/*;q=0.8"); err == nil {
			return a, nil
		}
	}
	return nil, err
}

// upgrades reports whether a page's policy has browsers open wss:// for ws://.
func upgrades(a *answer, text string) bool {
	const directive = "upgrade-insecure-requests"
	for _, policy := range a.fields.Values("Content-Security-Policy") {
		if strings.Contains(strings.ToLower(policy), directive) {
			return true
		}
	}
	found := false
	scanTags(text, func(tag string, _ int) {
		tag = strings.ToLower(tag)
		found = found || strings.HasPrefix(tag, "meta") && strings.Contains(tag, "content-security-policy") && strings.Contains(tag, directive)
	}, func(string, int) {})
	return found
}
