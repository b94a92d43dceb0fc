package pusher

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/gorilla/websocket"
)

// question is what the application is asked about one request.
type question struct {
	path   string // as configured
	client *http.Request
	want   []string
	scheme string // by which the client came: http or https
	ask    *http.Request
}

// question makes the request to the application. It is built from nothing, so
// that no field of the client's that speaks of forwarding comes along.
func (a *appAuth) question(r *http.Request, want []string) question {
	q := question{path: a.path, client: r, want: want, scheme: schemeOf(r)}
	h := http.Header{
		"Accept": {"*/*"},
		// Else the transport would ask for gzip; and what is passed on to the
		// client must be readable without Content-Encoding.
		"Accept-Encoding":   {"identity"},
		"User-Agent":        {r.UserAgent()}, // empty keeps Go's own out
		"X-Original-Method": {r.Method},
		"X-Original-Uri":    {originalURI(r)},
		"X-Forwarded-Proto": {q.scheme},
	}
	for _, name := range []string{"Authorization", "Origin", "Accept-Language"} {
		if values := r.Header[name]; len(values) > 0 {
			h[name] = slices.Clone(values)
		}
	}
	if cookies := r.Header["Cookie"]; len(cookies) > 0 {
		h["Cookie"] = []string{strings.Join(cookies, "; ")} // RFC 9113 §8.2.3
	}
	if id := requestID(r); id != "" {
		h["X-Request-Id"] = []string{id}
	}
	if r.Host != "" {
		h["X-Forwarded-Host"] = []string{r.Host}
	}
	if address := addressOf(r); address != "" {
		h["X-Forwarded-For"], h["X-Real-Ip"] = []string{address}, []string{address}
	}
	if len(want) > 0 {
		h["X-Push-Channels"] = []string{writeChannels(want)}
	}
	target := a.target
	q.ask = &http.Request{
		Method: http.MethodGet, URL: &target, Host: r.Host, Header: h,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	return q
}

// schemeOf is the scheme by which a client came. A front that knows, being
// behind another one or doing TLS by itself, says it in the request's URL.
func schemeOf(r *http.Request) string {
	if r.TLS != nil || r.URL.Scheme == "https" {
		return "https"
	}
	return "http"
}

// originalURI is the path and query as the client wrote them.
func originalURI(r *http.Request) string {
	if strings.HasPrefix(r.RequestURI, "/") {
		return r.RequestURI
	}
	return r.URL.RequestURI()
}

// addressOf is the client's address without its port; "" when it came by a Unix
// socket.
func addressOf(r *http.Request) string {
	if peer, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		return peer.Addr().Unmap().WithZone("").String()
	}
	return ""
}

// key is the same for questions that say the same: all of their fields count,
// since the application may decide by any of them, apart from what changes with each
// connection of a client: the request's ID, and the position from which it goes on.
func (q question) key() [sha256.Size]byte {
	h := q.ask.Header.Clone()
	h.Del("X-Request-Id")
	if uri := h.Get("X-Original-Uri"); strings.Contains(uri, "?") {
		h.Set("X-Original-Uri", withoutPosition(uri))
	}
	sum := sha256.New()
	_ = h.Write(sum) // sorted; a hash takes everything
	return [sha256.Size]byte(sum.Sum(nil))
}

// withoutPosition takes from= and last= out of a URI's query.
func withoutPosition(uri string) string {
	path, query, _ := strings.Cut(uri, "?")
	parts := slices.DeleteFunc(strings.Split(query, "&"), func(part string) bool {
		return strings.HasPrefix(part, "from=") || strings.HasPrefix(part, "last=")
	})
	return path + "?" + strings.Join(parts, "&")
}

// ask asks the application, and counts what comes of it unless nobody waits for it
// any more.
func (a *appAuth) ask(ctx context.Context, q question) (Admission, *Refusal) {
	admission, refusal := a.answer(ctx, q)
	switch {
	case refusal == nil:
		a.asked.add(askedAllowed)
	case refusal.Final():
		a.asked.add(askedRefused)
	case ctx.Err() == nil:
		a.asked.add(askedFailed)
	}
	return admission, refusal
}

