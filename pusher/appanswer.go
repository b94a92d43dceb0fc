package pusher

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxAnswer is the length of the longest body that the application's answer may
// have in order to admit, and how much of a refusal goes on to the client.
const maxAnswer = 64 << 10

// judge makes of the application's answer what it means.
func (q question) judge(answer *http.Response, body []byte) (Admission, *Refusal) {
	switch {
	case answer.StatusCode < 200:
		return Admission{}, q.unusable(answer, fmt.Sprintf("it is %d, which is no answer to a GET", answer.StatusCode))
	case answer.StatusCode >= 300:
		return Admission{}, q.refused(answer, body[:min(len(body), maxAnswer)])
	case len(body) > maxAnswer:
		// Perhaps one without end; or a page that every path of the application
		// leads to, which would admit everybody.
		return Admission{}, q.unusable(answer, fmt.Sprintf("its body is longer than %d KiB; answer with headers alone, and see that %s is a view of its own",
			maxAnswer>>10, q.path))
	}
	admission, err := readAdmission(answer.Header, time.Now())
	if err != nil {
		return Admission{}, q.unusable(answer, err.Error())
	}
	if !admission.Expires.IsZero() && !admission.Expires.After(time.Now()) {
		return Admission{}, refuse(http.StatusUnauthorized, "the app's admission has expired already",
			"the application admits this client until a time that has passed; log in again", append(q.attrs(),
				slog.String("expires", answer.Header.Get("X-Push-Expires")))...)
	}
	if admission.Channels == nil || len(q.want) == 0 && len(admission.Channels) > 0 {
		return admission, nil
	}
	granted := slices.DeleteFunc(slices.Clone(q.want), func(name string) bool { return !slices.Contains(admission.Channels, name) })
	if len(granted) == 0 {
		return Admission{}, refuse(http.StatusForbidden, "the app admits to none of the channels asked for",
			"the application admits this client, but to none of the channels that it asks for", append(q.attrs(),
				slog.String("asked", cut(writeChannels(q.want), 200)), slog.String("granted", cut(writeChannels(admission.Channels), 200)))...)
	}
	admission.Channels = granted
	return admission, nil
}

// unusable refuses a client on account of an answer that makes no sense.
func (q question) unusable(answer *http.Response, problem string) *Refusal {
	return refuse(http.StatusBadGateway, "the app's answer cannot be used", "the application's answer to "+q.path+" cannot be used: "+problem,
		append(q.attrs(), slog.Int("app_status", answer.StatusCode), slog.String("hint", problem))...)
}

// readAdmission reads the fields of an answer that admits. Its error says what
// to write. Absent X-Push-Channels give nil, an empty field an empty list: an
// application that lists nothing means nothing.
func readAdmission(h http.Header, now time.Time) (a Admission, err error) {
	if list, ok := h["X-Push-Channels"]; ok {
		if a.Channels, err = parseChannels(strings.Join(list, ",")); err != nil {
			return Admission{}, fmt.Errorf("X-Push-Channels: %w", err)
		}
	}
	if a.Expires, err = parseExpires(h.Get("X-Push-Expires"), now); err != nil {
		return Admission{}, fmt.Errorf("X-Push-Expires: %w", err)
	}
	a.User = h.Get("X-Push-User")
	if problem := userProblem(a.User); problem != "" {
		return Admission{}, fmt.Errorf("X-Push-User %s", problem)
	}
	if info := []byte(h.Get("X-Push-Info")); len(info) > 0 {
		if problem := infoProblem(info); problem != "" {
			return Admission{}, fmt.Errorf("X-Push-Info %s", problem)
		}
		a.Info = compactInfo(info)
	}
	if a.Greeting, err = url.PathUnescape(h.Get("X-Push-Greeting")); err != nil {
		return Admission{}, fmt.Errorf("X-Push-Greeting: a %% stands there that begins no escape; percent-encode the whole text (Python: urllib.parse.quote)")
	}
	if problem := greetingProblem(a.Greeting); problem != "" {
		return Admission{}, fmt.Errorf("X-Push-Greeting %s", problem)
	}
	return a, nil
}

// maxExpires is what an admission lasts at most when it is told in seconds. Far
// above it is a Unix time, and an application that means one must not admit for
// half a century.
const maxExpires = 10 * 365 * 24 * time.Hour

// parseExpires reads the value of an X-Push-Expires field; "" is never, as the
// zero time. Its error says what to write.
func parseExpires(value string, now time.Time) (time.Time, error) {
	if value == "" {
		return time.Time{}, nil
	}
	if seconds, err := strconv.ParseUint(value, 10, 32); err == nil {
		if lasts := time.Duration(seconds) * time.Second; lasts <= maxExpires {
			return now.Add(lasts), nil
		}
		return time.Time{}, fmt.Errorf("%q is more than ten years; write seconds from now, not a Unix time, or an HTTP date", value)
	}
	if date, err := http.ParseTime(value); err == nil {
		return date, nil
	}
	return time.Time{}, fmt.Errorf("%.40q is no time; write whole seconds from now, such as 3600, or an HTTP date, such as %s",
		value, now.Add(time.Hour).UTC().Format(http.TimeFormat))
}

// passedOn are the fields of a refusal that reach the client.
var passedOn = [...]string{"Location", "Www-Authenticate", "Set-Cookie", "Content-Type", "Cache-Control", "Retry-After"}

// refused passes the application's refusal on.
func (q question) refused(answer *http.Response, body []byte) *Refusal {
	location := bareLocation(answer.Header.Get("Location"))
	attrs := append(q.attrs(), slog.Int("app_status", answer.StatusCode))
	if location != "" {
		attrs = append(attrs, slog.String("location", location))
	}
	attrs = append(attrs, slog.String("hint", q.hint(answer.StatusCode, location)))
	r := &Refusal{Status: answer.StatusCode, Header: http.Header{}, Body: body, Reason: fmt.Sprintf("the app answers %d", answer.StatusCode), Attrs: attrs}
	if answer.StatusCode < 400 && isSocket(q.client) {
		r = refuse(http.StatusUnauthorized, fmt.Sprintf("the app answers %d, which is passed on as 401: a WebSocket follows no redirect", answer.StatusCode),
			fmt.Sprintf("the application answers %d to the question whether this client may listen: log in first", answer.StatusCode), attrs...)
		answer.Header.Del("Content-Type") // that of the body that is left out
	}
	for _, name := range passedOn {
		if values := answer.Header[name]; len(values) > 0 {
			r.Header[name] = slices.Clone(values)
		}
	}
	return r
}

// bareLocation is where a redirect leads, for the log: a query may hold secrets.
func bareLocation(location string) string {
	location, _, _ = strings.Cut(location, "#")
	location, _, _ = strings.Cut(location, "?")
	if u, err := url.Parse(location); err != nil || u.User != nil {
		return ""
	}
	return cut(location, 200)
}
