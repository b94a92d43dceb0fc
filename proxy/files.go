package proxy

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
)

const (
	indexName = "index.html"

	hintNoFile   = "There is nothing at this address."
	hintReadOnly = "This address can only be read."
)

// files serves a folder, or the one file that the route names.
//
// The folder is opened anew for each request, one openat more: a deployment
// that swaps the folder, or the symbolic link that the route names, is seen at
// once, a folder that is mounted later needs no restart, and nothing has to be
// given back at reload.
type files struct {
	route      *route
	compressor *compressor
}

// newFiles checks what there is to serve. A folder that is missing is none of
// its errors: one site's late mount must not keep the others from starting.
// Requests then answer 404, and the log says why.
func newFiles(rt *route) (*files, error) {
	f := &files{rt, newCompressor()}
	info, err := os.Stat(rt.Files)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return f, nil
	case err != nil:
	case info.IsDir():
		var root *os.Root
		if root, err = os.OpenRoot(rt.Files); err == nil {
			err = root.Close()
		}
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is neither a folder nor a plain file; name the folder whose files are to be served", rt.Files)
	case rt.Fallback != "":
		return nil, fmt.Errorf("%s is one file, beside which there is no fallback; remove that, or name a folder", rt.Files)
	case strings.HasSuffix(rt.prefix, "/"):
		return nil, fmt.Errorf("%s is one file, and path %s takes only what is below it; name a folder, or a path such as /%s",
			rt.Files, rt.Path, info.Name())
	}
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("open %s: %w; let the user that runs this program read it", rt.Files, reasonOf(err))
	case err != nil:
		return nil, fmt.Errorf("open %s: %w; name the folder whose files are to be served", rt.Files, reasonOf(err))
	}
	return f, nil
}

func (f *files) serve(x *exchange) { x.handle(f.serveHTTP) }

func (f *files) serveHTTP(w *responseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		w.fail(http.StatusMethodNotAllowed, "", hintReadOnly)
		return
	}
	name, ok := fileName(string(w.x.path[len(f.route.prefix):]))
	if !ok {
		w.fail(http.StatusNotFound, "", hintNoFile)
		return
	}
	dir, err := openFolder(f.route.Files)
	if err != nil {
		f.refuse(w, err, "")
		return
	}
	defer dir.close()
	switch e, err := dir.find(name, endsInSlash(w.x.path)); {
	case err == nil && e.bare:
		e.Close()
		redirectToFolder(w, r)
	case err == nil:
		defer e.Close()
		f.send(w, r, dir, e.name, e.openFile)
	case isNoFile(err) && f.route.Fallback != "":
		f.fallBack(w, r, dir)
	default:
		f.refuse(w, err, dir.badLink(e.name))
	}
}

// fallBack answers with the route's Fallback, as if it had been asked for: an
// application's page, whose own addresses are no files.
func (f *files) fallBack(w *responseWriter, r *http.Request, dir folder) {
	e, err := dir.find(strings.TrimPrefix(f.route.Fallback, "/"), false)
	if err == nil {
		defer e.Close()
		f.send(w, r, dir, e.name, e.openFile)
		return
	}
	link := dir.badLink(e.name)
	if link == "" && isNoFile(err) {
		link = fmt.Sprintf("the fallback %s%s is missing; create it, or correct fallback", f.route.Files, f.route.Fallback)
	}
	f.refuse(w, err, link)
}

// has reports whether a route with Fallthrough takes a request. A file that is
// there and cannot be read counts, so that the answer says so; a folder that is
// not there keeps nobody from the next route. The file is opened anew to be
// sent: should it go in between, the answer is 404.
func (f *files) has(x *exchange) bool {
	if method := string(x.req.Method); method != http.MethodGet && method != http.MethodHead {
		return false
	}
	name, ok := fileName(string(x.path[len(f.route.prefix):]))
	if !ok {
		return false
	}
	dir, err := openFolder(f.route.Files)
	if err != nil {
		return false
	}
	defer dir.close()
	e, err := dir.find(name, endsInSlash(x.path))
	if err == nil {
		e.Close()
	}
	return !isNoFile(err)
}

func endsInSlash(path []byte) bool { return path[len(path)-1] == '/' }

// isNoFile reports whether an error means that there is no such file, and no
// more than that.
func isNoFile(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ENAMETOOLONG) || errors.Is(err, syscall.ENXIO)
}

// refuse answers for a file that could not be opened. That it is missing is
// everyday and only in the access log; anything else is for the operator.
func (f *files) refuse(w *responseWriter, err error, link string) {
	switch {
	case errors.Is(err, errFolderMissing):
		w.fail(http.StatusNotFound, fmt.Sprintf("the folder %s is missing; create it, or correct files", f.route.Files), hintNoFile)
	case link != "":
		w.fail(http.StatusNotFound, link, hintNoFile)
	case isNoFile(err):
		w.fail(http.StatusNotFound, "", hintNoFile)
	case errors.Is(err, fs.ErrPermission):
		w.fail(http.StatusForbidden, err.Error()+"; let the user that runs this program read it", "This file may not be read.")
	default:
		w.fail(http.StatusInternalServerError, err.Error(), "The file could not be read.")
	}
}

// redirectToFolder sends the browser to the address with a slash behind it, to
// which the links of an index page are relative. A clean path never begins
// with two slashes, so that the Location cannot name another host.
func redirectToFolder(w *responseWriter, r *http.Request) {
	location := string(w.x.path) + "/"
	if r.URL.RawQuery != "" {
		location += "?" + r.URL.RawQuery
	}
	w.Header().Set("Location", location)
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusMovedPermanently)
}

// fileName decodes what follows a route's prefix, once, into the name of a
// file in the folder; "." is the folder itself. It refuses names that no web
// file has: with a backslash, which is a separator elsewhere, hidden ones, such
// as .git and .env, but for .well-known (RFC 8615), and PHP's. ".." is hidden
// too.
func fileName(rest string) (name string, ok bool) {
	if hasEncodedSlash(rest) {
		return "", false
	}
	name, err := url.PathUnescape(rest)
	if err != nil || strings.ContainsAny(name, "\x00\\") {
		return "", false
	}
	name = strings.TrimSuffix(strings.TrimPrefix(name, "/"), "/")
	if name == "" {
		return ".", true
	}
	for segment := range strings.SplitSeq(name, "/") {
		if segment == "" || segment[0] == '.' && segment != ".well-known" {
			return "", false
		}
	}
	return name, !isPHP(name)
}

// isPHP reports whether a name is one by which web servers know programs in
// PHP, which they run. A folder that has been one's document root is full of
// them, passwords included, and whoever serves it by wsfront does not mean to
// publish their text.
func isPHP(name string) bool {
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 {
		return false
	}
	ending := name[dot+1:]
	if len(ending) == 4 && '3' <= ending[3] && ending[3] <= '9' { // php5
		ending = ending[:3]
	}
	return strings.EqualFold(ending, "php") || strings.EqualFold(ending, "phtml") || strings.EqualFold(ending, "phps") || strings.EqualFold(ending, "phar")
}

// etag names one form of a file, the way nginx does: by the time it was
// changed and by its size. Each content coding has a name of its own, since
// bytes of one cannot be put together with those of another (RFC 9110
// §8.8.3.3).
func etag(info fs.FileInfo, coding string) string {
	tag := strconv.FormatInt(info.ModTime().Unix(), 16) + "-" + strconv.FormatInt(info.Size(), 16)
	if coding != "" {
		tag += "-" + coding
	}
	return `"` + tag + `"`
}