// answer waits for a turn and for the answer.
func (a *appAuth) answer(ctx context.Context, q question) (Admission, *Refusal) {
	limited, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	select {
	case a.turns <- struct{}{}:
		defer func() { <-a.turns }()
	case <-limited.Done():
		return Admission{}, a.unanswered(ctx, q, errors.New("too many questions wait for the app"))
	}
	answer, err := a.app.RoundTrip(q.ask.WithContext(limited))
	if err != nil {
		return Admission{}, a.unanswered(ctx, q, orTimeout(limited, err))
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	if err != nil {
		return Admission{}, a.unanswered(ctx, q, orTimeout(limited, err))
	}
	return q.judge(answer, body)
}

// orTimeout is the context's error where it is the cause of err: a transport
// may say it in words of its own.
func orTimeout(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// unanswered refuses a client about whom the application said nothing.
func (a *appAuth) unanswered(ctx context.Context, q question, err error) *Refusal {
	attrs := append(q.attrs(), slog.String("error", err.Error()))
	switch {
	case ctx.Err() != nil:
		return refuse(http.StatusServiceUnavailable, "left before the app answered", "the question to the application was given up", attrs...)
	case errors.Is(err, context.DeadlineExceeded):
		return refuse(http.StatusGatewayTimeout, "the app did not answer in "+a.timeout.String(),
			"the application, which says who may listen here, did not answer in time; try again", append(attrs,
				slog.String("hint", "the app is slow or has no free process; timeout of auth says how long it may take"))...)
	}
	return refuse(http.StatusBadGateway, "the app cannot be asked",
		"the application, which says who may listen here, cannot be asked; try again", append(attrs,
			slog.String("hint", "is the app running?"))...)
}

// attrs tells what the client sent, of cookies the names alone.
func (q question) attrs() []slog.Attr {
	cookies := strings.Join(cookieNames(q.client), ", ")
	if cookies == "" {
		cookies = "none"
	}
	return []slog.Attr{
		slog.String("auth", q.path),
		slog.String("cookies", cookies),
		slog.String("origin", cut(strings.Join(q.client.Header["Origin"], ", "), 200)),
		slog.String("host", cut(q.client.Host, 200)),
	}
}

const maxCookieNames = 20

// cookieNames lists the names of the cookies that came. One without = has no
// name: what stands there is its value (RFC 6265bis §5.6).
func cookieNames(r *http.Request) []string {
	var names []string
	for _, line := range r.Header["Cookie"] {
		for pair := range strings.SplitSeq(line, ";") {
			name, _, ok := strings.Cut(strings.Trim(pair, " \t"), "=")
			if !ok || name == "" || slices.Contains(names, cut(name, 60)) {
				continue
			}
			if len(names) == maxCookieNames {
				return append(names, "...")
			}
			names = append(names, cut(name, 60))
		}
	}
	return names
}

func cut(s string, most int) string {
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}

// isSocket reports whether r is a WebSocket's handshake.
func isSocket(r *http.Request) bool { return websocket.IsWebSocketUpgrade(r) }

// writeChannels is the value of an X-Push-Channels field.
func writeChannels(names []string) string {
	escaped := make([]string, len(names))
	for i, name := range names {
		escaped[i] = strings.ReplaceAll(name, ",", "%2C")
	}
	return strings.Join(escaped, ", ")
}

// parseChannels reads the value of an X-Push-Channels field: names divided by
// commas, percent-encoded where need be. Its error says what to write.
func parseChannels(value string) ([]string, error) {
	names := []string{}
	for item := range strings.SplitSeq(value, ",") {
		item = strings.Trim(item, " \t")
		if item == "" {
			continue // RFC 9110 §5.6.1.2
		}
		name, err := url.PathUnescape(item)
		if err != nil || !validChannel(name) {
			return nil, errors.New(channelProblem(item))
		}
		if slices.Contains(names, name) {
			continue
		}
		if len(names) == maxGranted {
			return nil, fmt.Errorf("too many channels; list at most %d", maxGranted)
		}
		names = append(names, name)
	}
	return names, nil
}
