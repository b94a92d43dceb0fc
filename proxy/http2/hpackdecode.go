package http2

import (
	"errors"

	"golang.org/x/net/http2/hpack"
)

// tableSize is the size of a decoder's table: the default of
// SETTINGS_HEADER_TABLE_SIZE, which we leave as it is (RFC 9113 §6.5.2).
const tableSize = 4096

// entryOverhead is what each entry of a table, and each field of a list, counts
// for beside its text (RFC 7541 §4.1, RFC 9113 §6.5.2).
const entryOverhead = 32

// errCompression says that a block cannot be decoded. It is the end of the
// connection, whose table is unknown from then on (RFC 9113 §4.3).
var errCompression = errors.New("a header block that cannot be decoded")

// A decoder decodes the header blocks of one connection. The library's own
// makes a string of each literal, and keeps maps of its table that only an
// encoder needs: for a connection that is idle they are the most it holds.
type decoder struct {
	text    []byte // of the entries, the oldest first
	entries []entry
	size    int // as RFC 7541 §4.1 counts
	max     int // what the peer has chosen, of tableSize at most
	out     *block
}

// An entry is the lengths of a name and its value.
type entry struct{ name, value uint16 }

// A block is a decoded header block.
type block struct {
	text  []byte // names and values, each behind the one before
	spans []span
	size  int // as SETTINGS_MAX_HEADER_LIST_SIZE counts
	// over is the limit that the block has passed, or "". What follows is
	// decoded, as the table depends on it, but not kept.
	over      Limit
	maxSize   int
	maxFields int
}

// A span is where a name and its value end in a block's text.
type span struct{ name, value int }

// reset prepares for another block.
func (b *block) reset(maxSize, maxFields int) {
	*b = block{text: b.text[:0], spans: b.spans[:0], maxSize: maxSize, maxFields: maxFields}
}

// Write appends text: it is how hpack.HuffmanDecode gives its result.
func (b *block) Write(p []byte) (int, error) {
	b.text = append(b.text, p...)
	return len(p), nil
}

// end is where the last complete field ends.
func (b *block) end() int {
	if len(b.spans) == 0 {
		return 0
	}
	return b.spans[len(b.spans)-1].value
}

// add makes a field of the text that was appended since the last one; name is
// where its value begins.
func (b *block) add(name int) {
	b.count(len(b.text) - b.end())
	if b.over != "" {
		b.text = b.text[:b.end()]
		return
	}
	b.spans = append(b.spans, span{name, len(b.text)})
}

// count counts a field whose name and value are so long.
func (b *block) count(n int) {
	b.size += n + entryOverhead
	switch {
	case b.over != "":
	case b.size > b.maxSize:
		b.over = HitHeader
	case len(b.spans) == b.maxFields:
		b.over = HitHeaderFields
	}
}

// decode decodes a whole block into out.
func (d *decoder) decode(p []byte, out *block) error {
	d.out = out
	defer func() { d.out = nil }()
	for first := true; len(p) > 0; {
		var ok bool
		switch c := p[0]; {
		case c&0x80 != 0: // indexed, §6.1
			p, ok = d.indexed(p)
			first = false
		case c&0xc0 == 0x40: // literal, to be indexed, §6.2.1
			p, ok = d.literal(p, 6, true)
			first = false
		case c&0xe0 == 0x20: // size of the table, §6.3: before all fields, §4.2
			var n int
			n, p, ok = integer(p, 5)
			if ok = ok && first && n <= tableSize; ok {
				d.max = n
				d.evict(0)
			}
		default: // literal, not to be indexed, §6.2.2 and §6.2.3
			p, ok = d.literal(p, 4, false)
			first = false
		}
		if !ok {
			return errCompression
		}
	}
	return nil
}

