package pusher

import (
	"compress/flate"
	"io"
	"math"
	"sync"

	"github.com/gorilla/websocket"
)

const (
	// minDeflated is the length of the shortest message that is compressed. At
	// 100 bytes of JSON a twelfth is saved, at 200 more than a quarter.
	minDeflated = 128
	// deflateLevel: of 1 KiB of JSON, level 1 leaves 38 % in 11 µs, level 6 36 %
	// in 20 µs, of which clearing its tables takes 8; at 16 KiB it is 26 % in
	// 55 µs against 19 % in 165 µs.
	deflateLevel = flate.BestSpeed
	// keptDeflaters is how many compressors wait for the next message, each
	// of 1.2 MB. More are made when more messages are compressed at once.
	keptDeflaters = 2
	// keptBuffer is the longest buffer that a compressor or a decompressor keeps.
	keptBuffer = 64 << 10
)

// flateEnd is what a sender takes off the end of a compressed message (RFC 7692
// §7.2.1), and flateFinal a block that tells compress/flate that there is no more.
const (
	flateEnd   = "\x00\x00\xff\xff"
	flateFinal = "\x01\x00\x00\xff\xff"
)

// deflater compresses messages, one at a time, into out.
type deflater struct {
	flate *flate.Writer
	out   []byte
}

func (d *deflater) Write(b []byte) (int, error) {
	d.out = append(d.out, b...)
	return len(b), nil
}

var deflaters = make(chan *deflater, keptDeflaters)

// deflated appends payload to dst, compressed as the payload of one message (RFC
// 7692 §7.2.1) that refers to no other, and so is the same for every client with
// which server_no_context_takeover was agreed. It reports false, and appends
// nothing, if that would not be shorter. It may be called concurrently.
func deflated(dst, payload []byte) ([]byte, bool) {
	if len(payload) < minDeflated {
		return dst, false
	}
	d := takeDeflater()
	defer d.release()
	d.flate.Reset(d)
	_, _ = d.flate.Write(payload) // into memory: there is nothing to fail
	_ = d.flate.Flush()
	packed := d.out[:len(d.out)-len(flateEnd)]
	if len(packed) >= len(payload) {
		return dst, false
	}
	return append(dst, packed...), true
}

func takeDeflater() *deflater {
	select {
	case d := <-deflaters:
		return d
	default:
		w, _ := flate.NewWriter(nil, deflateLevel) // fails for an unknown level only
		return &deflater{flate: w}
	}
}

func (d *deflater) release() {
	d.out = kept(d.out)
	select {
	case deflaters <- d:
	default:
	}
}

// kept is buf for the next message, or nil if it has become too long to keep.
func kept(buf []byte) []byte {
	if cap(buf) > keptBuffer {
		return nil
	}
	return buf[:0]
}

// inflater decompresses messages, one at a time, into out. It is 40 KB besides.
type inflater struct {
	flate io.Reader
	in    packedMessage
	out   []byte
}

var inflaters = sync.Pool{New: func() any {
	i := &inflater{}
	i.flate = flate.NewReader(&i.in)
	return i
}}

// release makes out free for the next message.
func (i *inflater) release() {
	i.in, i.out = packedMessage{}, kept(i.out)
	inflaters.Put(i)
}

// inflate decompresses the payload of one message (RFC 7692 §7.2.2). The result is
// valid until release. The error is a *frameError: 1009 as soon as there are more
// than limit bytes, or 1007.
func (i *inflater) inflate(packed []byte, limit int64) ([]byte, error) {
	i.in, i.out = packedMessage{packed, flateEnd + flateFinal}, i.out[:0]
	for {
		// A final block ends the stream for compress/flate, not the message: others
		// may follow it, from the next byte on (RFC 7692 §7.2.1).
		_ = i.flate.(flate.Resetter).Reset(&i.in, nil) // cannot fail
		if err := i.readAll(limit); err != nil {
			return nil, err
		}
		if len(i.in.packed) == 0 {
			return i.out, nil
		}
	}
}

// readAll appends to out until the end of the stream.
func (i *inflater) readAll(limit int64) error {
	for {
		if len(i.out) == cap(i.out) {
			i.out = append(i.out, 0)[:len(i.out)]
		}
		n, err := i.flate.Read(i.out[len(i.out):cap(i.out)])
		i.out = i.out[:len(i.out)+n]
		switch {
		case int64(len(i.out)) > limit:
			return errTooLong()
		case err == io.EOF:
			return nil
		case err != nil:
			return &frameError{websocket.CloseInvalidFramePayloadData, "compressed message is damaged"}
		}
	}
}

// maxPacked is how long a message of at most limit bytes may be when compressed:
// a sender need not notice that compression makes it longer, by an eighth at the
// worst that zlib does, and a few bytes.
func maxPacked(limit int64) int64 {
	if limit > math.MaxInt64/2 {
		return math.MaxInt64
	}
	return limit + limit/4 + 64
}

// packedMessage reads a compressed message and then the end that its sender took
// off. compress/flate takes no byte too many from an io.ByteReader.
type packedMessage struct {
	packed []byte
	end    string
}

func (m *packedMessage) Read(b []byte) (int, error) {
	n := copy(b, m.packed)
	m.packed = m.packed[n:]
	end := copy(b[n:], m.end)
	m.end = m.end[end:]
	if n+end == 0 && len(b) > 0 {
		return 0, io.EOF
	}
	return n + end, nil
}

func (m *packedMessage) ReadByte() (byte, error) {
	switch {
	case len(m.packed) > 0:
		b := m.packed[0]
		m.packed = m.packed[1:]
		return b, nil
	case len(m.end) > 0:
		b := m.end[0]
		m.end = m.end[1:]
		return b, nil
	}
	return 0, io.EOF
}
