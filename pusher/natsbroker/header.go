package natsbroker

import (
	"strconv"
	"strings"
	"time"
)

// headerRecord is the header of our own that each stored message has.
const headerRecord = "Wsfront"

// record is what is stored with a message besides its data. On the wire it is
// four words: t, b or p (text, binary, mark of a purge), prev, total, and expires
// in milliseconds since 1970 or 0.
type record struct {
	kind byte
	// prev is the number of the channel's message before this one. The server's
	// own header with the expected last number of the subject does not serve:
	// that is 0 when nothing of the channel is stored any more.
	prev uint64
	// total is the bytes of all messages that the channel has ever had, this one
	// included. The difference of two is what lies between them, so that nobody
	// must read the channel to know how much of it is stored.
	total   int64
	expires time.Time
}

const (
	kindText   = 't'
	kindBinary = 'b'
	kindPurge  = 'p'
)

func (r record) String() string {
	b := make([]byte, 0, 64)
	b = append(b, r.kind, ' ')
	b = strconv.AppendUint(b, r.prev, 10)
	b = append(b, ' ')
	b = strconv.AppendInt(b, r.total, 10)
	b = append(b, ' ')
	if r.expires.IsZero() {
		b = append(b, '0')
	} else {
		b = strconv.AppendInt(b, r.expires.UnixMilli(), 10)
	}
	return string(b)
}

// parseRecord reads what String writes.
func parseRecord(s string) (r record, ok bool) {
	kind, s, _ := strings.Cut(s, " ")
	prev, s, _ := strings.Cut(s, " ")
	total, expires, _ := strings.Cut(s, " ")
	if kind != "t" && kind != "b" && kind != "p" {
		return record{}, false
	}
	r.kind = kind[0]
	var err error
	if r.prev, err = strconv.ParseUint(prev, 10, 64); err != nil {
		return record{}, false
	}
	if r.total, err = strconv.ParseInt(total, 10, 64); err != nil || r.total < 0 {
		return record{}, false
	}
	ms, err := strconv.ParseInt(expires, 10, 64)
	if err != nil || ms < 0 {
		return record{}, false
	}
	if ms > 0 {
		r.expires = time.UnixMilli(ms)
	}
	return r, true
}
