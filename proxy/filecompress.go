package proxy

import (
	"io"
	"net/http"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// The content codings, by their registered names.
const (
	codingBrotli = "br"
	codingZstd   = "zstd"
	codingGzip   = "gzip"
)

// What is compressed while it is sent: below the lower bound the header costs
// more than it gains, and above the upper one a file is better compressed once,
// into a sibling.
const (
	minCompress = 1 << 10
	maxCompress = 10 << 20

	// maxEncoders bounds the memory that clients which read slowly can hold, at
	// about 2 MiB for each. When all are busy, files go out uncompressed.
	maxEncoders = 32

	// zstdWindow is far below the 8 MiB that a client must support (RFC 9659),
	// for memory's sake; it costs little on files of this size.
	zstdWindow = 512 << 10
)

// send answers with a file, in the best form that the client takes: a sibling
// that was compressed beforehand, the file compressed on the way, or as it is.
func (f *files) send(w *responseWriter, r *http.Request, dir folder, name string, file openFile) {
	h := w.Header()
	kind := contentType(file.info.Name())
	h.Set("Content-Type", kind)
	h.Set("X-Content-Type-Options", "nosniff")
	if !isCompressible(kind) {
		sendPlain(w, r, file)
		return
	}
	h.Add("Vary", "Accept-Encoding") // on the plain form as well: caches keep it apart by this
	accepted := acceptedCodings(r.Header["Accept-Encoding"], codingBrotli, codingZstd, codingGzip)
	for _, coding := range accepted {
		if sibling, ok := dir.sibling(name, coding, file); ok {
			defer sibling.Close()
			sendSibling(w, r, sibling, coding)
			return
		}
	}
	if size := file.info.Size(); size >= minCompress && size <= maxCompress && r.Header["Range"] == nil {
		for _, coding := range accepted {
			if coding != codingBrotli && f.compressor.send(w, r, file, coding) {
				return
			}
		}
	}
	sendPlain(w, r, file)
}

const fileEndedEarly = "the file ended early while it was sent"

func sendPlain(w *responseWriter, r *http.Request, file openFile) {
	w.Header().Set("ETag", etag(file.info, ""))
	http.ServeContent(w, r, "", file.info.ModTime(), file)
	w.cutShort()
}

// sibling opens the compressed form that lies beside a file, unless it is
// older: then it is that of an older version.
func (d folder) sibling(name, coding string, file openFile) (openFile, bool) {
	suffix := ".br"
	switch coding {
	case codingZstd:
		suffix = ".zst"
	case codingGzip:
		suffix = ".gz"
	}
	sibling, err := d.open(name + suffix)
	if err != nil {
		return openFile{}, false
	}
	if !sibling.info.Mode().IsRegular() || sibling.info.ModTime().Before(file.info.ModTime()) {
		sibling.Close()
		return openFile{}, false
	}
	return sibling, true
}

// sendSibling serves a compressed form as what it is: a representation of its
// own, of which ranges can be asked for as well.
func sendSibling(w *responseWriter, r *http.Request, sibling openFile, coding string) {
	w.Header().Set("ETag", etag(sibling.info, coding))
	http.ServeContent(siblingAnswer{w, coding}, r, "", sibling.info.ModTime(), sibling)
	w.cutShort()
}

// siblingAnswer names the content coding at the last moment: http.ServeContent
// tells no length where one is named, as it takes the writer for one that
// compresses.
type siblingAnswer struct {
	*responseWriter
	coding string
}

func (a siblingAnswer) WriteHeader(status int) {
	if status == http.StatusOK || status == http.StatusPartialContent {
		a.Header().Set("Content-Encoding", a.coding)
	}
	a.responseWriter.WriteHeader(status)
}

// cutShort cuts an answer that has fewer bytes than its header told, because
// the file became shorter or could not be read any more.
func (w *responseWriter) cutShort() {
	if w.silent || w.written >= w.length {
		return
	}
	if w.x.down.err() == nil {
		w.x.reason = fileEndedEarly
	}
	panic(http.ErrAbortHandler)
}

// compressor compresses files while they are sent. It may be used
// concurrently.
type compressor struct {
	slots chan struct{} // taken while an encoder is in use
	gzips sync.Pool     // of *gzip.Writer
	zstds sync.Pool     // of *zstd.Encoder
}

// encoder is what the two packages have in common.
type encoder interface {
	io.WriteCloser
	Reset(io.Writer)
}

func newCompressor() *compressor {
	return &compressor{
		slots: make(chan struct{}, maxEncoders),
		gzips: sync.Pool{New: func() any { return gzip.NewWriter(nil) }},
		zstds: sync.Pool{New: func() any {
			// One goroutine's work, so that no encoder leaves one behind.
			e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(zstdWindow))
			if err != nil {
				panic(err) // only for options out of range
			}
			return e
		}},
	}
}

func (c *compressor) pool(coding string) *sync.Pool {
	if coding == codingZstd {
		return &c.zstds
	}
	return &c.gzips
}

// send answers with a file that is compressed on the way. It reports false,
// with nothing done, when every encoder is busy.
func (c *compressor) send(w *responseWriter, r *http.Request, file openFile, coding string) bool {
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	default:
		return false
	}
	h := w.Header()
	// The validator is weak, since another run, or another version of this
	// program, may produce other bytes.
	h.Set("ETag", "W/"+etag(file.info, coding))
	h.Set("Content-Encoding", coding)
	a := &compressedAnswer{ResponseWriter: w, pool: c.pool(coding)}
	defer a.release()
	http.ServeContent(a, r, "", file.info.ModTime(), file)
	if r.Method == http.MethodHead || w.x.status != http.StatusOK {
		return true
	}
	if a.err == nil && a.taken < file.info.Size() {
		w.x.reason = fileEndedEarly
		panic(http.ErrAbortHandler) // closing the encoder would make it look whole
	}
	if a.err == nil {
		a.err = a.encoder.Close()
	}
	if a.err != nil {
		panic(http.ErrAbortHandler) // the client went away
	}
	return true
}

// compressedAnswer is where http.ServeContent writes a file to. It hides the
// exchange's ReadFrom, which would go past the encoder.
type compressedAnswer struct {
	http.ResponseWriter
	pool    *sync.Pool
	encoder encoder // taken from the pool at the first Write: HEAD and 304 need none
	taken   int64   // bytes of the file
	err     error   // of the first write that failed
}

func (a *compressedAnswer) WriteHeader(status int) {
	if h := a.Header(); status == http.StatusOK {
		// Offsets in bytes that are made anew each time mean nothing.
		h.Set("Accept-Ranges", "none")
	} else {
		h.Del("Content-Encoding")
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *compressedAnswer) Write(p []byte) (int, error) {
	if a.err != nil {
		return 0, a.err
	}
	if a.encoder == nil {
		a.encoder = a.pool.Get().(encoder)
		a.encoder.Reset(a.ResponseWriter)
	}
	n, err := a.encoder.Write(p)
	a.taken += int64(n)
	a.err = err
	return n, err
}

// release gives the encoder back, without the exchange in it.
func (a *compressedAnswer) release() {
	if a.encoder != nil {
		a.encoder.Reset(io.Discard)
		a.pool.Put(a.encoder)
	}
}
