package proxy

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// http2Types are the frames that a client may send by name.
var http2Types = map[string]http2.FrameType{
	"DATA": http2.FrameData, "HEADERS": http2.FrameHeaders, "PRIORITY": http2.FramePriority, "RST_STREAM": http2.FrameRSTStream,
	"SETTINGS": http2.FrameSettings, "PUSH_PROMISE": http2.FramePushPromise, "PING": http2.FramePing, "GOAWAY": http2.FrameGoAway,
	"WINDOW_UPDATE": http2.FrameWindowUpdate, "CONTINUATION": http2.FrameContinuation,
}

var http2Settings = map[string]http2.SettingID{
	"HEADER_TABLE_SIZE": http2.SettingHeaderTableSize, "ENABLE_PUSH": http2.SettingEnablePush,
	"MAX_CONCURRENT_STREAMS": http2.SettingMaxConcurrentStreams, "INITIAL_WINDOW_SIZE": http2.SettingInitialWindowSize,
	"MAX_FRAME_SIZE": http2.SettingMaxFrameSize, "MAX_HEADER_LIST_SIZE": http2.SettingMaxHeaderListSize, "UNKNOWN": 0xf0f0,
}

// parseSetting understands NAME=N.
func parseSetting(word string) (name string, n uint32, err error) {
	name, digits, _ := strings.Cut(word, "=")
	if _, ok := http2Settings[name]; !ok {
		return name, 0, fmt.Errorf("%q is no setting", name)
	}
	value, err := strconv.ParseUint(digits, 10, 32)
	return name, uint32(value), err
}

// parseHTTP2Step understands one line of a client.
func parseHTTP2Step(line string) (http2Step, error) {
	if inner, ok := strings.CutPrefix(line, "<"); ok {
		return parseHTTP2Word(strings.TrimSuffix(inner, ">"))
	}
	s := http2Step{pad: -1, first: -1, numbers: map[string]uint32{}}
	head, quoted, err := cutQuoted(line)
	if err != nil {
		return s, err
	}
	words := strings.Fields(head)
	s.do, words = words[0], words[1:]
	switch s.do {
	case "RAW": // bytes as they are
		s.payload, err = hex.DecodeString(strings.Join(words, ""))
	case "FRAME": // TYPE FLAGS STREAM HEX…
		return parseHTTP2Frame(s, words, quoted)
	case "SETTINGS":
		return s, parseHTTP2Settings(&s, words)
	default:
		if _, ok := http2Types[s.do]; !ok {
			return s, fmt.Errorf("%q is no frame", s.do)
		}
		if s.do != "PING" && s.do != "GOAWAY" {
			if len(words) == 0 {
				return s, fmt.Errorf("%s without a stream", s.do)
			}
			if err = s.setStream(words[0]); err != nil {
				return s, err
			}
			words = words[1:]
		}
		err = s.setWords(words)
	}
	if quoted != nil {
		s.payload = append(s.payload, *quoted...)
	}
	return s, err
}

// parseHTTP2Word understands <await STREAM>, <bytes STREAM N>, <manual>, <ping>,
// <repeat N> and <seen N>.
func parseHTTP2Word(text string) (http2Step, error) {
	words := strings.Fields(text)
	counts := map[string]int{"await": 1, "bytes": 2, "manual": 0, "ping": 0, "repeat": 1, "seen": 1}
	want, known := counts[words[0]]
	if !known || want != len(words)-1 {
		return http2Step{}, fmt.Errorf("<%s> is not known", text)
	}
	s := http2Step{do: words[0]}
	var err error
	if want == 2 || s.do == "await" {
		err = s.setStream(words[1])
	}
	if want > 0 && s.do != "await" && err == nil {
		s.n, err = strconv.Atoi(words[want])
	}
	return s, err
}

// parseHTTP2Frame understands a frame of any type, with a payload of any bytes.
func parseHTTP2Frame(s http2Step, words []string, quoted *string) (http2Step, error) {
	if len(words) < 3 {
		return s, fmt.Errorf("write FRAME TYPE FLAGS STREAM HEX…")
	}
	kind, err := strconv.ParseUint(words[0], 0, 8)
	if err != nil {
		named, ok := http2Types[words[0]]
		if !ok {
			return s, fmt.Errorf("%q is no frame", words[0])
		}
		kind = uint64(named)
	}
	flags, err := strconv.ParseUint(words[1], 0, 8)
	if err != nil {
		return s, err
	}
	s.n, s.flags = int(kind), http2.Flags(flags)
	if err := s.setStream(words[2]); err != nil {
		return s, err
	}
	if s.payload, err = hex.DecodeString(strings.Join(words[3:], "")); quoted != nil {
		s.payload = append(s.payload, *quoted...)
	}
	return s, err
}

