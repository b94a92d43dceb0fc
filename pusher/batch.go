package pusher

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
)

const (
	// maxBatchLines is how many lines a batch may have.
	maxBatchLines = 1000
	// maxBatchBytes is how long it may be, or as one line may be where that is
	// more.
	maxBatchBytes = 16 << 20
	// maxLineChannels is how many channels one line may name.
	maxLineChannels = 100
	// batchLanes is how many messages of a batch are stored at a time; those of
	// one channel one after the other.
	batchLanes = 16
)

// batchLine is a line as the publisher writes it.
type batchLine struct {
	Channel  *string         `json:"channel"`
	Channels []string        `json:"channels"`
	Data     json.RawMessage `json:"data"`
	Base64   *string         `json:"base64"`
	ID       *string         `json:"id"`
	TTL      json.RawMessage `json:"ttl"`
}

// batchEntry is a line that was read: one message for some channels.
type batchEntry struct {
	channels []string
	message  Message
}

// appending is a message on its way to one channel, and how that ended.
type appending struct {
	channel string
	message *Message
	receipt Receipt
	err     error
}

// publishMany is POST /publish. Its answer has a line for each one that came, in
// their order. Lines are stored while others are still on their way.
func (a *publishAPI) publishMany(w http.ResponseWriter, r *http.Request, key *Key) *refusal {
	if refused := key.check(RightPublish, ""); refused != nil {
		return refused
	}
	if bodyKind(r.Header.Get("Content-Type")) == bodyForm {
		return &refusal{http.StatusBadRequest, "this is an uploaded form; send the lines themselves as the body (curl --data-binary @-)"}
	}
	longest := max(maxBatchBytes, a.hub.cfg.maxLine())
	taken, refused := a.take(r.ContentLength, longest)
	if refused != nil {
		return refused
	}
	defer a.give(taken)
	b := &batch{api: a, key: key}
	unread := b.read(r.Context(), http.MaxBytesReader(w, r.Body, longest))
	if b.forbidden != nil {
		a.hub.logRefused(r, b.forbidden.status, "publish key: "+b.forbidden.text, slog.String("key", key.Name))
	}
	status, answer := http.StatusOK, b.answer()
	if unread != nil {
		a.hub.counts.refuse(http.StatusBadRequest)
		status, answer = http.StatusBadRequest, append(unread.appendJSON(append(answer, '{')), "}\n"...)
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.WriteHeader(status)
	_, _ = w.Write(answer) // who left does not want it
	return nil
}

// batch is a batch under way.
type batch struct {
	api       *publishAPI
	key       *Key
	lines     []batchOutcome
	forbidden *refusal // the first of those that key is not for

	seed    maphash.Seed
	lanes   [batchLanes]chan *appending
	storing sync.WaitGroup // the lanes' goroutines
}

// batchOutcome is a line that was refused, or what is done for it.
type batchOutcome struct {
	refused *refusal
	parts   []appending
}

// read reads all lines and stores what they say. When the body cannot be read to
// its end it says why: then the lines before have been stored.
func (b *batch) read(ctx context.Context, body io.Reader) (unread *refusal) {
	b.seed = maphash.MakeSeed()
	defer b.storing.Wait()
	defer b.endLanes()
	in := &lineReader{in: bufio.NewReader(body), limit: int(b.api.hub.cfg.maxLine())}
	for {
		line, err := in.next()
		var tooLarge *http.MaxBytesError
		switch {
		case err == io.EOF:
			return nil
		case errors.As(err, &tooLarge):
			return &refusal{http.StatusRequestEntityTooLarge, fmt.Sprintf("the batch is longer than %d bytes; send the lines from here on in another", tooLarge.Limit)}
		case err != nil && err != errLongLine:
			return &refusal{http.StatusBadRequest, "the body could not be read to its end: " + err.Error()}
		case len(b.lines) == maxBatchLines:
			return &refusal{http.StatusRequestEntityTooLarge, fmt.Sprintf("the batch has more than %d lines; send the lines from here on in another", maxBatchLines)}
		}
		var e batchEntry
		var refused *refusal
		if err == nil {
			e, refused = b.entry(line)
		} else {
			refused = b.api.tooLarge()
		}
		if refused != nil {
			b.lines = append(b.lines, batchOutcome{refused: refused})
			continue
		}
		o := batchOutcome{parts: make([]appending, len(e.channels))}
		for i, channel := range e.channels {
			o.parts[i] = appending{channel: channel, message: &e.message}
			b.store(ctx, &o.parts[i])
		}
		b.lines = append(b.lines, o)
	}
}

// store has p stored after what came before for the same channel. Each lane has
// a goroutine, from when it is first needed until the batch was read.
func (b *batch) store(ctx context.Context, p *appending) {
	lane := &b.lanes[maphash.String(b.seed, p.channel)%batchLanes]
	if *lane == nil {
		queue := make(chan *appending, batchLanes)
		*lane = queue
		b.storing.Go(func() { // ends with endLanes, awaited by read
			for p := range queue {
				p.receipt, p.err = b.api.hub.Publish(ctx, p.channel, *p.message)
			}
		})
	}
	*lane <- p
}

func (b *batch) endLanes() {
	for _, lane := range b.lanes {
		if lane != nil {
			close(lane)
		}
	}
}

// entry reads a line and checks everything that can be wrong with it, so that
// then it is published whole, or not at all.
func (b *batch) entry(line []byte) (batchEntry, *refusal) {
	e, problem := parseBatchLine(line)
	if problem != "" {
		return e, &refusal{http.StatusBadRequest, problem}
	}
	if int64(len(e.message.Data)) > b.api.hub.cfg.MaxMessage {
		return e, b.api.tooLarge()
	}
	for _, channel := range e.channels {
		if refused := b.key.check(RightPublish, channel); refused != nil {
			if b.forbidden == nil {
				b.forbidden = refused
			}
			return e, refused
		}
	}
	return e, nil
}

// answer tells what became of the lines, once read has ended.
func (b *batch) answer() []byte {
	var dst []byte
	for _, o := range b.lines {
		dst = append(dst, '{')
		if o.refused != nil {
			dst = o.refused.appendJSON(dst)
		} else {
			dst = b.appendParts(dst, o.parts)
		}
		dst = append(dst, "}\n"...)
	}
	return dst
}

// appendParts tells in which channels a message stands, in which it did before,
// and what went wrong first, if anything did. No character that a channel's name
// may have needs escaping.
func (b *batch) appendParts(dst []byte, parts []appending) []byte {
	var failed, again []string
	var first *refusal
	dst = append(dst, `"positions":{`...)
	begun := false
	for i := range parts {
		p := &parts[i]
		switch {
		case p.err != nil && first == nil:
			first = b.api.refusalOf(p.err, p.message.ID)
			fallthrough
		case p.err != nil:
			failed = append(failed, p.channel)
			continue
		case p.receipt.Duplicate:
			again = append(again, p.channel)
		}
		if begun {
			dst = append(dst, ',')
		}
		begun = true
		dst = append(append(append(dst, '"'), p.channel...), `":"`...)
		dst = append(p.receipt.Position.append(dst), '"')
	}
	dst = append(dst, '}')
	if len(again) > 0 {
		dst = append(append(append(dst, `,"duplicates":["`...), strings.Join(again, `","`)...), `"]`...)
	}
	if first != nil {
		first.text = strings.Join(failed, ", ") + ": " + first.text
		dst = first.appendJSON(append(dst, ','))
	}
	return dst
}

// appendJSON appends the fields that tell of a refusal.
func (f *refusal) appendJSON(dst []byte) []byte {
	text, _ := json.Marshal(f.text) // a string always has a form
	dst = append(append(dst, `"error":`...), text...)
	return strconv.AppendInt(append(dst, `,"status":`...), int64(f.status), 10)
}

const batchForm = `{"channel":"board","data":"text"}`

// parseBatchLine reads a line, or says what to write instead.
func parseBatchLine(line []byte) (e batchEntry, problem string) {
	switch {
	case len(bytes.TrimSpace(line)) == 0:
		return e, "the line is empty; write such as " + batchForm
	case !utf8.Valid(line):
		return e, "the line is not UTF-8; send binary messages as base64"
	}
	var l batchLine
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&l); err != nil {
		return e, fmt.Sprintf("the line is not as it should be (%.200v); write such as %s", err, batchForm)
	}
	if _, err := d.Token(); err != io.EOF {
		return e, "the line has more than one JSON value; write each in a line of its own (curl keeps lines with --data-binary)"
	}
	if e.channels, problem = l.channels(); problem != "" {
		return e, problem
	}
	if e.message.Text, e.message.Data, problem = l.data(); problem != "" {
		return e, problem
	}
	if l.ID != nil {
		if e.message.ID = *l.ID; e.message.ID == "" || len(e.message.ID) > MaxID {
			return e, fmt.Sprintf("id has %d bytes; write 1 to %d, such as a UUID, or leave it out", len(e.message.ID), MaxID)
		}
	}
	if l.TTL != nil {
		if e.message.TTL, problem = parseTTL(string(l.TTL)); problem != "" {
			return e, "ttl: " + problem
		}
	}
	return e, ""
}

