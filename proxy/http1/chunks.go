package http1

import (
	"net/http"
	"slices"
	"strconv"
)

const (
	// chunkDigits is the most of a chunk's size: 60 bits.
	chunkDigits = 15
	// chunkExtension is the most bytes of one chunk's extensions.
	chunkExtension = 256
	// chunkExcess is by how many bytes extensions may outgrow what they are
	// granted, chunkGrant for each chunk and two for each byte of payload. Else
	// a sender could make us read 256 bytes for each that the body's limit counts.
	chunkExcess = 16 << 10
	chunkGrant  = 16
	// keptTrailer is the most memory kept from one body's trailer for the next.
	keptTrailer = 1 << 10
)

type chunkState uint8

const (
	inSize chunkState = iota
	inData
	behindData
	inTrailer
	atEnd
)

// Chunks follows a body in the chunked coding (RFC 9112 §7.1). It is to be
// Reset before use.
type Chunks struct {
	// Trailer holds the trailer fields once the body has ended, without those
	// that may not stand there (RFC 9110 §6.5.1). Their memory belongs to the
	// Chunks, until its Reset.
	Trailer []Field

	lim    Limits
	state  chunkState
	left   int64 // of the chunk that is being read
	excess int64
	scan   scan
	memory []byte
}

// Reset begins a new body. lim bounds its trailer section.
func (c *Chunks) Reset(lim Limits) {
	clear(c.Trailer)
	memory := c.memory[:0]
	if cap(memory) > keptTrailer {
		memory = nil
	}
	*c = Chunks{Trailer: c.Trailer[:0], lim: lim.withDefaults(), memory: memory}
}

// Next looks at buf and returns the next piece of payload in it, a slice of
// buf, and how many bytes of buf are done with, the payload among them and what
// lies around it. The next call begins behind these. n is 0 if more bytes are
// needed, or all are done with already; data may be empty where n is not. done
// says that the body has ended, which may be known together with its last piece.
// What is not well-formed is an *Error with status 400 or 431, of an answer too.
func (c *Chunks) Next(buf []byte) (data []byte, n int, done bool, err error) {
	for {
		var m int
		var refused *Error
		switch c.state {
		case inSize:
			m, refused = c.readSize(buf[n:])
		case inData:
			if data != nil {
				return data, n, false, nil
			}
			if m = int(min(c.left, int64(len(buf)-n))); m > 0 {
				data = buf[n : n+m]
			}
			if c.left -= int64(m); c.left == 0 {
				c.state = behindData
			}
		case behindData:
			m, refused = c.readDataEnd(buf[n:])
		case inTrailer:
			m, refused = c.readTrailer(buf[n:])
		case atEnd:
			return data, n, true, nil
		}
		switch {
		case refused != nil && data == nil:
			return nil, n, false, refused
		case refused != nil || m == 0:
			// The error is found again behind the piece, which is good.
			return data, n, false, nil
		}
		n += m
	}
}

// readSize reads a chunk-size line. It returns its length, or 0 while it is not
// all there.
func (c *Chunks) readSize(b []byte) (int, *Error) {
	size, i := int64(0), 0
	for ; i < len(b); i++ {
		d := hexValue(b[i])
		if d > 15 {
			break
		}
		if i == chunkDigits {
			return 0, bad("a chunk's size is too large")
		}
		size = size<<4 | int64(d)
	}
	if i == len(b) {
		return 0, nil
	}
	if c := b[i]; i == 0 || c != '\r' && c != ';' && c != ' ' && c != '\t' {
		return 0, bad("a chunk's size is no hexadecimal number")
	}
	end, err := lineEnd(b, i)
	if err != nil {
		return 0, err
	}
	if end < 0 && len(b)-i > chunkExtension+1 || end-i > chunkExtension {
		return 0, bad("a chunk's extensions are too long")
	}
	if end < 0 {
		return 0, nil
	}
	// RFC 9112 §7.1.1: whitespace before the semicolon is to be tolerated, but
	// not without one.
	if extension := trim(b[i:end]); end > i && (len(extension) == 0 || extension[0] != ';') {
		return 0, bad("something other than extensions behind a chunk's size")
	}
	c.excess = max(0, c.excess+int64(end-i)-chunkGrant-2*size)
	if c.excess > chunkExcess {
		return 0, bad("more chunk extensions than payload")
	}
	c.left, c.state = size, inData
	if size == 0 {
		c.state = inTrailer
	}
	return end + 2, nil
}

// readDataEnd reads the CRLF behind a chunk's data.
func (c *Chunks) readDataEnd(b []byte) (int, *Error) {
	const crlf = "\r\n"
	n := min(len(b), len(crlf))
	if string(b[:n]) != crlf[:n] {
		return 0, bad("a chunk is longer than its size")
	}
	if n < len(crlf) {
		return 0, nil
	}
	c.state = inSize
	return n, nil
}

// readTrailer reads the trailer section once it is all there.
func (c *Chunks) readTrailer(b []byte) (int, *Error) {
	b = b[:min(len(b), c.lim.Head)]
	if c.scan.waiting && !c.scan.mayEnd(b) && len(b) < c.lim.Head {
		return 0, nil
	}
	var n int
	var err *Error
	c.Trailer, n, err = parseFields(b, 0, c.Trailer[:0], c.lim.Fields)
	switch {
	case err != nil:
		return 0, err
	case n == 0 && len(b) == c.lim.Head:
		return 0, &Error{http.StatusRequestHeaderFieldsTooLarge, "the trailer section is too long"}
	case n == 0:
		c.scan.wait(b)
		return 0, nil
	}
	c.state = atEnd
	if len(c.Trailer) > 0 {
		// Parsed once more where they stay, which is simpler than moving them.
		c.memory = append(c.memory, b[:n]...)
		c.Trailer, _, _ = parseFields(c.memory, 0, c.Trailer[:0], c.lim.Fields)
		c.Trailer = slices.DeleteFunc(c.Trailer, mayNotTrail)
	}
	return n, nil
}

// mayNotTrail reports whether a field means something only before the body: for
// framing, routing, authentication, as a condition, or for how the content is
// to be taken (RFC 9110 §6.5.1). Who merges trailers into the head would else be
// told behind our back what we did not let the head say.
func mayNotTrail(f Field) bool {
	if f.Known == Other {
		return len(f.Name) > 3 && equalFold(f.Name[:3], "if-")
	}
	return true // all that this front acts upon, and Range and its like
}

// AppendChunkSize appends the line before a chunk of n bytes, for which 0 is
// the last one: "1f4\r\n".
func AppendChunkSize(b []byte, n int) []byte {
	return append(strconv.AppendUint(b, uint64(n), 16), '\r', '\n')
}
