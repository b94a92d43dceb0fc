package pusher

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"
)

// authorizeBy makes those who decide about the clients of an endpoint.
func (e *endpoint) authorizeBy(cfg Endpoint) (err error) {
	if cfg.Token != nil {
		e.token = cfg.Token.withDefaults()
		if e.byToken, err = NewTokenAuth(*cfg.Token, nil, e.hub.log); err != nil {
			return fmt.Errorf("token: %w", err)
		}
	}
	if cfg.Auth != nil {
		if cfg.App == nil {
			return fmt.Errorf("auth: there is no application to ask")
		}
		if e.byApp, err = newAppAuth(*cfg.Auth, cfg.App, cfg.AppURL, e.hub.log, e.hub.counts.asked); err != nil {
			return fmt.Errorf("auth: %w", err)
		}
	}
	return nil
}

// admitted is what keeps watch over an admission that does not hold for ever.
type admitted struct {
	expiry  *time.Timer // nil without one
	recheck *time.Timer // nil without one
	ctx     context.Context
	cancel  context.CancelFunc
}

// watch begins to do so. c.mu is held.
func (c *client) watch() {
	a := c.info.arrival
	c.info.arrival = nil // it holds on to what the HTTP server had for the request
	if a == nil || a.by == nil || !c.form.lasts() {
		return
	}
	every := a.by.Recheck()
	if every == 0 && c.info.admission.Expires.IsZero() {
		return
	}
	w := &admitted{}
	c.info.watch = w
	c.expireAt(c.info.admission.Expires)
	if every == 0 {
		return
	}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	by, want, kept := a.by, a.want, keepRequest(a.request)
	// Not all in the same moment.
	pause := func() time.Duration { return every - time.Duration(rand.Int64N(int64(every)/4+1)) }
	w.recheck = time.AfterFunc(pause(), func() { // stopped by unwatch, which ends what is under way
		c.again(by, kept, want)
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.state == open {
			w.recheck.Reset(pause())
		}
	})
}

// keepRequest is what is needed of a request to ask about it again.
func keepRequest(r *http.Request) *http.Request {
	url := *r.URL
	return &http.Request{
		Method: r.Method, URL: &url, RequestURI: r.RequestURI, Host: r.Host, RemoteAddr: r.RemoteAddr,
		Proto: r.Proto, ProtoMajor: r.ProtoMajor, ProtoMinor: r.ProtoMinor, Header: r.Header.Clone(), TLS: r.TLS,
	}
}

// again asks whether c may still listen, and ends it if it may not, or not to all
// that it listens to.
func (c *client) again(by Authorizer, r *http.Request, want []string) {
	admission, refusal := by.Again(c.info.watch.ctx, r, want)
	if refusal != nil && !refusal.Final() {
		return // nobody knows
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != open {
		return
	}
	if refusal != nil {
		c.hub.logRefused(r, refusal.Status, "no longer admitted: "+refusal.Reason, refusal.Attrs...)
		c.revoke("no longer admitted")
		return
	}
	for _, name := range c.names() {
		if admission.Channels != nil && !slices.Contains(admission.Channels, name) {
			c.revoke("no longer admitted to " + name)
			return
		}
	}
	c.expireAt(admission.Expires)
}

// expireAt ends the client then; never if t is zero. c.mu is held.
func (c *client) expireAt(t time.Time) {
	w := c.info.watch
	switch {
	case t.IsZero() && w.expiry != nil:
		w.expiry.Stop()
	case t.IsZero():
	case w.expiry == nil:
		w.expiry = time.AfterFunc(time.Until(t), func() { // stopped by unwatch
			c.mu.Lock()
			defer c.mu.Unlock()
			c.revoke("admission expired")
		})
	default:
		w.expiry.Reset(time.Until(t))
	}
}

// revoke ends a client whose admission does not hold any longer. c.mu is held.
func (c *client) revoke(reason string) {
	c.closeLocked(ending{code: closeExpired, reason: reason, cause: causeExpired})
}

// unwatch ends the watch. It may be called on nil.
func (w *admitted) unwatch() {
	if w == nil {
		return
	}
	if w.expiry != nil {
		w.expiry.Stop()
	}
	if w.recheck != nil {
		w.recheck.Stop()
		w.cancel()
	}
}
