package proxy

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// http2Reader reads what a server sends, and notes what no server may do,
// whatever its client does.
type http2Reader struct {
	conn    net.Conn
	framer  *http2.Framer
	decoder *hpack.Decoder
	writing sync.Mutex // of the connection, by the client too
	within  bool       // a header block has begun, and nothing may come between (RFC 9113 §6.10)
	held    []byte     // frames that wait for its end

	noticeBoard
	streams  map[uint32]*http2Stream
	methods  map[uint32]string
	probe    uint32 // not counted
	settings map[string]uint32
	goAway   string
	pongs    int
	over     bool // the connection has ended
	late     bool // by our patience
	mistakes []string
	frames   []string // to print

	block   []hpack.HeaderField
	initial int               // window of a new stream
	window  int               // of the connection
	windows map[uint32]int    // granted beyond initial, less what came
	offered [][]http2.Setting // ours that wait for their ACK
}

// http2Stream is what came of a stream.
type http2Stream struct {
	id      uint32
	answers []gotAnswer
	ended   bool
	reset   string
}

// answer is the last answer: an empty one before any has come.
func (s *http2Stream) answer() *gotAnswer {
	if len(s.answers) == 0 {
		return &gotAnswer{}
	}
	return &s.answers[len(s.answers)-1]
}

func newHTTP2Reader(conn net.Conn) *http2Reader {
	r := &http2Reader{
		conn: conn, framer: http2.NewFramer(io.Discard, conn), noticeBoard: noticeBoard{changed: make(chan struct{})},
		streams: map[uint32]*http2Stream{}, methods: map[uint32]string{}, settings: map[string]uint32{},
		initial: 65535, window: 65535, windows: map[uint32]int{},
	}
	r.decoder = hpack.NewDecoder(4096, func(f hpack.HeaderField) { r.block = append(r.block, f) })
	return r
}

// run reads until the connection ends.
func (r *http2Reader) run() {
	for {
		f, err := r.framer.ReadFrame()
		r.update(func() {
			if err == nil {
				r.take(f)
				return
			}
			var network net.Error
			if !errors.As(err, &network) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				r.wrong("the server's frames end in %v", err)
			}
			r.frames = append(r.frames, err.Error())
			r.over, r.late = true, network != nil && network.Timeout()
		})
		if err != nil {
			return
		}
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				r.reply(http2.FrameSettings, http2.FlagSettingsAck, nil)
			}
		case *http2.PingFrame:
			if !f.IsAck() {
				r.reply(http2.FramePing, http2.FlagPingAck, f.Data[:])
			}
		}
	}
}

func (r *http2Reader) reply(kind http2.FrameType, flags http2.Flags, payload []byte) {
	r.writing.Lock()
	defer r.writing.Unlock()
	p := appendFrame(nil, kind, flags, 0, payload)
	if r.within {
		r.held = append(r.held, p...)
		return
	}
	_, _ = r.conn.Write(p)
}

func (r *http2Reader) wrong(format string, args ...any) {
	r.mistakes = append(r.mistakes, fmt.Sprintf(format, args...))
}

// offer notes settings of ours. A larger window may be used at once, a smaller
// one binds from the ACK on.
func (r *http2Reader) offer(payload []byte) {
	r.update(func() {
		var list []http2.Setting
		for ; len(payload) >= 6; payload = payload[6:] {
			s := http2.Setting{ID: http2.SettingID(payload[0])<<8 | http2.SettingID(payload[1]),
				Val: uint32(payload[2])<<24 | uint32(payload[3])<<16 | uint32(payload[4])<<8 | uint32(payload[5])}
			if s.ID == http2.SettingInitialWindowSize {
				r.initial = max(r.initial, int(s.Val))
			}
			list = append(list, s)
		}
		r.offered = append(r.offered, list)
	})
}

// widen notes a WINDOW_UPDATE of ours.
func (r *http2Reader) widen(stream uint32, n int) {
	r.update(func() {
		if stream == 0 {
			r.window += n
		} else {
			r.windows[stream] += n
		}
	})
}

// asked notes the method of a request of ours.
func (r *http2Reader) asked(stream uint32, method string) {
	r.update(func() { r.methods[stream] = method })
}

