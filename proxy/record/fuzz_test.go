package record

import (
	"bytes"
	"testing"
)

// FuzzOpen gives Open what an attacker could put in place of the second of
// three records, and the inside of a record that a hostile peer could seal.
func FuzzOpen(f *testing.F) {
	f.Add([]byte{}, uint16(0), byte(typeData), []byte("data"))
	f.Add([]byte{0, 0, 0, 0, 0, 1}, uint16(0), byte(typeAlert), []byte{1, 0})
	f.Add([]byte{0, 0, 0, 1}, uint16(3), byte(typeShake), []byte{msgUpdate, 0, 0, 1, 1})
	f.Add([]byte{20, 3, 3, 0, 1, 1}, uint16(100), byte(typeShake), []byte{msgTicket, 0, 0, 2, 0, 0})
	f.Add([]byte{255}, uint16(40), byte(0), []byte{0, 0, typeData, 0, 0})
	f.Fuzz(func(t *testing.T, change []byte, at uint16, kind byte, content []byte) {
		for _, suite := range suites {
			changed(t, suite, change, int(at))
			hostile(t, suite, kind, content)
		}
	})
}

// changed XORs a record and wants it refused, or nothing more taken from it.
func changed(t *testing.T, suite uint16, change []byte, at int) {
	client, server := keyPair(t, suite)
	first := client.Seal(nil, []byte("the first"))
	second := client.Seal(nil, []byte("the second"))
	third := client.Seal(nil, []byte("the third"))
	forged := bytes.Clone(second)
	for i, b := range change {
		if at+i < len(forged) {
			forged[at+i] ^= b
		} else {
			forged = append(forged, b)
		}
	}
	if got := opened(t, server, first); got != "the first" {
		t.Fatalf("opened %q", got)
	}
	plain, n, err := server.Open(append(bytes.Clone(forged), third...))
	genuine := bytes.HasPrefix(forged, second)
	switch {
	case genuine && (string(plain) != "the second" || n != len(second) || err != nil):
		t.Fatalf("a genuine record was opened to %q, %d, %v", plain, n, err)
	case !genuine && plain != nil:
		t.Fatalf("a forged record was opened to %q", plain)
	case !genuine && n > 0 && err == nil:
		t.Fatalf("a forged record of %d bytes was taken", n)
	}
}

// hostile opens a record of anything, then one of data.
func hostile(t *testing.T, suite uint16, kind byte, content []byte) {
	for _, client := range []bool{false, true} {
		c, s := keyPair(t, suite)
		sender, receiver := c, s
		if client {
			sender, receiver = s, c
		}
		if len(content) > maxPlain {
			content = content[:maxPlain]
		}
		buf := sender.out.seal(nil, kind, content)
		plain, n, err := receiver.Open(buf)
		if err == nil && n != len(buf) {
			t.Fatalf("%d of %d bytes were used", n, len(buf))
		}
		if kind == typeData && (err != nil || string(plain) != string(content)) {
			t.Fatalf("data %q was opened to %q, %v", content, plain, err)
		}
		if kind != typeData && kind != 0 && plain != nil {
			t.Fatalf("type %d was taken for data %q", kind, plain)
		}
		if bytes.Equal(content, []byte{msgUpdate, 0, 0, 1, 0}) && kind == typeShake {
			sender.out.update(suite)
		}
		if _, _, again := receiver.Open(sender.Seal(nil, []byte("more"))); err != nil && again != err {
			t.Fatalf("after %v came %v", err, again)
		}
	}
}
