package frame

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"unicode/utf8"
)

// FuzzFollower compares a Follower that is fed in pieces with a reader that has
// the whole stream before it. The stream is made of frames as script says, or is
// script itself. What a gorilla client sent in talk, without compression and with
// it, is among the seeds in testdata.
func FuzzFollower(f *testing.F) {
	for _, side := range []Side{FromClient, FromBackend} {
		backend := side == FromBackend
		all := conversation(side)
		f.Add(all[:700], []byte{1}, byte(2), backend, true)
		f.Add(all[len(all)-200:], []byte{1, 60}, byte(2), backend, true)
		f.Add(join(text(side, "x"), data(side, fin|opPong, nonce[:]), text(side, "y")), []byte{2, 9}, byte(0), backend, true)
	}
	for _, c := range invalid {
		f.Add(join(text(c.side, "x"), c.stream[:min(len(c.stream), 300)]), []byte{1, 4}, byte(0), c.side == FromBackend, true)
	}
	f.Add([]byte("\x81\x00\x05hello\x0a\x08\x00\x88\x00\x02\x03\xe8"), []byte{1}, byte(2), false, false)
	f.Fuzz(checkScript)
}

// TestFollower_RandomFramesAsTheReferenceReadsThem gets further into the rules
// than the seeds, at each run of the tests.
func TestFollower_RandomFramesAsTheReferenceReadsThem(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	fill := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			// Few bits set make for small frames that do nothing wrong.
			bits := random.Uint32()
			b[i] = byte(bits & (bits >> 8) & (bits >> 16))
		}
		return b
	}
	for range 30000 {
		script, splits := fill(random.IntN(200)), fill(random.IntN(5))
		checkScript(t, script, splits, byte(random.Uint32()), random.Uint32()&1 == 0, false)
	}
}

func checkScript(t *testing.T, script, splits []byte, flags byte, backend, raw bool) {
	side := FromClient
	if backend {
		side = FromBackend
	}
	rules := rulesOf(flags)
	stream := script
	if !raw {
		stream = build(side, script)
	}
	checkFollower(t, read(stream, side, rules), stream, splits, side, rules)
}

func rulesOf(flags byte) Rules {
	var r Rules
	r.Compression, r.Validate, r.AnyReserved = flags&1 != 0, flags&2 != 0, flags&4 != 0
	if flags&8 != 0 {
		r.MaxMessage = 200
	}
	if flags&16 != 0 {
		r.MaxFragments = 3
	}
	if flags&32 != 0 {
		r.MessageRate, r.Burst = 1, 5
	}
	return r
}

// build makes frames, of which most are lawful: each takes a first byte, a byte
// for what to do wrong, and a length from the script, and its payload from what
// follows there.
func build(side Side, script []byte) []byte {
	var stream []byte
	for len(script) >= 3 {
		first, wrong, n := script[0], script[1], int(script[2])
		script = script[3:]
		if wrong&0x20 == 0 {
			first |= fin
		}
		if wrong&0x40 == 0 {
			first &^= reserved
		}
		if wrong&0x80 == 0 {
			first &= fin | reserved | 0x0b // no reserved data opcode
		}
		payload := slices.Clone(script[:min(n, len(script))])
		script = script[len(payload):]
		as := side
		if wrong&0x1c == 0x1c {
			as = 1 - side
		}
		switch {
		case first == fin|opPong && wrong&1 == 0:
			payload = nonce[:]
			fallthrough
		default:
			stream = append(stream, data(as, first, payload)...)
		case wrong&3 == 3:
			header := binary.BigEndian.AppendUint16([]byte{first, 126}, uint16(len(payload)))
			stream = append(stream, masking(as, header, payload)...)
		}
	}
	return append(stream, script...)
}

// reading is what a stream comes to.
type reading struct {
	passed                    []byte // with what is held back at the end
	code                      uint16 // of the violation
	messages, bytes, controls int64
	status                    uint16
	closed, lost, boundary    bool
	pong, within              bool // a pong of ours came; the end is within a message
}

