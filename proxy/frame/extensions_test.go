package frame

import "testing"

func TestReserved(t *testing.T) {
	cases := []struct {
		extensions          string
		compression, anyUse bool
	}{
		{"", false, false},
		{" , ", false, false},
		{"permessage-deflate", true, false},
		{"Permessage-Deflate; server_no_context_takeover; client_max_window_bits=15", true, false},
		{"permessage-deflate;client_max_window_bits=\"10\"\t,", true, false},
		{"x-webkit-deflate-frame", false, true},
		{"permessage-deflate, mux; max-channels=4", true, true},
		{"permessage-deflate-frame", false, true},
		{"; permessage-deflate", false, false},
		{`foo; a="x, permessage-deflate"`, false, true},
	}
	for _, c := range cases {
		if compression, anyUse := Reserved(c.extensions); compression != c.compression || anyUse != c.anyUse {
			t.Errorf("%q: compression %v, any %v", c.extensions, compression, anyUse)
		}
	}
}
