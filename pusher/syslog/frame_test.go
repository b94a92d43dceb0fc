package syslog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

const testMax = 20

// framesOf reads a stream to its end. A line that was cut ends in "…".
func framesOf(r io.Reader) (lines []string, err error) {
	f := newFrames(r, testMax)
	for {
		text, cut, err := f.next()
		if cut {
			text = append(text, "…"...)
		}
		if len(text) > 0 {
			lines = append(lines, string(text))
		}
		if err != nil {
			return lines, err
		}
	}
}

func TestFrames_BothKindsInOneStream(t *testing.T) {
	long := strings.Repeat("x", testMax)
	for _, c := range []struct {
		name, stream string
		want         []string
		err          error
	}{
		{"LF", "<1>a\n<1>b\n", []string{"<1>a", "<1>b"}, io.EOF},
		{"CR LF and empty lines", "<1>a\r\n\r\n\n<1>b\r\n", []string{"<1>a", "<1>b"}, io.EOF},
		{"last line without LF", "<1>a\n<1>b", []string{"<1>a", "<1>b"}, io.EOF},
		{"length", "4 <1>a4 <1>b", []string{"<1>a", "<1>b"}, io.EOF},
		{"length and LF", "5 <1>a\n4 <1>b\n6 <1>a\nb<1>c\n", []string{"<1>a\n", "<1>b", "<1>a\nb", "<1>c"}, io.EOF},
		{"numbers that are no lengths", "4 a\n12\n5\n2026-11-27 <1>\n0 <1>a\n123456789 <1>a\n7", []string{"4 a", "12", "5", "2026-11-27 <1>", "0 <1>a", "123456789 <1>a", "7"}, io.EOF},
		{"a space that no length is in front of", " <1>a\n", []string{" <1>a"}, io.EOF},
		{"just not too long", long + "\n" + long + "\r\n<1>a\n", []string{long, long, "<1>a"}, io.EOF},
		{"too long", long + "yz\n<1>a\n" + strings.Repeat(long, 9) + "\n<1>b\n", []string{long + "…", "<1>a", long + "…", "<1>b"}, io.EOF},
		{"length just not too long", "20 <1>" + long[3:] + "4 <1>a", []string{"<1>" + long[3:], "<1>a"}, io.EOF},
		{"length too long", "120 <1>" + long[3:] + strings.Repeat("\n", 100) + "4 <1>a", []string{"<1>" + long[3:] + "…", "<1>a"}, io.EOF},
		{"broken off in a line with a length", "9 <1>a", []string{"<1>a"}, io.ErrUnexpectedEOF},
		{"broken off behind a length", "9 ", []string{"9 "}, io.EOF},
		{"broken off in a long one", "99999999 <1>" + long, []string{"<1>" + long[3:] + "…"}, io.EOF},
		{"nothing", "", nil, io.EOF},
	} {
		t.Run(c.name, func(t *testing.T) {
			for name, r := range map[string]io.Reader{"at once": strings.NewReader(c.stream), "by bytes": iotest.OneByteReader(strings.NewReader(c.stream))} {
				got, err := framesOf(r)
				if !slices.Equal(got, c.want) || !errors.Is(err, c.err) {
					t.Errorf("%s: got %q, %v, want %q, %v", name, got, err, c.want, c.err)
				}
			}
		})
	}
}

// A reader that waited for more than it needs would keep a line back until the
// next one comes.
func TestFrames_WaitsForNoByteTooMuch(t *testing.T) {
	for _, stream := range []string{"1\n", "<1>a\n", "12 \n", "4 <1>a", "1234567890\n", "\n"} {
		r, w := io.Pipe()
		f := newFrames(r, testMax)
		go w.Write([]byte(stream)) // read to its end by next
		if _, _, err := f.next(); err != nil {
			t.Errorf("%q: %v", stream, err)
		}
		_ = w.Close()
	}
}

func FuzzFrames(f *testing.F) {
	for _, s := range []string{"<1>a\n<1>b\n", "4 <1>a5 <1>b\n", "12\n", "99999999 <1>a", "120 <1>a\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		whole, err := framesOf(bytes.NewReader(stream))
		pieces, err2 := framesOf(iotest.OneByteReader(bytes.NewReader(stream)))
		if !slices.Equal(whole, pieces) || err.Error() != err2.Error() {
			t.Errorf("at once %q, %v; by bytes %q, %v", whole, err, pieces, err2)
		}
		// What goes in by its length comes out as it was.
		var counted bytes.Buffer
		var want []string
		for _, line := range whole {
			line = "<1>" + line
			if len(line) <= testMax {
				fmt.Fprintf(&counted, "%d %s", len(line), line)
				want = append(want, line)
			}
		}
		if got, err := framesOf(&counted); !slices.Equal(got, want) || err != io.EOF {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	})
}