func parseHTTP2Settings(s *http2Step, words []string) error {
	for _, word := range words {
		if word == "ACK" {
			s.flags |= http2.FlagSettingsAck
			continue
		}
		name, n, err := parseSetting(word)
		if err != nil {
			return err
		}
		// In order, and one may stand twice.
		s.payload = append(s.payload, byte(http2Settings[name]>>8), byte(http2Settings[name]), byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	return nil
}

// setStream understands a stream's number, next and last.
func (s *http2Step) setStream(word string) error {
	if word == "next" || word == "last" {
		s.relative = word
		return nil
	}
	id, err := strconv.ParseUint(word, 10, 31)
	s.stream = uint32(id)
	return err
}

// setWords understands flags, PADDED N, first N, an error code and NAME=N.
func (s *http2Step) setWords(words []string) (err error) {
	flags := map[string]http2.Flags{"END_STREAM": http2.FlagDataEndStream, "END_HEADERS": http2.FlagHeadersEndHeaders, "ACK": http2.FlagPingAck}
	for i := 0; i < len(words) && err == nil; i++ {
		word := words[i]
		name, digits, numbered := strings.Cut(word, "=")
		flag, isFlag := flags[word]
		switch {
		case isFlag:
			s.flags |= flag
		case slices.Contains([]string{"PADDED", "first"}, word) && i+1 < len(words):
			i++
			var n int
			if n, err = strconv.Atoi(words[i]); word == "first" {
				s.first = n
			} else {
				s.pad = n
			}
		case isHTTP2Code(word):
			s.n = http2CodeNamed(word)
		case numbered:
			var n uint64
			n, err = strconv.ParseUint(digits, 10, 32)
			s.numbers[name] = uint32(n)
		default:
			err = fmt.Errorf("%q is not known", word)
		}
	}
	return err
}

func TestHTTP2Case_Mistakes(t *testing.T) {
	good := "=== n\nrfc: 9113 §8.1\nclient:\n  HEADERS 1 END_STREAM END_HEADERS\n    = GET /\n    x: 1\n  RST_STREAM 1 CANCEL\n" +
		"  <repeat 2>\n    PING\n  <await 1>\ngets: 1 200 \"ok\"\n  X: 1\nsees: nothing\nthen: kept\n"
	if _, err := parseHTTP2Cases("f", good); err != nil {
		t.Fatalf("a good case: %v", err)
	}
	for _, change := range [][2]string{
		{"=== n\n", ""}, {"rfc: 9113 §8.1\n", ""}, {"9113 §8.1", "9113"}, {"then: kept\n", ""}, {"then: kept", "then: open"}, {"sees: nothing\n", ""},
		{"sees: nothing", "sees: nothing\nsees: GET /"}, {"sees: nothing", "sees: at most x"}, {"gets: 1 200", "gets: 1"}, {"gets: 1", "gets: one"},
		{"gets: 1 200", "gets: 1 200 404"}, {"gets: 1 200 \"ok\"", "gets: 1 RST_STREAM OUCH"}, {"gets: 1 200 \"ok\"", "gets: GOAWAY OUCH"},
		{"gets: 1 200 \"ok\"\n  X: 1\n", ""}, {"HEADERS", "HEADS"}, {"HEADERS 1", "HEADERS one"}, {"END_STREAM", "ENDS"}, {"= GET /", "= GET"},
		{"x: 1", "hpack 0"}, {"x: 1", "x"}, {"CANCEL\n", "CANCEL\n    x: 1\n"}, {"<await 1>", "<await>"}, {"<await 1>", "<wait 1>"}, {"<repeat 2>", "<repeat x>"},
	} {
		if _, err := parseHTTP2Cases("f", strings.Replace(good, change[0], change[1], 1)); err == nil {
			t.Errorf("%q instead of %q is taken", change[1], change[0])
		}
	}
}
