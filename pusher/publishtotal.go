package pusher

import (
	"fmt"
	"net/http"
)

// take counts what a publish may hold in memory until it is answered, before its
// body is read; a key alone is not to fill memory. length is that of the body, -1
// if it is not known, and most what is read of it at most. Each take that is not
// refused needs one give of the same.
func (a *publishAPI) take(length, most int64) (taken int64, refused *refusal) {
	h := a.hub
	taken = most
	if length >= 0 {
		taken = min(length, most)
	}
	if h.taken.Add(taken) > h.cfg.PublishTotal {
		h.taken.Add(-taken)
		h.hits.add(limitPublishTotal)
		return 0, &refusal{http.StatusServiceUnavailable, fmt.Sprintf(
			"the messages that are being published fill publish_total, %d bytes; nothing was published: try again in a moment", h.cfg.PublishTotal)}
	}
	return taken, nil
}

func (a *publishAPI) give(taken int64) { a.hub.taken.Add(-taken) }
