package pusher

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	josejson "github.com/go-jose/go-jose/v4/json"
	"github.com/go-jose/go-jose/v4/jwt"
)

// claims are those of a token that are looked at.
type claims struct {
	jwt.Claims
	Channels channelsClaim   `json:"channels"`
	Info     json.RawMessage `json:"info"`
	Greeting string          `json:"greeting"`
}

// channelsClaim is a list that may be absent, which is something else than null:
// that is how some signers write an empty list.
type channelsClaim struct {
	given bool
	list  []channelPattern
}

// UnmarshalJSON implements json.Unmarshaler.
func (c *channelsClaim) UnmarshalJSON(b []byte) error {
	c.given = true
	return josejson.Unmarshal(b, &c.list)
}

const claimsForm = "the token's claims cannot be read: they are a JSON object in which iss, sub and greeting are strings, aud a string or a list of them, " +
	"channels a list of strings, and exp, nbf and iat seconds since 1970"

// admit makes an Admission of verified claims.
func (t *tokenAuth) admit(payload []byte, want []string, attrs []slog.Attr) (Admission, *Refusal) {
	var c claims
	// This decoder takes no name twice and in no other letter case, so that
	// signer and verifier cannot read one token in two ways.
	if err := josejson.Unmarshal(payload, &c); err != nil || !bytes.HasPrefix(bytes.TrimSpace(payload), []byte("{")) {
		return Admission{}, refuseToken("claims unreadable", claimsForm, attrs)
	}
	if reason, text := t.cfg.reject(c, time.Now()); reason != "" {
		return Admission{}, refuseToken(reason, text, attrs)
	}
	admission := Admission{User: c.Subject, Greeting: c.Greeting, Expires: t.cfg.ends(c)}
	if len(c.Info) > 0 && string(c.Info) != "null" {
		admission.Info = compactInfo(c.Info)
	}
	var refusal *Refusal
	admission.Channels, refusal = c.grant(want, attrs)
	if refusal != nil {
		return Admission{}, refusal
	}
	return admission, nil
}

// reject says why the claims admit nobody; "": they do.
func (c TokenAuth) reject(got claims, now time.Time) (reason, text string) {
	expected := jwt.Expected{Issuer: c.Issuer, Time: now}
	if c.Audience != "" {
		expected.AnyAudience = jwt.Audience{c.Audience}
	}
	switch err := got.ValidateWithLeeway(expected, c.Leeway); {
	case errors.Is(err, jwt.ErrExpired):
		return "token expired", fmt.Sprintf("the token has expired since %s; get a new one from the application", stamp(got.Expiry))
	case errors.Is(err, jwt.ErrNotValidYet):
		return "token not valid yet", fmt.Sprintf("the token is valid from %s on; are the clocks right?", stamp(got.NotBefore))
	case errors.Is(err, jwt.ErrIssuedInTheFuture):
		return "token from the future", fmt.Sprintf("the token says that it was issued at %s; are the clocks right?", stamp(got.IssuedAt))
	case errors.Is(err, jwt.ErrInvalidIssuer):
		return "issuer wrong", fmt.Sprintf("the token's iss is %.100q; this service takes %.100q", got.Issuer, c.Issuer)
	case errors.Is(err, jwt.ErrInvalidAudience):
		return "audience wrong", fmt.Sprintf("the token's aud is %.200q; this service is %.100q", []string(got.Audience), c.Audience)
	case err != nil:
		return "claims refused", "the token's claims are not accepted"
	case c.Audience == "" && len(got.Audience) > 0:
		return "audience wrong", fmt.Sprintf("the token's aud is %.200q, and this service has no name; write audience into its configuration, or leave aud out",
			[]string(got.Audience))
	}
	return got.unfit()
}

// unfit says which of our own claims has no use; "": none.
func (c claims) unfit() (reason, text string) {
	const reasonUnfit = "claim of no use"
	if problem := userProblem(c.Subject); problem != "" {
		return reasonUnfit, "the token's sub " + problem
	}
	if problem := infoProblem(c.Info); len(c.Info) > 0 && problem != "" {
		return reasonUnfit, "the token's info " + problem
	}
	if problem := greetingProblem(c.Greeting); problem != "" {
		return reasonUnfit, "the token's greeting " + problem
	}
	if n := len(c.Channels.list); n > maxGranted {
		return reasonUnfit, fmt.Sprintf("the token's channels are %d; list at most %d, or the beginning of their names with a * behind it", n, maxGranted)
	}
	for _, p := range c.Channels.list {
		if !p.valid() {
			return reasonUnfit, "the token's channels: " + p.problem()
		}
	}
	return "", ""
}

func stamp(date *jwt.NumericDate) string { return date.Time().UTC().Format(time.RFC3339) }

// lastInstant is the last one that a date with a year of four digits can tell.
var lastInstant = time.Date(9999, time.December, 31, 23, 59, 59, 0, time.UTC)

// ends is when the token no longer counts; zero: never. Leeway counts here as it
// does in reject, or a client could be admitted and thrown out at once.
func (c TokenAuth) ends(got claims) time.Time {
	if got.Expiry == nil || got.Expiry.Time().After(lastInstant) {
		return time.Time{}
	}
	return got.Expiry.Time().Add(c.Leeway)
}

// grant is what the client listens to of what it wants; nil: the endpoint's own.
func (c claims) grant(want []string, attrs []slog.Attr) ([]string, *Refusal) {
	forbid := func(reason, text string) ([]string, *Refusal) {
		return nil, refuse(http.StatusForbidden, reason, text, attrs...)
	}
	switch {
	case !c.Channels.given && len(want) == 0:
		return nil, nil
	case !c.Channels.given:
		return forbid("token lists no channels", "the token lists no channels, so that it admits to no channel that is asked for; "+
			`add the claim "channels": ["`+want[0]+`"]`)
	case len(want) > 0:
		if granted := bound(want, c.Channels.list); len(granted) > 0 {
			return granted, nil
		}
		return forbid("token lists other channels", fmt.Sprintf("the token's channels are %.300q, none of those asked for: %.300q", c.Channels.list, want))
	}
	var named []string
	for _, p := range c.Channels.list {
		if p.exact() {
			named = append(named, string(p))
		}
	}
	if len(named) == 0 {
		return forbid("token names no channel", fmt.Sprintf("the token's channels are %.300q, none of them by its name; ask for channels in the URL", c.Channels.list))
	}
	return named, nil
}
