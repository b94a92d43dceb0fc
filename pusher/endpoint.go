package pusher

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

// endpoint answers one URL for Hub.Endpoint.
type endpoint struct {
	hub      *Hub
	channel  string
	extra    []channelPattern // what may be asked for besides, or instead
	inbound  Inbound
	origins  origins
	maxNames int
	byToken  Authorizer // nil without tokens
	byApp    Authorizer // nil if the app is not asked
	token    TokenAuth  // where byToken finds them

	standings []*standing // the first for those who come; fixed once requests come
	succeeds  bool        // these are another one's
}

// Endpoint makes the handler of one URL at which clients connect: WebSockets
// (HTTP/1.1), event streams for a GET that accepts text/event-stream, and polls
// for a GET with Prefer: wait (any version of HTTP). Other requests get 426, but
// for a browser's question before a poll of another host's page. Its error is that
// of e.Validate.
//
// The handler returns when a WebSocket stands, which then lives on by itself; it
// stays for as long as an event stream or a poll does. A handler may be dropped
// for another, as a reloaded configuration does: clients that came by it stay. It
// has the methods of the proxy's Resident, so that they leave when the
// configuration has no place for them any more.
func (h *Hub) Endpoint(e Endpoint) (http.Handler, error) {
	if err := e.Validate(); err != nil {
		return nil, err
	}
	if e.Inbound == InboundApp && !h.tells(HookMessage) {
		return nil, FieldErrors{{Field: "inbound", Message: "app needs webhooks that tell of messages; write webhooks: {url: http://127.0.0.1:8000/push/events, secret_file: ...}"}}
	}
	made := &endpoint{
		hub:      h,
		channel:  e.Channel,
		inbound:  cmp.Or(e.Inbound, InboundDrop),
		origins:  newOrigins(e.Origins),
		maxNames: cmp.Or(e.MaxChannels, defaultMaxChannels),

		standings: []*standing{{}},
	}
	if err := made.authorizeBy(e); err != nil {
		return nil, err
	}
	for _, pattern := range e.Channels {
		made.extra = append(made.extra, channelPattern(pattern))
	}
	return made, nil
}

// arrival is a request that may listen, and what it asks for.
type arrival struct {
	request   *http.Request
	want      []string // the channels that it names
	channels  []string // those it gets
	start     start
	status    bool // an event stream is to begin with an event that says how it goes on
	admission Admission
	by        Authorizer // who gave that; nil for nobody
}

func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
		e.preflight(w, r)
		return
	}
	upgrade, events := websocket.IsWebSocketUpgrade(r), wantsEvents(r)
	wait, polls := waitOf(r)
	if !upgrade && !events && !polls {
		e.refuseOther(w, r)
		return
	}
	want, problem := e.wanted(r)
	if problem != "" {
		e.hub.refuse(w, r, http.StatusBadRequest, "bad channel name", problem)
		return
	}
	if !e.origins.admit(r) {
		e.refuseOrigin(w, r)
		return
	}
	if away := e.hub.hasRoom(r.RemoteAddr); away != nil {
		e.turnAway(w, r, away)
		return
	}
	a := &arrival{request: r, want: want, start: startOf(r), status: r.URL.Query().Has("status")}
	if !e.authorize(w, r, a) {
		return
	}
	if away := e.hub.enter(r.RemoteAddr); away != nil {
		e.turnAway(w, r, away)
		return
	}
	switch {
	case upgrade:
		e.serveSocket(w, r, a)
	case events:
		e.serveStream(w, r, a)
	default:
		e.servePoll(w, r, a, wait)
	}
}

// preflight answers a browser that asks whether a page of another host may poll
// (Fetch standard §4.8): Prefer and Authorization are no fields that it may send
// without.
func (e *endpoint) preflight(w http.ResponseWriter, r *http.Request) {
	if !e.origins.admit(r) {
		e.refuseOrigin(w, r)
		return
	}
	e.shareWith(w, r)
	header := w.Header()
	header.Set("Access-Control-Allow-Methods", http.MethodGet)
	header.Set("Access-Control-Allow-Headers", "Authorization, Last-Event-ID, Prefer")
	header.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
}

