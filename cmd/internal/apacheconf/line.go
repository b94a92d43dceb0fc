package apacheconf

import (
	"bytes"
	"strings"
)

// line is a logical line: neither empty nor a comment.
type line struct {
	Position
	text string
}

const byteOrderMark = "\xef\xbb\xbf"

// lines makes logical lines of a file. A backslash at the end of a line joins
// the next, also in a comment: Apache joins first, and looks for "#" and cuts
// off the space around it afterwards. It knows no backslash that stands for
// itself there.
func (r *reader) lines(name string, data []byte) []line {
	at := Position{name, 1}
	if rest, found := bytes.CutPrefix(data, []byte(byteOrderMark)); found {
		r.note(at, "the file begins with a byte order mark, with which Apache does not start; it is passed over")
		data = rest
	}
	if i := bytes.IndexByte(data, 0); i >= 0 {
		r.note(Position{name, 1 + bytes.Count(data[:i], []byte("\n"))},
			"a NUL byte: is this a text file? Apache does not read the rest of such a line, here and below")
	}
	var all []line
	for number := 1; len(data) > 0; {
		at.Line = number
		var text []byte
		for joined := true; joined && len(data) > 0; number++ {
			var physical []byte
			physical, data, joined = cutLine(data)
			text = append(text, physical...)
		}
		if len(text) > maxLine {
			r.note(at, "a line of more than %d bytes, which is left out", maxLine)
			continue
		}
		if trimmed := strings.Trim(string(text), space); trimmed != "" && trimmed[0] != '#' {
			all = append(all, line{at, trimmed})
		}
	}
	return all
}

// cutLine cuts the first physical line off data, and says whether the next
// belongs to it. The last line's backslash has no line end behind it, and
// joins nothing.
func cutLine(data []byte) (physical, rest []byte, joined bool) {
	physical, rest, ended := bytes.Cut(data, []byte("\n"))
	if i := bytes.IndexByte(physical, 0); i >= 0 {
		return physical[:i], rest, false
	}
	if !ended {
		return physical, nil, false
	}
	physical, joined = bytes.CutSuffix(bytes.TrimSuffix(physical, []byte("\r")), []byte(`\`))
	return physical, rest, joined
}
