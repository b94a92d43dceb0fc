package pusher

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/gorilla/websocket"
)

// endpoint answers one URL for Hub.Endpoint.
type endpoint struct {
	hub     *Hub
	channel string
	inbound Inbound
	origins origins
}

// Endpoint makes the handler of one URL at which clients connect: WebSockets
// (HTTP/1.1), and event streams for a GET that accepts text/event-stream (any
// version of HTTP). Other requests get 426. Its error is that of e.Validate.
//
// The handler returns when a WebSocket stands, which then lives on by itself; it
// stays for as long as an event stream does. A handler may be dropped for
// another, as a reloaded configuration does: clients that came by it stay.
func (h *Hub) Endpoint(e Endpoint) (http.Handler, error) {
	if err := e.Validate(); err != nil {
		return nil, err
	}
	return &endpoint{
		hub:     h,
		channel: e.Channel,
		inbound: cmp.Or(e.Inbound, InboundDrop),
		origins: newOrigins(e.Origins),
	}, nil
}

func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	upgrade, events := websocket.IsWebSocketUpgrade(r), wantsEvents(r)
	if !upgrade && !events {
		e.refuseOther(w, r)
		return
	}
	channel := e.channel
	if channel == "" {
		if channel = strings.Clone(r.PathValue("channel")); !validChannel(channel) {
			e.hub.refuse(w, r, http.StatusBadRequest, "bad channel name", channelProblem(channel))
			return
		}
	}
	if !e.origins.admit(r) {
		e.refuseOrigin(w, r)
		return
	}
	if !e.hub.enter() {
		w.Header().Set("Retry-After", "1")
		e.hub.refuse(w, r, http.StatusServiceUnavailable, "shutting down", "this service is restarting; connect again in a second")
		return
	}
	if upgrade {
		e.serveSocket(w, r, channel)
	} else {
		e.serveStream(w, r, channel)
	}
}

// wantsEvents says whether r is what a browser's EventSource sends.
func wantsEvents(r *http.Request) bool {
	if r.Method != http.MethodGet {
		return false
	}
	for _, accept := range r.Header["Accept"] {
		for kind := range strings.SplitSeq(accept, ",") {
			kind, _, _ = strings.Cut(kind, ";")
			if strings.EqualFold(strings.TrimSpace(kind), "text/event-stream") {
				return true
			}
		}
	}
	return false
}

func (e *endpoint) refuseOther(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor == 1 {
		// RFC 9110 §15.5.22 asks for these; HTTP/2 forbids them (RFC 9113 §8.2.2).
		w.Header().Set("Upgrade", "websocket")
		w.Header().Set("Connection", "Upgrade")
	}
	text := "this URL is for WebSockets, new WebSocket(url), and event streams, new EventSource(url); this request is neither"
	if r.Header.Get("Sec-WebSocket-Key") != "" {
		text = "this began as a WebSocket handshake, but its Upgrade or Connection header is gone: " +
			"a proxy on the way has dropped it and must be told to pass it on (Apache: ProxyPass with upgrade=websocket)"
	}
	e.hub.refuse(w, r, http.StatusUpgradeRequired, "neither a WebSocket nor an event stream", text)
}

func (e *endpoint) refuseOrigin(w http.ResponseWriter, r *http.Request) {
	origin := strings.Join(r.Header["Origin"], ", ")
	admitted := "pages of the request's own host alone"
	if len(e.origins.listed) > 0 {
		admitted = "the pages listed in origins"
	}
	e.hub.refuse(w, r, http.StatusForbidden, "origin not admitted", fmt.Sprintf(
		"a page of Origin %.200q may not connect here: the request came for Host %.200q, and this URL admits %s.\n"+
			"To admit it, add the Origin to origins of this push endpoint. "+
			"If the Host is not the one in the page's address, a proxy on the way has changed it and must be told to keep it (Apache: ProxyPreserveHost On).",
		origin, r.Host, admitted), slog.String("origin", origin), slog.String("host", r.Host))
}

// refuse answers r with an error in plain words and logs it.
func (h *Hub) refuse(w http.ResponseWriter, r *http.Request, status int, reason, text string, more ...slog.Attr) {
	level := slog.LevelInfo
	if status == http.StatusForbidden || status == http.StatusUnauthorized {
		level = slog.LevelWarn
	}
	h.log.LogAttrs(context.Background(), level, EventRefused, append([]slog.Attr{
		slog.Int("status", status),
		slog.String("reason", reason),
		slog.String("remote", r.RemoteAddr),
		slog.String("method", r.Method),
		slog.String("path", r.URL.Path),
	}, more...)...)
	http.Error(w, fmt.Sprintf("%d %s: %s", status, http.StatusText(status), text), status)
}