// checkFollower feeds stream in pieces of the lengths in splits.
func checkFollower(t *testing.T, want reading, stream, splits []byte, side Side, rules Rules) {
	f := newFollower(t, side, rules)
	f.ExpectPong(nonce)
	var got reading
	var err error
	for at, i := 0, 0; at < len(stream) && err == nil; i++ {
		n := len(stream) - at
		if len(splits) > 0 {
			n = min(n, 1+int(splits[i%len(splits)]))
		}
		var pass []byte
		pass, err = feedAll(f, slices.Clone(stream[at:at+n]), 0)
		got.passed = append(got.passed, pass...)
		at += n
	}
	if v := (*Violation)(nil); errors.As(err, &v) {
		got.code = v.Code
		if !f.AtBoundary() {
			t.Error("not at a boundary after a violation")
		}
	}
	got.passed = append(got.passed, f.Held()...)
	got.messages, got.bytes, got.controls = f.Counts()
	got.status, got.closed = f.Closed()
	got.lost, got.boundary, got.pong, got.within = f.Lost(), f.AtBoundary(), f.PongSeen(), f.InMessage()
	if !bytes.Equal(got.passed, want.passed) {
		t.Fatalf("passed\n%x, want\n%x", got.passed, want.passed)
	}
	got.passed, want.passed = nil, nil
	if !equal(got, want) {
		t.Fatalf("got\n%+v, want\n%+v\nof %x", got, want, stream)
	}
}

func equal(a, b reading) bool {
	return a.code == b.code && a.messages == b.messages && a.bytes == b.bytes && a.controls == b.controls &&
		a.status == b.status && a.closed == b.closed && a.lost == b.lost && a.boundary == b.boundary &&
		a.pong == b.pong && a.within == b.within
}

// parsed is a frame at the start of a stream.
type parsed struct {
	first, short byte // short is the length in the second byte
	masked       bool
	size         uint64
	header       int
	payload      []byte // unmasked, as far as it is there
}

// parse returns false while the header is not complete.
func parse(b []byte) (p parsed, ok bool) {
	if len(b) < 2 {
		return p, false
	}
	p.first, p.short, p.masked = b[0], b[1]&127, b[1] >= 128
	p.header, p.size = 2, uint64(p.short)
	extra := map[byte]int{126: 2, 127: 8}[p.short]
	if extra > 0 && len(b) >= 2+extra {
		p.size = 0
		for _, c := range b[2 : 2+extra] {
			p.size = p.size<<8 | uint64(c)
		}
	}
	p.header += extra
	if p.masked {
		p.header += 4
	}
	if len(b) < p.header {
		return p, false
	}
	p.payload = slices.Clone(b[p.header:])
	if uint64(len(p.payload)) > p.size {
		p.payload = p.payload[:p.size]
	}
	for i := range p.payload {
		if p.masked {
			p.payload[i] ^= b[p.header-4+i%4]
		}
	}
	return p, true
}

