package doctor

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strings"
)

// userAgent names who asks, in the form that browsers have, as some servers
// refuse any other.
const userAgent = "Mozilla/5.0 (compatible; wsfront-doctor)"

// getRequest is a plain request as a page's script or address line makes it.
func getRequest(t target, accept string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nUser-Agent: %s\r\nAccept: %s\r\nAccept-Language: en\r\n\r\n", t.path, t.host, userAgent, accept)
	return b.Bytes()
}

// fetch asks for t at an address, on a connection of its own.
func (e *exam) fetch(ctx context.Context, t target, address, accept string) (*answer, error) {
	conn, err := e.connectTo(ctx, t, address, "http/1.1")
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	a, _, err := exchange(ctx, conn, getRequest(t, accept))
	return a, err
}

// redirected looks whether plain HTTP leads to https, where both have their
// usual ports. That is for pages: no browser follows a redirect for a WebSocket.
func (e *exam) redirected(ctx context.Context) {
	host, port, err := net.SplitHostPort(e.addrs[0])
	if err != nil || e.target.scheme != "wss" || port != "443" {
		e.step("redirect", Skipped, "for wss:// at port 443 only")
		return
	}
	plain := e.target
	plain.scheme, plain.port = "http", "80"
	a, err := e.fetch(ctx, plain, net.JoinHostPort(host, plain.port), "text/html")
	e.judgeRedirect(a, err)
}

// judgeRedirect looks at what port 80 said.
func (e *exam) judgeRedirect(a *answer, err error) {
	switch {
	case err != nil:
		e.step("redirect", Warning, "port 80: %s; whoever types the name without https:// gets no page", visible(reason(err).Error()))
	case a.status >= 300 && a.status < 400 && strings.HasPrefix(a.get("Location"), "https://"):
		e.step("redirect", OK, "%s", a.brief())
	default:
		e.step("redirect", Warning, "port 80 answers %s in place of a redirect to https", a.brief())
	}
}

// ask sends a plain GET of the path, to compare with: nothing is wrong with any
// answer to that.
func (e *exam) ask(ctx context.Context) {
	a, err := e.fetch(ctx, e.target, e.addrs[0], "*/*")
	if err != nil {
		e.step("get", Warning, "no answer to a plain GET: %v", visible(reason(err).Error()))
		return
	}
	e.page = a
	e.meet(a)
	e.step("get", OK, "a plain GET is answered %s", a.brief())
}

// sameAsPage reports whether an answer is that to the plain GET.
func (e *exam) sameAsPage(a *answer) bool {
	return e.page != nil && e.page.status == a.status && bytes.Equal(e.page.body, a.body)
}
