package statuspage

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"fmt"
	"net/http"
	"path"
	"time"

	"wsfront/cmd/internal/admin"
	"wsfront/proxy"
)

//go:embed index.html page
var files embed.FS

// policy lets the page load and call nothing but this server, and lets no text
// become markup or script, whatever a user agent has in it.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// Sources are what the page shows. They may be called concurrently.
type Sources struct {
	// Status is what GET /status answers.
	Status func(context.Context) admin.Status
	// Tunnels are all that are open.
	Tunnels func() []proxy.TunnelState
}

// Page is the status page. Its methods may be called concurrently.
type Page struct {
	feed    *feed
	handler http.Handler
}

// New makes a page. It shows nothing live before Run is called.
func New(sources Sources) (*Page, error) {
	f, err := newFeed(sources)
	if err != nil {
		return nil, fmt.Errorf("make the status page's push service: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /events", f)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { serveFile(w, r, "index.html") })
	mux.HandleFunc("GET /page/{file}", func(w http.ResponseWriter, r *http.Request) {
		serveFile(w, r, "page/"+r.PathValue("file"))
	})
	return &Page{feed: f, handler: guarded(mux)}, nil
}

// Handler answers GET /, /page/... and /events. Only /events tells anything of the
// server: the others may be had without a token, so that the page can ask for it.
// An answer of /events lasts for as long as the client listens, and ends when Run
// does; the ResponseWriter must be able to flush and to set write deadlines.
func (p *Page) Handler() http.Handler { return p.handler }

// Run tells those who listen to /events what happens until ctx is done, and ends
// their streams then.
func (p *Page) Run(ctx context.Context) error { return p.feed.run(ctx) }

// guarded adds the fields that keep the page to itself.
func guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", policy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}

// serveFile serves a file of the page, which a browser asks about each time: after
// an upgrade it is another one.
func serveFile(w http.ResponseWriter, r *http.Request, name string) {
	text, err := files.ReadFile(name)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	header := w.Header()
	header.Set("Content-Type", contentType(name))
	header.Set("Cache-Control", "no-cache")
	header.Set("ETag", fmt.Sprintf(`"%x"`, sha256.Sum256(text)))
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(text))
}

// contentType does not ask the system's tables, which differ.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	}
	return "image/svg+xml"
}