// channels are those that a line is for.
func (l *batchLine) channels() (names []string, problem string) {
	switch {
	case l.Channel != nil && l.Channels != nil:
		return nil, "the line has channel and channels; write one of them"
	case l.Channel != nil:
		names = []string{*l.Channel}
	case len(l.Channels) == 0:
		return nil, "the line names no channel; write such as " + batchForm
	case len(l.Channels) > maxLineChannels:
		return nil, fmt.Sprintf("the line names %d channels; write at most %d, and more lines", len(l.Channels), maxLineChannels)
	default:
		names = l.Channels
	}
	for i, name := range names {
		switch {
		case !validChannel(name):
			return nil, channelProblem(name)
		case slices.Contains(names[:i], name):
			return nil, "the line names channel " + name + " twice; remove one of them"
		}
	}
	return names, ""
}

// data is the message of a line: a JSON string is the text in it, any other
// value its own text.
func (l *batchLine) data() (text bool, data []byte, problem string) {
	switch {
	case l.Data != nil && l.Base64 != nil:
		return false, nil, "the line has data and base64; write one of them"
	case l.Base64 != nil:
		data, err := base64.StdEncoding.DecodeString(*l.Base64)
		if err != nil {
			return false, nil, "base64 is not of RFC 4648 §4, with its padding: " + err.Error()
		}
		return false, data, ""
	case l.Data == nil:
		return false, nil, "the line has no message; write such as " + batchForm
	case l.Data[0] == '"':
		var s string
		_ = json.Unmarshal(l.Data, &s) // it has been read as JSON before
		return true, []byte(s), ""
	}
	var compact bytes.Buffer
	_ = json.Compact(&compact, l.Data)
	return true, compact.Bytes(), ""
}

// maxLine is how long a line may be: its message in base64, or with some
// characters escaped, and the names of channels.
func (c *Config) maxLine() int64 {
	return c.MaxMessage*7/5 + maxLineChannels*(maxChannelName+3) + 2*MaxID + 1024
}

// errLongLine is what next says of a line that it has not kept.
var errLongLine = errors.New("long line")

// lineReader reads lines of at most limit bytes, and goes on behind longer ones.
type lineReader struct {
	in    *bufio.Reader
	limit int
	buf   []byte
}

// next is the next line, without its end, until it is called again. The last one
// needs no end.
func (l *lineReader) next() ([]byte, error) {
	l.buf = l.buf[:0]
	long := false
	for begun := false; ; begun = true {
		part, err := l.in.ReadSlice('\n')
		whole := err == nil
		if whole {
			part = part[:len(part)-1]
		}
		if long = long || len(l.buf)+len(part) > l.limit; !long {
			l.buf = append(l.buf, part...)
		}
		switch {
		case err == bufio.ErrBufferFull:
			continue
		case err != nil && (err != io.EOF || !begun && len(part) == 0):
			return nil, err
		case long:
			return nil, errLongLine
		}
		return l.buf, nil
	}
}
