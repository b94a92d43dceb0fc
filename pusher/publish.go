package pusher

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// publishAPI answers POST /channels/{name} for Hub.PublishAPI.
type publishAPI struct {
	hub *Hub
	key [sha256.Size]byte
}

// PublishAPI makes the handler by which applications publish:
//
//	POST /channels/{name}
//	Authorization: Bearer KEY    (or X-API-Key: KEY)
//
// The body is the message, sent on as it is. It is text when the Content-Type
// says so (text/*, JSON, XML), is that of curl -d, or is missing, and binary
// otherwise. The answer to a message that was taken is 200 and
//
//	{"channel":"board","subscribers":3}
//
// and to any other an error in plain words: 400 for a bad channel name, text
// that is not UTF-8 or an uploaded form, 401 for the key, 404 for the path, 405
// for the method, 413 for a message longer than Config.MaxMessage. An empty key
// admits nobody.
func (h *Hub) PublishAPI(key string) http.Handler {
	return &publishAPI{hub: h, key: sha256.Sum256([]byte(key))}
}

// refusal is an error answer.
type refusal struct {
	status int
	text   string
}

func (a *publishAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if problem := a.authorize(r); problem != "" {
		w.Header().Set("WWW-Authenticate", `Bearer realm="publish"`) // RFC 9110 §11.6.1
		a.hub.refuse(w, r, http.StatusUnauthorized, "publish key", problem)
		return
	}
	channel, receipt, refused := a.publish(r)
	if refused != nil {
		if refused.status == http.StatusMethodNotAllowed {
			w.Header().Set("Allow", http.MethodPost)
		}
		http.Error(w, fmt.Sprintf("%d %s: %s", refused.status, http.StatusText(refused.status), refused.text), refused.status)
		return
	}
	// No character that a channel's name may have needs escaping.
	answer := make([]byte, 0, len(channel)+96)
	answer = append(append(append(answer, `{"channel":"`...), channel...), `","subscribers":`...)
	answer = strconv.AppendInt(answer, int64(receipt.Subscribers), 10)
	answer = append(receipt.Position.append(append(answer, `,"position":"`...)), `"}`+"\n"...)
	w.Header()["Content-Type"] = []string{"application/json"}
	_, _ = w.Write(answer) // a publisher that left does not want it
}

// authorize says what is wrong with the key of r; nothing when it is right.
func (a *publishAPI) authorize(r *http.Request) (problem string) {
	key := r.Header.Get("X-API-Key")
	if authorization := r.Header.Get("Authorization"); authorization != "" {
		scheme, token, _ := strings.Cut(authorization, " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return `the Authorization header is not of the form "Authorization: Bearer KEY"`
		}
		key = strings.TrimSpace(token)
	}
	if key == "" {
		return `no key; send "Authorization: Bearer KEY" with the publish key`
	}
	// Hashing makes both the same length, so that the comparison tells neither
	// length nor content by its time.
	sum := sha256.Sum256([]byte(key))
	if subtle.ConstantTimeCompare(sum[:], a.key[:]) != 1 {
		return "wrong key; send the one that is in this service's key file"
	}
	return ""
}

func (a *publishAPI) publish(r *http.Request) (channel string, receipt Receipt, refused *refusal) {
	channel, ok := strings.CutPrefix(r.URL.Path, "/channels/")
	if !ok || channel == "" {
		return "", Receipt{}, &refusal{http.StatusNotFound, "nothing here; publish by POST /channels/NAME with the message as the body"}
	}
	if r.Method != http.MethodPost {
		return "", Receipt{}, &refusal{http.StatusMethodNotAllowed, "a message is published by POST, with the message as the body"}
	}
	if !validChannel(channel) {
		return "", Receipt{}, &refusal{http.StatusBadRequest, channelProblem(channel)}
	}
	kind := bodyKind(r.Header.Get("Content-Type"))
	if kind == bodyForm {
		return "", Receipt{}, &refusal{http.StatusBadRequest, "this is an uploaded form; send the message itself as the body (curl --data-binary @-)"}
	}
	buf, refused := a.readBody(r)
	if refused != nil {
		return "", Receipt{}, refused
	}
	receipt, err := a.hub.publish(r.Context(), channel, Message{Text: kind == bodyText, ID: r.Header.Get("Idempotency-Key")}, buf)
	switch {
	case errors.Is(err, ErrTooLarge):
		return "", Receipt{}, a.tooLarge()
	case errors.Is(err, ErrNotUTF8):
		return "", Receipt{}, &refusal{http.StatusBadRequest, "the message is not UTF-8, and text must be; " +
			"send it as UTF-8, or as a binary message with Content-Type: application/octet-stream"}
	case err != nil:
		return "", Receipt{}, &refusal{http.StatusServiceUnavailable, err.Error()}
	}
	return channel, receipt, nil
}

func (a *publishAPI) tooLarge() *refusal {
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
