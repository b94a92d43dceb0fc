package pusher

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// readEvents is the parser of the HTML standard, §9.2.6, for the fields in use.
func readEvents(stream string) (events []string) {
	var data strings.Builder
	stream = strings.ReplaceAll(strings.ReplaceAll(stream, "\r\n", "\n"), "\r", "\n")
	for line := range strings.SplitSeq(stream, "\n") {
		switch field, value, _ := strings.Cut(line, ":"); {
		case line == "":
			if text, ok := strings.CutSuffix(data.String(), "\n"); ok {
				events = append(events, text)
			}
			data.Reset()
		case field == "data":
			data.WriteString(strings.TrimPrefix(value, " ") + "\n")
		}
	}
	return events
}

func FuzzAppendEvent(f *testing.F) {
	for _, seed := range []string{"hi", "", " hi", "two\nlines", "\r\n\r\n", "\n", "a\rb", "a\r", "data: x\n\nevent: y", ":", "é€🎈\u2028", "id: 1\nretry: 0"} {
		f.Add(seed, "next")
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		stream := string(appendEventData(appendEventData([]byte(heartbeat), []byte(first)), []byte(second)))
		got := readEvents(stream)
		plain := strings.NewReplacer("\r\n", "\n", "\r", "\n")
		if len(got) != 2 || got[0] != plain.Replace(first) || got[1] != plain.Replace(second) {
			t.Errorf("%q and %q are read as %q", first, second, got)
		}
	})
}

func FuzzCloseFrame(f *testing.F) {
	f.Add(1000, "")
	f.Add(1012, "service restart")
	f.Add(4999, strings.Repeat("x", 200))
	f.Fuzz(func(t *testing.T, code int, reason string) {
		if code < 0 || code > 0xffff || !utf8.ValidString(reason) {
			return
		}
		frame := closeFrame(code, reason)
		if len(frame) > 127 || int(frame[1]) != len(frame)-2 {
			t.Fatalf("frame of %d bytes says %d", len(frame), frame[1])
		}
		gotCode, gotReason := parseClose(frame[2:])
		if gotCode != code || !strings.HasPrefix(reason, gotReason) || len(reason) <= 123 && gotReason != reason {
			t.Errorf("%d %q became %d %q", code, reason, gotCode, gotReason)
		}
	})
}