// take understands a frame of the server's.
func (r *http2Reader) take(f http2.Frame) {
	r.frames = append(r.frames, f.Header().String())
	switch f := f.(type) {
	case *http2.SettingsFrame:
		r.takeSettings(f)
	case *http2.PingFrame:
		if f.IsAck() {
			r.pongs++
		}
	case *http2.GoAwayFrame:
		if r.goAway == "" || r.goAway == "NO_ERROR" { // a server may say first that it will go
			r.goAway = f.ErrCode.String()
		}
	case *http2.RSTStreamFrame:
		r.stream(f.StreamID).reset = f.ErrCode.String()
	case *http2.HeadersFrame:
		r.takeBlock(f.StreamID, f.HeaderBlockFragment(), f.HeadersEnded(), f.StreamEnded())
	case *http2.ContinuationFrame:
		r.takeBlock(f.StreamID, f.HeaderBlockFragment(), f.HeadersEnded(), false)
	case *http2.DataFrame:
		r.takeData(f)
	case *http2.PushPromiseFrame:
		r.wrong("PUSH_PROMISE")
	}
}

func (r *http2Reader) takeSettings(f *http2.SettingsFrame) {
	if !f.IsAck() {
		_ = f.ForeachSetting(func(s http2.Setting) error {
			for name, id := range http2Settings {
				if id == s.ID {
					r.settings[name] = s.Val
				}
			}
			return nil
		})
		return
	}
	if len(r.offered) == 0 {
		return // of the empty SETTINGS that came first
	}
	for _, s := range r.offered[0] {
		switch s.ID {
		case http2.SettingInitialWindowSize:
			r.initial = int(s.Val)
		case http2.SettingHeaderTableSize:
			r.decoder.SetAllowedMaxDynamicTableSize(s.Val)
		}
	}
	r.offered = r.offered[1:]
}

// stream finds one, on which something has come.
func (r *http2Reader) stream(id uint32) *http2Stream {
	s := r.streams[id]
	if s == nil {
		s = &http2Stream{id: id}
		r.streams[id] = s
	}
	if s.ended && s.reset != "" {
		r.wrong("stream %d goes on after RST_STREAM", id)
	}
	return s
}

func (r *http2Reader) takeData(f *http2.DataFrame) {
	s := r.stream(f.StreamID)
	if len(s.answers) == 0 || s.answer().status < 200 || s.ended || s.answer().trailer != nil {
		r.wrong("stream %d: DATA out of place", f.StreamID)
		return
	}
	s.answer().body += string(f.Data())
	n := int(f.Length)
	r.window -= n
	r.windows[f.StreamID] -= n
	if n > 0 && (r.window < 0 || r.initial+r.windows[f.StreamID] < 0) {
		r.wrong("stream %d: DATA beyond the window: connection %d, stream %d", f.StreamID, r.window, r.initial+r.windows[f.StreamID])
	}
	if f.StreamEnded() {
		r.end(s)
	}
}

// takeBlock takes a piece of a header block: a head or a trailer section.
func (r *http2Reader) takeBlock(id uint32, fragment []byte, whole, ends bool) {
	s := r.stream(id)
	if ends {
		defer r.end(s)
	}
	if _, err := r.decoder.Write(fragment); err != nil {
		r.wrong("stream %d: %v", id, err)
	}
	if !whole {
		return
	}
	if err := r.decoder.Close(); err != nil {
		r.wrong("stream %d: %v", id, err)
	}
	fields := http.Header{}
	status := 0
	for i, f := range r.block {
		switch {
		case f.Name == ":status" && i == 0:
			status, _ = strconv.Atoi(f.Value) // 0 is wrong below
		case f.IsPseudo(), f.Name != strings.ToLower(f.Name), slices.Contains(hopByHop(), f.Name):
			r.wrong("stream %d: the answer has the field %q", id, f.Name)
		default:
			fields.Add(f.Name, f.Value)
		}
	}
	r.block = r.block[:0]
	if last := s.answer(); last.status >= 200 {
		if status != 0 || !ends || last.trailer != nil || s.ended {
			r.wrong("stream %d: HEADERS behind the answer that are no trailer section", id)
		}
		last.trailer = fields
		return
	}
	if status < 200 && ends || status < 100 || status == http.StatusSwitchingProtocols {
		r.wrong("stream %d: status %d, END_STREAM=%v", id, status, ends)
	}
	s.answers = append(s.answers, gotAnswer{status: status, fields: fields})
}

// hopByHop are fields that no message of HTTP/2 has (RFC 9113 §8.2.2).
func hopByHop() []string {
	return []string{"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"}
}

// end notes that an answer is whole, as far as the server says.
func (r *http2Reader) end(s *http2Stream) {
	s.ended = true
	a := s.answer()
	length := a.fields.Get("Content-Length")
	bodiless := r.methods[s.id] == http.MethodHead || a.status == http.StatusNotModified
	if length != "" && !bodiless && length != strconv.Itoa(len(a.body)) {
		r.wrong("stream %d ends after %d bytes, content-length %s", s.id, len(a.body), length)
	}
	if bodiless && a.body != "" {
		r.wrong("stream %d: an answer that has no body has one", s.id)
	}
}