// read is the reference: it has all of the stream and may look where it likes.
func read(stream []byte, side Side, rules Rules) (r reading) {
	strict := rules.Validate || rules.MaxMessage > 0 || rules.MaxFragments > 0 || rules.MessageRate > 0
	fragments, size, asked := 0, uint64(0), 0
	r.boundary = true
	for len(stream) > 0 {
		p, complete := parse(stream)
		if !complete {
			// A header is held back by rules, and where a close or pong may come.
			r.boundary = strict || (p.header == 0 || p.masked == (side == FromClient)) &&
				(stream[0] == 0x88 && p.short <= 125 || stream[0] == 0x8a && p.short <= 8)
			r.passed = append(r.passed, stream...)
			return r
		}
		op := p.first & 15
		if !lawful(p, side, rules, fragments > 0) || rules.Validate && !valid(p, r.closed) {
			if strict {
				r.code = 1002
				return r
			}
			r.passed = append(r.passed, stream...)
			r.lost, r.boundary = true, false
			return r
		}
		whole := uint64(len(p.payload)) == p.size
		held := p.first == 0x88 || p.first == 0x8a && p.size <= 8
		if held && !whole {
			r.passed = append(r.passed, stream...)
			return r
		}
		end := p.header + len(p.payload)
		if p.first == 0x8a && bytes.Equal(p.payload, nonce[:]) {
			r.pong = true
			stream = stream[end:]
			continue
		}
		if op == 1 || op == 2 {
			size, fragments = 0, 0
		}
		if op == 1 || op == 2 || op == 9 {
			asked++
		}
		if op < 8 {
			size += p.size
			fragments++
		}
		switch {
		case rules.MaxMessage > 0 && op < 8 && size > uint64(rules.MaxMessage):
			r.code = 1009
		case rules.MaxFragments > 0 && op < 8 && fragments > rules.MaxFragments, rules.MessageRate > 0 && asked > rules.Burst:
			r.code = 1008
		}
		if r.code != 0 {
			return r
		}
		r.account(p, whole)
		if op < 8 {
			r.within = p.first < 128
			if !r.within {
				fragments = 0
			}
		}
		r.passed = append(r.passed, stream[:end]...)
		r.boundary = whole
		stream = stream[end:]
	}
	return r
}

// account counts a frame that passes.
func (r *reading) account(p parsed, whole bool) {
	op := p.first & 15
	switch {
	case op < 8:
		r.bytes += int64(len(p.payload))
		if whole && p.first >= 128 {
			r.messages++
		}
	case whole:
		r.controls++
	}
	if op == 8 && !r.closed {
		r.closed, r.status = true, 1005
		if p.first == 0x88 && p.size >= 2 {
			r.status = binary.BigEndian.Uint16(p.payload)
		}
	}
}

// lawful is what a frame needs to be followed.
func lawful(p parsed, side Side, rules Rules, within bool) bool {
	op, rsv := p.first&15, p.first&0x70
	if !slices.Contains([]byte{0, 1, 2, 8, 9, 10}, op) || p.masked != (side == FromClient) || p.size>>63 != 0 {
		return false
	}
	if rsv != 0 && !rules.AnyReserved && (!rules.Compression || rsv != 0x40 || op != 1 && op != 2) {
		return false
	}
	if op >= 8 {
		return p.first >= 128 && p.short <= 125
	}
	return within == (op == 0)
}

// valid is what Validate asks besides. A Close that is not complete is not
// judged yet.
func valid(p parsed, closed bool) bool {
	if p.short == 126 && p.size < 126 || p.short == 127 && p.size < 65536 || closed && p.first&15 < 8 {
		return false
	}
	if p.first != 0x88 || uint64(len(p.payload)) < p.size || p.size == 0 {
		return true
	}
	if p.size == 1 {
		return false
	}
	code := binary.BigEndian.Uint16(p.payload)
	known := code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006
	return (known || code >= 3000 && code < 5000) && utf8.Valid(p.payload[2:])
}

// FuzzReserved: whatever is offered, something is answered, and only an empty
// list leaves all bits reserved.
func FuzzReserved(f *testing.F) {
	for _, s := range []string{"", "permessage-deflate; client_max_window_bits=15", "permessage-deflate, mux; max-channels=4", "x;,;y", "\t,"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		compression, anyUse := Reserved(s)
		if again, anyAgain := Reserved(s + ", permessage-deflate"); !again || anyAgain != anyUse {
			t.Errorf("%q: with permessage-deflate added %v, %v", s, again, anyAgain)
		}
		if twice, anyTwice := Reserved(s + "," + s); twice != compression || anyTwice != anyUse {
			t.Errorf("%q: said twice %v, %v", s, twice, anyTwice)
		}
	})
}