// wanted is the channels that r names, in its path or by ?channel=; problem says
// what is wrong with them.
func (e *endpoint) wanted(r *http.Request) (names []string, problem string) {
	asked := r.URL.Query()["channel"]
	if name := r.PathValue("channel"); name != "" || e.channel == "" && len(asked) == 0 {
		asked = append([]string{strings.Clone(name)}, asked...)
	}
	for _, name := range asked {
		if !validChannel(name) {
			return nil, channelProblem(name)
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) > e.maxNames {
		e.hub.hits.add(limitChannels)
		return nil, fmt.Sprintf("%d channels are more than the %d that one connection may have", len(names), e.maxNames)
	}
	return names, ""
}

// authorize finds out what a may listen to, or answers why it may not.
func (e *endpoint) authorize(w http.ResponseWriter, r *http.Request, a *arrival) bool {
	if a.by = e.authorizer(r); a.by == nil {
		return e.bound(w, r, a)
	}
	admission, refusal := a.by.Authorize(r, a.want)
	if refusal == nil && len(admission.Channels) > e.maxNames {
		e.hub.hits.add(limitChannels)
		refusal = refuse(http.StatusForbidden, "too many channels",
			fmt.Sprintf("%d channels were granted, and one connection may have %d", len(admission.Channels), e.maxNames))
	}
	if refusal != nil {
		e.refuseClient(w, r, refusal)
		return false
	}
	a.admission = admission
	switch a.channels = admission.Channels; {
	case a.channels != nil:
	case a.want != nil:
		a.channels = a.want
	case e.channel == "":
		e.refuseClient(w, r, refuse(http.StatusForbidden, "no channel", "this URL has no channel of its own, and neither the application nor the request names one"))
		return false
	default:
		a.channels = []string{e.channel}
	}
	return true
}

// authorizer is who decides about r; nil if everybody may listen. A token speaks
// for itself, so the application is asked where there is none.
func (e *endpoint) authorizer(r *http.Request) Authorizer {
	if e.byToken == nil || e.byApp == nil {
		return cmp.Or(e.byToken, e.byApp)
	}
	if token, _ := e.token.TokenFromRequest(r); token != "" {
		return e.byToken
	}
	return e.byApp
}

// bound gives a what the endpoint gives everybody: its channel, and those that
// the client names as far as they are allowed.
func (e *endpoint) bound(w http.ResponseWriter, r *http.Request, a *arrival) bool {
	if e.channel != "" {
		a.channels = append(a.channels, e.channel)
	}
	for _, name := range a.want {
		if name == e.channel {
			continue
		}
		if name != r.PathValue("channel") && !e.allows(name) {
			e.hub.refuse(w, r, http.StatusForbidden, "channel not allowed", fmt.Sprintf(
				"this URL gives no access to channel %q; the operator allows it by channels of this push endpoint", name))
			return false
		}
		a.channels = append(a.channels, name)
	}
	return true
}

// allows says whether a client may name a channel by itself.
func (e *endpoint) allows(name string) bool {
	if e.channel == "" && len(e.extra) == 0 {
		return true // the path takes any name as well
	}
	return slices.ContainsFunc(e.extra, func(p channelPattern) bool { return p.match(name) })
}

// refuseClient answers what an Authorizer says.
func (e *endpoint) refuseClient(w http.ResponseWriter, r *http.Request, refusal *Refusal) {
	for name, values := range refusal.Header {
		w.Header()[name] = values
	}
	e.shareWith(w, r)
	e.hub.counts.refuse(refusal.Status)
	e.hub.logRefused(r, refusal.Status, refusal.Reason, refusal.Attrs...)
	noteRefusal(w, refusal.Reason, refusal.Attrs)
	w.WriteHeader(refusal.Status)
	_, _ = w.Write(refusal.Body)
}

// startOf is where r wants to begin.
func startOf(r *http.Request) start {
	query := r.URL.Query()
	// What a browser that connects again says is newer than the URL.
	token := cmp.Or(r.Header.Get("Last-Event-ID"), query.Get("from"))
	if token != "" {
		if p, ok := ParsePosition(token); ok {
			return start{from: &p}
		}
		return start{lost: true}
	}
	last, err := strconv.ParseUint(query.Get("last"), 10, 31)
	if err != nil {
		return start{}
	}
	return start{last: int(last)}
}

// join makes a client of r, or answers why not. The caller has entered the hub,
// and from here on has nothing to do with its exit.
func (e *endpoint) join(w http.ResponseWriter, r *http.Request, a *arrival, f form) (*client, continuation, Position, bool) {
	c := e.hub.newClient(e, strings.Clone(r.RemoteAddr), f)
	c.info.request, c.info.admission, c.info.arrival = strings.Clone(requestID(r)), a.admission, a
	how, at, err := e.hub.join(r.Context(), c, a.channels, a.start)
	if err != nil {
		e.hub.exit(r.RemoteAddr)
		e.turnAway(w, r, unjoined(err))
		return nil, "", Position{}, false
	}
	e.hub.counts.joins.add(string(how))
	return c, how, at, true
}

// unjoined is what a client is told that could not join because of err.
func unjoined(err error) *turnedAway {
	if errors.Is(err, errChannels) {
		return &turnedAway{
			limit: limitChannelsTotal, status: http.StatusServiceUnavailable,
			reason: err.Error() + "; raise push.channels_total",
			text:   "this service has as many channels as it may; connect again in a moment", after: crowdedRetry,
		}
	}
	away := &turnedAway{
		status: http.StatusServiceUnavailable, reason: "history: " + err.Error(),
		text: "what was published cannot be read just now; connect again in a moment", after: time.Second,
	}
	if errors.Is(err, errFull) {
		away.limit = limitQueueTotal
	}
	return away
}

// wantsEvents says whether r is what a browser's EventSource sends.
func wantsEvents(r *http.Request) bool {
	return r.Method == http.MethodGet && accepts(r, "text/event-stream")
}

// accepts says whether r names a media type among those that it takes.
func accepts(r *http.Request, media string) bool {
	for _, accept := range r.Header["Accept"] {
		for kind := range strings.SplitSeq(accept, ",") {
			kind, _, _ = strings.Cut(kind, ";")
			if strings.EqualFold(strings.TrimSpace(kind), media) {
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
	text := "this URL is for WebSockets, new WebSocket(url), event streams, new EventSource(url), and polls, Prefer: wait=25; this request is none of them"
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
	h.counts.refuse(status)
	h.logRefused(r, status, reason, more...)
	noteRefusal(w, reason, more)
	http.Error(w, fmt.Sprintf("%d %s: %s", status, http.StatusText(status), text), status)
}

// noteRefusal tells why a request is refused to a front that remembers it: that
// of a ResponseWriter with this method, which takes one line.
func noteRefusal(w http.ResponseWriter, reason string, more []slog.Attr) {
	front, ok := w.(interface{ NoteRefusal(reason string) })
	if !ok {
		return
	}
	for _, a := range more {
		reason += ", " + a.Key + " " + a.Value.String()
	}
	front.NoteRefusal(reason)
}

func (h *Hub) logRefused(r *http.Request, status int, reason string, more ...slog.Attr) {
	level := slog.LevelInfo
	if status == http.StatusForbidden || status == http.StatusUnauthorized {
		level = slog.LevelWarn
	}
	attrs := []slog.Attr{
		slog.Int("status", status),
		slog.String("reason", reason),
		slog.String("remote", r.RemoteAddr),
		slog.String("method", r.Method),
		slog.String("path", r.URL.Path),
	}
	if id := requestID(r); id != "" {
		attrs = append(attrs, slog.String("id", id))
	}
	h.log.LogAttrs(context.Background(), level, EventRefused, append(attrs, more...)...)
}
