package admin

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Access says who may ask at a listener.
type Access struct {
	// Token is asked for, nil for none: whoever can connect may do everything then.
	Token *Token
	// Host is a name by which it may be called besides localhost and addresses: that
	// of admin.listen, or SocketHost; "" for none.
	Host string
}

// SocketHost is what clients call the socket in the state folder. At an address it
// is a name like any other, to which somebody else's network may give a meaning.
const SocketHost = "admin"

// Handler answers what comes by a listener.
func Handler(s Sources, a Access) http.Handler {
	m := http.NewServeMux()
	for _, e := range endpoints(s) {
		if e.served {
			m.HandleFunc(e.pattern, a.guarded(e))
		}
	}
	m.HandleFunc("POST /login", a.login)
	origins := http.NewCrossOriginProtection()
	origins.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "this came from a page of another site, which may not give orders here", http.StatusForbidden)
	}))
	return a.atHome(origins.Handler(m))
}

// guarded lets those in who may ask for an endpoint, for as long as it may take.
func (a Access) guarded(e endpoint) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		handle := e.handle
		switch {
		case a.Token == nil:
		case e.public != nil && r.Header.Get("Authorization") == "":
			handle = e.public
		case !a.Token.admits(w, r):
			return
		}
		within(w, e.lasts)
		if e.lasts == 0 && a.Token != nil {
			ctx, stop := a.Token.whileAdmitted(r)
			defer stop()
			r = r.WithContext(ctx)
		}
		handle(w, r)
	}
}

// within bounds the time for what is left of a request and for its answer; 0 is as
// long as they like.
func within(w http.ResponseWriter, lasts time.Duration) {
	var end time.Time
	if lasts > 0 {
		end = time.Now().Add(lasts)
	}
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(end)
	_ = control.SetWriteDeadline(end)
}

// atHome turns away what a browser sends for a page of another site. Without a
// token the name in Host is all that tells such a page from ours once its name
// leads to this address (DNS rebinding); a page cannot do that with an address.
func (a Access) atHome(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		within(w, requestTimeout) // for those who are turned away as well
		head := w.Header()
		head.Set("Cache-Control", "no-store")
		head.Set("X-Content-Type-Options", "nosniff")
		head.Set("Cross-Origin-Resource-Policy", "same-origin")
		head.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		switch {
		case a.Token == nil && !a.knows(r.Host):
			http.Error(w, "this is wsfront's admin listener, and answers to localhost and addresses alone; write such a one in place of the name", http.StatusMisdirectedRequest)
		case fromElsewhere(r):
			http.Error(w, "this came from a page of another site; open it by its address", http.StatusForbidden)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// knows reports whether a request by this Host field is meant for this listener.
// Browsers always send one.
func (a Access) knows(field string) bool {
	host := (&url.URL{Host: field}).Hostname()
	if _, err := netip.ParseAddr(host); err == nil || field == "" {
		return true
	}
	host = strings.ToLower(host)
	return host == "localhost" || a.Host != "" && host == strings.ToLower(a.Host)
}

// fromElsewhere reports whether a browser asks for a page of another site, other
// than by a link: an image, a script or a stream of events. Its answer could not
// be read there, yet to make it costs something.
func fromElsewhere(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	return (site == "cross-site" || site == "same-site") && (r.Header.Get("Sec-Fetch-Mode") != "navigate" || r.Header.Get("Sec-Fetch-Dest") != "document")
}

// login begins the session of a browser by the token, and leads to the page.
func (a Access) login(w http.ResponseWriter, r *http.Request) {
	if a.Token != nil && !a.Token.login(w, r) {
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}
