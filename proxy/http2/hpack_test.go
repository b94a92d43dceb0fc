package http2

import (
	"bytes"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"

	"wsfront/proxy/http1"
)

// fieldsOf lists what a block holds.
func fieldsOf(b *block) (list []hpack.HeaderField) {
	at := 0
	for _, s := range b.spans {
		list = append(list, hpack.HeaderField{Name: string(b.text[at:s.name]), Value: string(b.text[s.name:s.value])})
		at = s.value
	}
	return list
}

// FuzzDecoder compares the decoder with the library's, over two blocks, which
// the table connects.
func FuzzDecoder(f *testing.F) {
	var coded bytes.Buffer
	e := hpack.NewEncoder(&coded)
	for _, name := range []string{":method", ":path", "cookie", "x-long", "x-long"} {
		_ = e.WriteField(hpack.HeaderField{Name: name, Value: strings.Repeat("value ", len(name)*40)})
	}
	f.Add(coded.Bytes(), coded.Bytes())
	f.Add([]byte{0x82, 0x86, 0x84, 0x41, 0x8c, 0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff},
		[]byte{0x82, 0x86, 0x84, 0xbe, 0x58, 0x08, 'n', 'o', '-', 'c', 'a', 'c', 'h', 'e'}) // RFC 7541 §C.4
	f.Add([]byte{0x20, 0x40, 1, 'a', 1, 'b', 0xbe}, []byte{0x3f, 0xe1, 0x1f, 0x40, 1, 'a', 1, 'b', 0xbe})
	f.Add([]byte{0x40, 1, 'a', 1, 'b', 0x7e, 1, 'c', 0xbe, 0xbf}, []byte{0xbe, 0xbf, 0xc0})
	f.Fuzz(func(t *testing.T, first, second []byte) {
		if len(first) > 1<<14 || len(second) > 1<<14 {
			return
		}
		d := decoder{max: tableSize}
		library := hpack.NewDecoder(tableSize, nil)
		for _, p := range [][]byte{first, second} {
			var b block
			b.reset(1<<30, 1<<30)
			err := d.decode(p, &b)
			want, wrong := library.DecodeFull(p)
			if err != nil && wrong == nil && bytes.ContainsFunc(p, func(r rune) bool { return r&0xe0 == 0x20 }) {
				return // the library lets an empty table be resized behind a field (RFC 7541 §4.2)
			}
			if err == nil && wrong != nil && p[0]&0xe0 == 0x20 {
				return // and a full one only once, though twice is allowed there
			}
			if (err == nil) != (wrong == nil) {
				t.Fatalf("%x: %v, the library says %v", p, err, wrong)
			}
			if err != nil {
				return
			}
			got := fieldsOf(&b)
			if len(got) != len(want) {
				t.Fatalf("%x: %d fields, the library has %d", p, len(got), len(want))
			}
			for i := range got {
				if got[i].Name != want[i].Name || got[i].Value != want[i].Value {
					t.Fatalf("%x: %v, the library has %v", p, got[i], want[i])
				}
			}
			if d.size > tableSize || len(d.text) > tableSize {
				t.Fatalf("the table holds %d bytes", d.size)
			}
		}
	})
}

func TestDecoder_KeepsItsTableBehindTheLimit(t *testing.T) {
	var coded bytes.Buffer
	e := hpack.NewEncoder(&coded)
	encode := func(fields ...string) []byte {
		coded.Reset()
		for _, f := range fields {
			name, value, _ := strings.Cut(f, "=")
			_ = e.WriteField(hpack.HeaderField{Name: name, Value: value})
		}
		return coded.Bytes()
	}
	d := decoder{max: tableSize}
	var b block
	b.reset(300, 100)
	if err := d.decode(encode("a=1", "big="+strings.Repeat("x", 300), "b=2"), &b); err != nil || b.over != HitHeader {
		t.Fatalf("%v, over %q", err, b.over)
	}
	if got := fieldsOf(&b); len(got) != 1 {
		t.Errorf("kept %v", got)
	}
	b.reset(300, 100)
	if err := d.decode(encode("a=1", "b=2"), &b); err != nil || b.over != "" {
		t.Fatalf("%v, over %q", err, b.over)
	}
	if got := fieldsOf(&b); len(got) != 2 || got[0].Value != "1" || got[1].Value != "2" {
		t.Errorf("the next block is %v", got)
	}
}

// A block may name an entry of 4 KiB with each of its bytes.
func TestDecoder_ABombIsNotUnpacked(t *testing.T) {
	d := decoder{max: tableSize}
	value := strings.Repeat("v", 4000)
	p := append([]byte{0x40, 1, 'n'}, appendInteger(nil, 0, 7, len(value))...)
	p = append(p, value...)
	p = append(p, bytes.Repeat([]byte{0xbe}, 60000)...)
	var b block
	b.reset(32<<10, 100)
	if err := d.decode(p, &b); err != nil || b.over != HitHeader {
		t.Fatalf("%v, over %q", err, b.over)
	}
	if cap(b.text) > 128<<10 {
		t.Errorf("%d bytes were unpacked", cap(b.text))
	}
}

// FuzzEncoder has the library decode what is encoded.
func FuzzEncoder(f *testing.F) {
	f.Add("Content-Type", "text/html; charset=utf-8", 200)
	f.Add("X-"+strings.Repeat("Long", 50), "\x00\xff\x80 äöü", 418)
	f.Add("", "", 599)
	f.Fuzz(func(t *testing.T, name, value string, status int) {
		if status < 100 || status > 599 {
			return
		}
		p := appendField(appendStatus(nil, status), &http1.Field{Name: []byte(name), Value: []byte(value)})
		got, err := hpack.NewDecoder(0, nil).DecodeFull(p)
		if err != nil {
			t.Fatal(err)
		}
		lowered := []byte(name)
		for i, c := range lowered {
			if 'A' <= c && c <= 'Z' {
				lowered[i] = c + 32
			}
		}
		if got[1].Name != string(lowered) || got[1].Value != value || got[0].Name != ":status" || len(got[0].Value) != 3 {
			t.Errorf("%q: %q, %d came back as %v", name, value, status, got)
		}
	})
}
