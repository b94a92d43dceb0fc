package pusher

import (
	"context"
	"crypto/rand"
)

// Run does what a Hub does whether it has clients or not, which is to tell the
// application what Config.Webhooks says: also of clients that an earlier process
// left behind. It returns when ctx is done, without waiting; Shutdown is what
// waits, so it belongs before that.
func (h *Hub) Run(ctx context.Context) error {
	if h.hooks == nil {
		<-ctx.Done()
		return nil
	}
	return h.hooks.Run(ctx)
}

// What the hub tells the application by webhooks. All of it is done where it
// happens, in order, and waits for nothing.

// tells says whether the application is told of an event.
func (h *Hub) tells(event string) bool { return h.hooks != nil && h.hooks.Wants(event) }

// asClient is how webhooks know c.
func (c *client) asClient() ClientInfo {
	return ClientInfo{
		ID:        c.info.key,
		Channels:  c.names(),
		User:      c.info.admission.User,
		Info:      c.info.admission.Info,
		Remote:    c.info.remote,
		Transport: c.form.transport(),
		Opened:    c.info.opened,
	}
}

// tellConnect tells of a client that has started. c.mu is held.
func (h *Hub) tellConnect(c *client) {
	if c.form.lasts() && (h.tells(HookConnect) || h.tells(HookDisconnect)) {
		h.hooks.Connect(c.asClient())
		c.told = true
	}
}

// tellDisconnect tells of a client that has gone, if it was told of.
func (h *Hub) tellDisconnect(c *client) {
	if c.told {
		h.hooks.Disconnect(c.asClient(), c.ending.code, c.ending.reason)
	}
}

// newClientKey is a name that no other client has, in other processes either.
func newClientKey() string { return rand.Text() }
