package pusher

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// defaultListed is how long lists are where ?limit= does not say it.
	defaultListed = 1000
	// maxListed is how long they may be.
	maxListed = 100_000
)

// channelRow is a channel in the list of all.
type channelRow struct {
	Name        string `json:"name"`
	Subscribers int    `json:"subscribers"`
	Messages    int    `json:"messages"`
	newest      uint64 // number of the last message since it has clients; 0: none
}

// list is GET /channels: those with subscribers or stored messages that key may
// read, sorted by name.
func (a *publishAPI) list(w http.ResponseWriter, r *http.Request, key *Key) *refusal {
	query := r.URL.Query()
	limit, refused := countOf(query, "limit", defaultListed, maxListed)
	if refused == nil {
		refused = key.check(RightRead, "")
	}
	if refused != nil {
		return refused
	}
	stored, err := a.hub.broker.Channels(r.Context(), maxListed)
	if err != nil {
		return unreadable(err)
	}
	rows := a.hub.channelRows(stored)
	for name := range rows {
		if !strings.HasPrefix(name, query.Get("prefix")) || !key.covers(name) {
			delete(rows, name)
		}
	}
	var list struct {
		Channels []channelRow `json:"channels"`
		More     bool         `json:"more,omitempty"`
	}
	list.More = len(rows) > limit || len(stored) == maxListed
	list.Channels = []channelRow{}
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		if len(list.Channels) == limit {
			break
		}
		list.Channels = append(list.Channels, rows[name])
	}
	return answer(w, list)
}

// channelRows joins the channels that have stored messages and those that
// somebody listens to.
func (h *Hub) channelRows(stored map[string]int) map[string]channelRow {
	rows := make(map[string]channelRow, len(stored))
	for name, n := range stored {
		rows[name] = channelRow{Name: name, Messages: n}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, ch := range h.channels {
		row := rows[name]
		row.Name, row.Subscribers = name, ch.members
		if ch.last.frame != nil { // no mark
			row.newest = ch.last.seq
		}
		rows[name] = row
	}
	return rows
}

// storedMessage is a message in the answer about its channel: as text, or in
// base64 when it is binary.
type storedMessage struct {
	ID     string    `json:"id"`
	Time   time.Time `json:"time"`
	Data   *string   `json:"data,omitempty"`
	Base64 *string   `json:"base64,omitempty"`
}

// show is GET /channels/{name}. Its position is one that a page which holds the
// rest of the answer can go on from.
func (a *publishAPI) show(w http.ResponseWriter, r *http.Request, key *Key) *refusal {
	name, refused := channelOf(r, key, RightRead)
	if refused != nil {
		return refused
	}
	last, refused := countOf(r.URL.Query(), "last", 0, a.hub.cfg.ReplayMessages)
	if refused != nil {
		return refused
	}
	// Before anything else is read: what comes meanwhile is behind it.
	at := Position{a.hub.epoch, a.hub.latest.Load()}
	head, err := a.hub.broker.Head(r.Context(), name)
	if err != nil {
		return unreadable(err)
	}
	history, err := a.hub.lastMessages(r.Context(), name, last, at)
	if err != nil {
		return unreadable(err)
	}
	there := a.hub.listenersOf(name)
	return answer(w, struct {
		Name        string          `json:"name"`
		Subscribers int             `json:"subscribers"`
		Users       int             `json:"users"`
		Position    string          `json:"position"`
		Messages    int             `json:"messages"`
		History     []storedMessage `json:"history"`
	}{name, len(there), len(usersOf(there)), at.String(), head.Count, history})
}

// lastMessages are the last few of a channel up to a position, oldest first.
func (h *Hub) lastMessages(ctx context.Context, channel string, count int, at Position) ([]storedMessage, error) {
	list := []storedMessage{}
	if count == 0 {
		return list, nil
	}
	entries, err := h.broker.Last(ctx, channel, count, h.cfg.ReplayBytes)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if e.Seq > at.Seq {
			break
		}
		m := storedMessage{ID: Position{at.Epoch, e.Seq}.String(), Time: e.Time}
		if e.Text {
			m.Data = new(string(e.Data))
		} else {
			m.Base64 = new(base64.StdEncoding.EncodeToString(e.Data))
		}
		list = append(list, m)
	}
	return list, nil
}

// purge is DELETE /channels/{name}/history.
func (a *publishAPI) purge(w http.ResponseWriter, r *http.Request, key *Key) *refusal {
	name, refused := channelOf(r, key, RightManage)
	if refused != nil {
		return refused
	}
	if err := a.hub.broker.Purge(r.Context(), name); err != nil {
		return unreadable(err)
	}
	a.hub.closeWindow(name)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// closeWindow has nobody come back to what the hub itself remembers of channel.
func (h *Hub) closeWindow(channel string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if ch := h.channels[channel]; ch != nil {
		ch.first, ch.count = ch.last, 0
		h.measure(ch)
	}
}

// unreadable is the answer when the store has failed.
func unreadable(err error) *refusal {
	return &refusal{http.StatusServiceUnavailable, "the store cannot be used just now: " + err.Error() + "; try again in a moment"}
}

// countOf reads a number out of a URL's query; above most it counts as that.
func countOf(query url.Values, name string, otherwise, most int) (int, *refusal) {
	text := query.Get(name)
	if text == "" {
		return min(otherwise, most), nil
	}
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return 0, &refusal{http.StatusBadRequest, fmt.Sprintf("%s=%.40q is no number; write such as %s=100", name, text, name)}
	}
	return min(int(n), most), nil
}
