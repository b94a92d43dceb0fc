package pusher

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// publish is POST /channels/{name}: its body is the message.
func (a *publishAPI) publish(w http.ResponseWriter, r *http.Request, key *Key) *refusal {
	channel, refused := channelOf(r, key, RightPublish)
	if refused != nil {
		return refused
	}
	m, refused := messageOf(r)
	if refused != nil {
		return refused
	}
	taken, refused := a.take(r.ContentLength, a.hub.cfg.MaxMessage)
	if refused != nil {
		return refused
	}
	defer a.give(taken)
	buf, refused := a.readBody(r)
	if refused != nil {
		return refused
	}
	receipt, err := a.hub.publish(r.Context(), channel, m, buf)
	if err != nil {
		return a.refusalOf(err, m.ID)
	}
	// No character that a channel's name may have needs escaping.
	answer := make([]byte, 0, len(channel)+128)
	answer = append(append(append(answer, `{"channel":"`...), channel...), `","subscribers":`...)
	answer = strconv.AppendInt(answer, int64(receipt.Subscribers), 10)
	answer = append(receipt.Position.append(append(answer, `,"position":"`...)), '"')
	if receipt.Duplicate {
		answer = append(answer, `,"duplicate":true`...)
	}
	w.Header()["Content-Type"] = []string{"application/json"}
	_, _ = w.Write(append(answer, "}\n"...)) // a publisher that left does not want it
	return nil
}

// messageOf is what the headers of r say of the message that is its body.
func messageOf(r *http.Request) (Message, *refusal) {
	var m Message
	if ids, given := r.Header["Idempotency-Key"]; given {
		if m.ID = ids[0]; m.ID == "" || len(ids) > 1 {
			return m, &refusal{http.StatusBadRequest, fmt.Sprintf("Idempotency-Key is to have one value, which is not empty; "+
				"write 1 to %d characters that are this message's alone, such as a UUID, or leave it out", MaxID)}
		}
	}
	if ttls, given := r.Header["Ttl"]; given {
		var problem string
		if m.TTL, problem = parseTTL(ttls[0]); problem != "" {
			return m, &refusal{http.StatusBadRequest, "TTL: " + problem}
		}
	}
	var contentType string
	if types := r.Header["Content-Type"]; len(types) > 0 {
		contentType = types[0]
	}
	kind := bodyKind(contentType)
	if kind == bodyForm {
		return m, &refusal{http.StatusBadRequest, "this is an uploaded form; send the message itself as the body (curl --data-binary @-)"}
	}
	m.Text = kind == bodyText
	return m, nil
}

// maxTTL is the longest TTL.
const maxTTL = 100 * 365 * 24 * time.Hour

// parseTTL reads for how many seconds a message is to be kept (RFC 8030 §5.2),
// or says what to write instead. 0 is as short as there is.
func parseTTL(text string) (ttl time.Duration, problem string) {
	seconds, err := strconv.ParseUint(text, 10, 64)
	tooLong := errors.Is(err, strconv.ErrRange) || err == nil && seconds > uint64(maxTTL/time.Second)
	switch {
	case tooLong:
		return 0, fmt.Sprintf("%.40s seconds are more than 100 years; leave it out for as long as the channel's history allows", text)
	case err == nil:
		return max(time.Duration(seconds)*time.Second, 1), ""
	}
	if d, err := time.ParseDuration(strings.Trim(text, `"`)); err == nil && d >= time.Second && d <= maxTTL {
		return 0, fmt.Sprintf("%.40q is no number of seconds; write %d", text, d/time.Second)
	}
	return 0, fmt.Sprintf("%.40q is no number of seconds; write digits alone, such as 90", text)
}

// refusalOf is what publishing's errors are to the publisher, whose message has
// this ID.
func (a *publishAPI) refusalOf(err error, id string) *refusal {
	switch {
	case errors.Is(err, ErrTooLarge):
		return a.tooLong()
	case errors.Is(err, ErrNotUTF8):
		return &refusal{http.StatusBadRequest, "the message is not UTF-8, and text must be; " +
			"send it as UTF-8, or as a binary message with Content-Type: application/octet-stream"}
	case errors.Is(err, ErrBadID):
		return &refusal{http.StatusBadRequest, err.Error() + "; write a shorter one, such as a UUID"}
	case errors.Is(err, ErrStoreFull):
		return &refusal{http.StatusInsufficientStorage, err.Error() + "; raise its limit, or delete the history of channels that nobody needs"}
	case id == "":
		return &refusal{http.StatusServiceUnavailable, err.Error() + "; whether the message was published is not known: " +
			"trying again may publish it twice, which an Idempotency-Key with the first try prevents"}
	}
	return &refusal{http.StatusServiceUnavailable, err.Error() + "; try again with the same Idempotency-Key"}
}

// tooLarge refuses a message before it gets to Hub.publish.
func (a *publishAPI) tooLarge() *refusal {
	a.hub.hits.add(limitMessage)
	return a.tooLong()
}

func (a *publishAPI) tooLong() *refusal {
	return &refusal{http.StatusRequestEntityTooLarge, fmt.Sprintf(
		"the message is longer than %d bytes; send less, or raise max_message", a.hub.cfg.MaxMessage)}
}

// readAll appends what r has to buf.
func readAll(buf []byte, r io.Reader) ([]byte, error) {
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if err == io.EOF {
			return buf, nil
		}
		if err != nil {
			return buf, err
		}
	}
}

// readBody reads the body behind room for a frame's header, as newMessage wants
// it. It never reads more than one byte past MaxMessage.
func (a *publishAPI) readBody(r *http.Request) ([]byte, *refusal) {
	limit := a.hub.cfg.MaxMessage
	if r.ContentLength > limit {
		return nil, a.tooLarge()
	}
	var buf []byte
	var err error
	if r.ContentLength >= 0 {
		buf = make([]byte, headroom+r.ContentLength)
		_, err = io.ReadFull(r.Body, buf[headroom:])
	} else {
		buf, err = readAll(make([]byte, headroom, headroom+512), io.LimitReader(r.Body, limit+1))
	}
	if err != nil {
		return nil, &refusal{http.StatusBadRequest, "the body could not be read to its end: " + err.Error()}
	}
	return buf, nil
}

type kindOfBody int

const (
	bodyText kindOfBody = iota
	bodyBinary
	bodyForm
)

// bodyKind decides by the Content-Type whether a message is text. curl -d sends
// application/x-www-form-urlencoded whatever the data is, so that it says
// nothing; the parameters, charset among them, do not matter, as text is
// checked to be UTF-8.
func bodyKind(contentType string) kindOfBody {
	media, _, _ := strings.Cut(contentType, ";")
	media = strings.ToLower(strings.TrimSpace(media))
	switch media {
	case "", "application/json", "application/xml", "application/x-www-form-urlencoded":
		return bodyText
	case "multipart/form-data":
		return bodyForm
	}
	if strings.HasPrefix(media, "text/") || strings.HasSuffix(media, "+json") || strings.HasSuffix(media, "+xml") {
		return bodyText
	}
	return bodyBinary
}
