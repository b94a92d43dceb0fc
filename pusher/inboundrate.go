package pusher

import (
	"time"

	"github.com/gorilla/websocket"
)

// inboundBurst is for how long a client may have saved up what Config.InboundRate
// gives it: a network that stood still for a moment hands over at once what was
// sent meanwhile.
const inboundBurst = 10 * time.Second

// paced counts a message, or a control frame, that the client has sent, and
// reports whether it may. If not, the client is told so by a Close, and nothing
// that it sends counts any more. c.mu is held.
func (v *conversation) paced() bool {
	h := v.hub
	step := time.Second / time.Duration(h.cfg.InboundRate)
	now := time.Since(h.made)
	v.sent = max(v.sent, now) + step
	switch in := v.inbox; {
	case v.sent-now <= inboundBurst:
	case in != nil && in.credit >= step: // it waited for us
		in.credit -= step
		v.sent -= step
	default:
		h.hits.add(limitInboundRate)
		v.violated(websocket.ClosePolicyViolation, "too many messages in a second")
		return false
	}
	return true
}

// violated ends a client that broke a rule: nothing that it sends counts any more.
func (v *conversation) violated(code int, reason string) {
	v.deaf = true
	v.frames.drop()
	v.finish(closeFrame(code, reason), ending{code: code, reason: reason, cause: causeViolation}, true)
}

// keepUnfinished counts what is kept of a message that has not come whole: who
// sends the beginning of a message and no more holds memory with it. While
// QueueTotal is used up, those with more than an equal share of it are cut off.
func (v *conversation) keepUnfinished() {
	h, size := v.hub, v.frames.kept()
	if size == v.unfinished {
		return
	}
	grown := size > v.unfinished
	h.retained.Add(size - v.unfinished)
	v.unfinished = size
	if grown && v.state != gone && h.full() && size >= h.share() {
		h.hits.add(limitQueueTotal)
		v.cutLocked(ending{code: websocket.CloseAbnormalClosure, reason: "queue_total is used up, by messages that do not come whole as well"})
	}
}

// forget gives back what is kept of an unfinished message.
func (v *conversation) forget() {
	v.frames.drop()
	v.keepUnfinished()
}
