package pusher

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// connectionRow is a connection in the list of a channel's.
type connectionRow struct {
	Client    string          `json:"client"`
	User      string          `json:"user,omitempty"`
	Transport string          `json:"transport"`
	Since     time.Time       `json:"since"`
	Info      json.RawMessage `json:"info,omitempty"`
}

// userRow is a user in the list of a channel's.
type userRow struct {
	User        string `json:"user"`
	Connections int    `json:"connections"`
}

// presence is GET /channels/{name}/presence: the oldest connections first, and
// users by name. Each list has at most ?limit=.
func (a *publishAPI) presence(w http.ResponseWriter, r *http.Request, key *Key) *refusal {
	name, refused := channelOf(r, key, RightRead)
	if refused != nil {
		return refused
	}
	limit, refused := countOf(r.URL.Query(), "limit", defaultListed, maxListed)
	if refused != nil {
		return refused
	}
	there := byAge(a.hub.listenersOf(name))
	users := usersOf(there)
	var list struct {
		Connections []connectionRow `json:"connections"`
		Users       []userRow       `json:"users"`
		More        bool            `json:"more,omitempty"`
	}
	list.Connections, list.Users = []connectionRow{}, []userRow{}
	list.More = max(len(there), len(users)) > limit
	for _, c := range there[:min(limit, len(there))] {
		list.Connections = append(list.Connections, connectionRow{
			Client:    c.info.key,
			User:      c.info.admission.User,
			Transport: c.form.transport(),
			Since:     c.info.opened,
			Info:      c.info.admission.Info,
		})
	}
	names := slices.Sorted(maps.Keys(users))
	for _, user := range names[:min(limit, len(names))] {
		list.Users = append(list.Users, userRow{user, users[user]})
	}
	return answer(w, list)
}

// listenersOf are the clients of channel at this moment, in no order.
func (h *Hub) listenersOf(channel string) []*client {
	h.mu.Lock()
	ch := h.channels[channel]
	h.mu.Unlock()
	var there []*client
	if ch != nil {
		ch.each(func(c *client) { there = append(there, c) })
	}
	return there
}

// byAge sorts clients, the oldest first.
func byAge(clients []*client) []*client {
	slices.SortFunc(clients, func(a, b *client) int { return cmp.Compare(a.info.id, b.info.id) })
	return clients
}

// usersOf counts the connections of each user among clients.
func usersOf(clients []*client) map[string]int {
	users := map[string]int{}
	for _, c := range clients {
		if user := c.info.admission.User; user != "" {
			users[user]++
		}
	}
	return users
}

const (
	// disconnectedCode is the WebSocket close code of clients that the
	// application disconnects.
	disconnectedCode = 4403
	// disconnectedReason is the close reason where ?reason= gives none.
	disconnectedReason = "disconnected by the application"
	// maxReason is how much of a reason a Close frame holds (RFC 6455 §5.5).
	maxReason = 123
)

// endClient is DELETE /clients/{id}.
func (a *publishAPI) endClient(w http.ResponseWriter, r *http.Request, key *Key) *refusal {
	id := strings.TrimPrefix(r.URL.Path, "/clients/")
	return a.disconnect(w, r, key, func(c *client) bool { return c.info.key == id })
}

// endUser is DELETE /users/{user}.
func (a *publishAPI) endUser(w http.ResponseWriter, r *http.Request, key *Key) *refusal {
	user := strings.TrimPrefix(r.URL.Path, "/users/")
	return a.disconnect(w, r, key, func(c *client) bool { return c.info.admission.User == user })
}

// disconnect closes the connections that are meant, those that listen to
// ?channel= where it is given. A key reaches clients of its own channels alone.
func (a *publishAPI) disconnect(w http.ResponseWriter, r *http.Request, key *Key, meant func(*client) bool) *refusal {
	query := r.URL.Query()
	channel, reason := query.Get("channel"), cmp.Or(query.Get("reason"), disconnectedReason)
	switch {
	case channel != "" && !validChannel(channel):
		return &refusal{http.StatusBadRequest, channelProblem(channel)}
	case len(reason) > maxReason || strings.ContainsFunc(reason, func(r rune) bool { return r < ' ' || r > '~' }):
		return &refusal{http.StatusBadRequest, fmt.Sprintf("reason goes into a Close frame; write at most %d characters of printable ASCII", maxReason)}
	}
	if refused := key.check(RightManage, channel); refused != nil {
		return refused
	}
	var done struct {
		Disconnected int `json:"disconnected"`
	}
	for i := range clockBuckets {
		for _, c := range a.hub.clock.bucket(i) {
			if meant(c) && (channel == "" || c.listensTo(channel)) && c.within(key) && c.dismiss(reason) {
				done.Disconnected++
			}
		}
	}
	return answer(w, done)
}

// listensTo and within look at names alone: the rest of a subscription belongs
// to the deliverer.
func (c *client) listensTo(channel string) bool {
	for i := range c.subs {
		if c.subs[i].shard.ch.name == channel {
			return true
		}
	}
	return false
}

// within reports whether key is for all channels of c.
func (c *client) within(key *Key) bool {
	for i := range c.subs {
		if !key.covers(c.subs[i].shard.ch.name) {
			return false
		}
	}
	return true
}

// dismiss closes the connection as the application wants it, after what waits
// for it, and reports whether it was open.
func (c *client) dismiss(reason string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != open {
		return false
	}
	c.closeLocked(ending{code: disconnectedCode, reason: reason, cause: causeDismissed})
	return true
}