// indexed takes a field of which the table has all.
func (d *decoder) indexed(p []byte) (rest []byte, ok bool) {
	i, rest, ok := integer(p, 7)
	if !ok {
		return nil, false
	}
	b := d.out
	switch n := i - len(static); {
	case i == 0:
		return nil, false
	case b.over != "": // it need not be copied, only be there
		return rest, n <= len(d.entries)
	case n <= 0:
		b.text = append(b.text, static[i-1].name...)
		name := len(b.text)
		b.text = append(b.text, static[i-1].value...)
		b.add(name)
	case n <= len(d.entries):
		e, at := d.find(n)
		b.text = append(b.text, d.text[at:at+int(e.name)+int(e.value)]...)
		b.add(len(b.text) - int(e.value))
	default:
		return nil, false
	}
	return rest, true
}

// literal takes a field with a value of its own, and a name of its own or of
// the table.
func (d *decoder) literal(p []byte, prefix uint, keep bool) (rest []byte, ok bool) {
	i, rest, ok := integer(p, prefix)
	if !ok {
		return nil, false
	}
	b := d.out
	begin := len(b.text)
	switch n := i - len(static); {
	case i == 0:
		if rest, ok = d.string(rest); !ok {
			return nil, false
		}
	case n <= 0:
		b.text = append(b.text, static[i-1].name...)
	case n <= len(d.entries):
		e, at := d.find(n)
		b.text = append(b.text, d.text[at:at+int(e.name)]...)
	default:
		return nil, false
	}
	name := len(b.text)
	if rest, ok = d.string(rest); !ok {
		return nil, false
	}
	if keep {
		d.insert(b.text[begin:name], b.text[name:])
	}
	b.add(name)
	return rest, true
}

// string takes a string and appends it to the block's text (RFC 7541 §5.2).
func (d *decoder) string(p []byte) (rest []byte, ok bool) {
	if len(p) == 0 {
		return nil, false
	}
	huffman := p[0]&0x80 != 0
	n, rest, ok := integer(p, 7)
	if !ok || n > len(rest) {
		return nil, false
	}
	if huffman {
		if _, err := hpack.HuffmanDecode(d.out, rest[:n]); err != nil {
			return nil, false
		}
	} else {
		d.out.text = append(d.out.text, rest[:n]...)
	}
	return rest[n:], true
}

// maxInteger is more than any length or index can be here: a block is no longer.
const maxInteger = 1 << 24

// integer takes a number whose first byte has prefix bits for it
// (RFC 7541 §5.1).
func integer(p []byte, prefix uint) (n int, rest []byte, ok bool) {
	mask := 1<<prefix - 1
	n, rest = int(p[0])&mask, p[1:]
	if n < mask {
		return n, rest, true
	}
	for shift := 0; shift <= 21; shift += 7 {
		if len(rest) == 0 {
			return 0, nil, false
		}
		c := rest[0]
		rest = rest[1:]
		n += int(c&0x7f) << shift
		if c&0x80 == 0 {
			return n, rest, n < maxInteger
		}
	}
	return 0, nil, false
}

// find finds the n-th newest entry, and where its text begins.
func (d *decoder) find(n int) (e entry, at int) {
	at = len(d.text)
	for i := 1; ; i++ {
		e = d.entries[len(d.entries)-i]
		at -= int(e.name) + int(e.value)
		if i == n {
			return e, at
		}
	}
}

// insert adds an entry, and drops old ones to make room: all of them if even
// that is not enough (RFC 7541 §4.4).
func (d *decoder) insert(name, value []byte) {
	size := len(name) + len(value) + entryOverhead
	d.evict(size)
	if size > d.max {
		return
	}
	d.text = append(append(d.text, name...), value...)
	d.entries = append(d.entries, entry{uint16(len(name)), uint16(len(value))})
	d.size += size
}

// evict drops the oldest entries until there is room for so much.
func (d *decoder) evict(room int) {
	n, text := 0, 0
	for ; n < len(d.entries) && d.size+room > d.max; n++ {
		length := int(d.entries[n].name) + int(d.entries[n].value)
		text += length
		d.size -= length + entryOverhead
	}
	if n > 0 { // at most 4 KiB move
		d.text = d.text[:copy(d.text, d.text[text:])]
		d.entries = d.entries[:copy(d.entries, d.entries[n:])]
	}
}
