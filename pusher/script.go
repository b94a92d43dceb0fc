package pusher

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	_ "embed"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// pushScript is the client for pages, which the npm package in
// deploy/push-client has a copy of.
//
//go:embed client/push.js
var pushScript []byte

// script answers with pushScript in one of its forms.
type script struct{ plain, zipped scriptForm }

// scriptForm is a representation with a tag of its own (RFC 9110 §8.8.3).
type scriptForm struct {
	body      []byte
	tag       string
	zipped    bool
	sizeField string
}

// Script makes the handler of push.js, the ES module with which a page
// reconnects and resumes. It answers GET and HEAD, gzipped where that is
// accepted, whatever the path; caches ask each time whether there is a new one,
// so that pages never run an older client than their server's. Pages of every
// origin may import it: it holds nothing but the program.
func Script() http.Handler {
	var zipped bytes.Buffer
	w, _ := gzip.NewWriterLevel(&zipped, gzip.BestCompression) // the level is valid
	w.Write(pushScript)                                        // a Buffer takes everything
	w.Close()
	return &script{newScriptForm(pushScript, false), newScriptForm(zipped.Bytes(), true)}
}

func newScriptForm(body []byte, zipped bool) scriptForm {
	return scriptForm{body, fmt.Sprintf(`"%x"`, sha256.Sum256(body)), zipped, strconv.Itoa(len(body))}
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "405 Method Not Allowed: this is a script; GET it", http.StatusMethodNotAllowed)
		return
	}
	f := &s.plain
	if acceptsGzip(r.Header["Accept-Encoding"]) {
		f = &s.zipped
	}
	h.Set("ETag", f.tag)
	h.Set("Cache-Control", "no-cache")
	h.Set("Vary", "Accept-Encoding")
	h.Set("Access-Control-Allow-Origin", "*") // modules are fetched by CORS, scripts of old are not
	// The quotes are part of the tag, so that it is found in a list, behind W/
	// as well (RFC 9110 §13.1.2), and in no other tag.
	if strings.Contains(strings.Join(r.Header["If-None-Match"], ","), f.tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if f.zipped {
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("Content-Type", "text/javascript; charset=utf-8")
	h.Set("Content-Length", f.sizeField)
	h.Set("X-Content-Type-Options", "nosniff")
	if r.Method == http.MethodGet {
		w.Write(f.body)
	}
}

// acceptsGzip reads Accept-Encoding (RFC 9110 §12.5.3). A weight counts only as
// zero or not: what is smaller is better for everyone.
func acceptsGzip(accept []string) bool {
	var any bool
	for coding := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		name, weight, _ := strings.Cut(coding, ";")
		name = strings.TrimSpace(name)
		_, q, weighted := strings.Cut(weight, "=")
		wanted := !weighted || strings.Trim(q, " \t0.") != ""
		switch {
		case strings.EqualFold(name, "gzip"), strings.EqualFold(name, "x-gzip"):
			return wanted
		case name == "*":
			any = wanted
		}
	}
	return any
}
