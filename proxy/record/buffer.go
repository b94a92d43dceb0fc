package record

import "sync"

// The sizes of pooled buffers. What waits for the rest of a record, or for a
// peer that does not read, is moved to the smallest that does, so that many
// such connections do not cost 72 KiB each.
const (
	smallBuffer  = 2 << 10
	recordBuffer = headerLen + 16384 + 2048 // the largest record of TLS 1.2 (RFC 5246 §6.2.3)
	largeBuffer  = 72 << 10                 // four full records and a KeyUpdate, in whole pages
)

// A buffer is pooled by its pointer, since a slice would have to be allocated
// anew to be given back.
type buffer struct{ b []byte }

// Shared by all connections. Nobody sees what another has left in a buffer:
// only bytes that were just written to it are ever looked at.
var (
	smallBuffers  = sync.Pool{New: func() any { return &buffer{make([]byte, smallBuffer)} }}
	recordBuffers = sync.Pool{New: func() any { return &buffer{make([]byte, recordBuffer)} }}
	largeBuffers  = sync.Pool{New: func() any { return &buffer{make([]byte, largeBuffer)} }}
)

// getBuffer is the smallest buffer for n bytes, or the largest there is.
func getBuffer(n int) *buffer {
	switch {
	case n <= smallBuffer:
		return smallBuffers.Get().(*buffer)
	case n <= recordBuffer:
		return recordBuffers.Get().(*buffer)
	}
	return largeBuffers.Get().(*buffer)
}

// free gives the buffer back. Nothing may point into it any more.
func (b *buffer) free() {
	switch len(b.b) {
	case smallBuffer:
		smallBuffers.Put(b)
	case recordBuffer:
		recordBuffers.Put(b)
	default:
		largeBuffers.Put(b)
	}
}
