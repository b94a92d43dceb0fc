package pusher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// go-jose does all of it, signatures, claims and key sets: one library, without
// dependencies of its own, that the module graph has anyway. jwt/v5 reads no key
// sets, and keyfunc, which would, reads an answer of any length and owns a
// goroutine for each URL.

// tokenAuth verifies tokens.
type tokenAuth struct {
	cfg  TokenAuth
	keys *keyring
}

// NewTokenAuth makes an Authorizer that verifies tokens. It reads the files that
// cfg names; keys are fetched from a URL by way of fetch, nil for
// http.DefaultTransport, once the first token comes. Its error is that of
// cfg.Validate, or FieldErrors about the files.
func NewTokenAuth(cfg TokenAuth, fetch http.RoundTripper, log *slog.Logger) (Authorizer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	keys, err := newKeyring(cfg, fetch, log)
	if err != nil {
		return nil, err
	}
	return &tokenAuth{cfg.withDefaults(), keys}, nil
}

// Recheck is 0: what a token grants ends with its exp.
func (t *tokenAuth) Recheck() time.Duration { return 0 }

func (t *tokenAuth) Authorize(r *http.Request, want []string) (Admission, *Refusal) {
	return t.Again(r.Context(), r, want)
}

func (t *tokenAuth) Again(ctx context.Context, r *http.Request, want []string) (Admission, *Refusal) {
	token, from := t.cfg.TokenFromRequest(r)
	attrs := []slog.Attr{slog.String("from", from), slog.String("origin", cut(r.Header.Get("Origin"), 200))}
	if token == "" {
		attrs[0] = slog.String("from", "none")
		return Admission{}, refuseToken("no token came", t.cfg.howToSend(), attrs)
	}
	parsed, refusal := parseToken(token, attrs)
	if refusal != nil {
		return Admission{}, refusal
	}
	kid, alg := parsed.Signatures[0].Protected.KeyID, parsed.Signatures[0].Protected.Algorithm
	attrs = append(attrs, slog.String("kid", cut(kid, 80)), slog.String("alg", alg))
	payload, refusal := t.verify(ctx, parsed, kid, alg, attrs)
	if refusal != nil {
		return Admission{}, refusal
	}
	return t.admit(payload, want, attrs)
}

func (c TokenAuth) howToSend() string {
	return fmt.Sprintf("no token came; send it as a cookie %s, as ?%s=JWT, in Authorization: Bearer JWT, "+
		`or from a page as new WebSocket(url, ["resume.v1", "%sJWT"])`, c.Cookie, c.Query, TokenProtocolPrefix)
}

// refuseToken refuses a client whose token does not admit it (RFC 6750 §3.1).
func refuseToken(reason, text string, attrs []slog.Attr) *Refusal {
	r := refuse(http.StatusUnauthorized, reason, text, attrs...)
	r.Header.Set("WWW-Authenticate", `Bearer error="invalid_token"`)
	return r
}

// parseToken reads a token's form. Nothing of it is believed yet.
func parseToken(token string, attrs []slog.Attr) (*jose.JSONWebSignature, *Refusal) {
	if len(token) > maxToken {
		return nil, refuseToken("token too long", fmt.Sprintf("the token has %d bytes; at most %d are read", len(token), maxToken), attrs)
	}
	algs := make([]jose.SignatureAlgorithm, len(tokenAlgs))
	for i, alg := range tokenAlgs {
		algs[i] = jose.SignatureAlgorithm(alg)
	}
	parsed, err := jose.ParseSignedCompact(token, algs)
	var alg *jose.ErrUnexpectedSignatureAlgorithm
	switch {
	case err == nil:
		return parsed, nil
	case errors.As(err, &alg):
		return nil, refuseToken("alg not taken", fmt.Sprintf("the token's alg is %.20q; sign it with one of %s",
			string(alg.Got), strings.Join(tokenAlgs, ", ")), attrs)
	case strings.Count(token, ".") == 4:
		return nil, refuseToken("token encrypted", "the token is encrypted; send one that is signed alone", attrs)
	}
	return nil, refuseToken("no JWT", "what came as the token is no JWT: three parts in base64url with dots between them", attrs)
}

// verify gives the token's claims if its signature was made with a key of ours
// that is for this algorithm. The key decides about the algorithm: a token that
// names another one, to have a public key taken for a secret, finds no key.
func (t *tokenAuth) verify(ctx context.Context, token *jose.JSONWebSignature, kid, alg string, attrs []slog.Attr) ([]byte, *Refusal) {
	keys, err := t.keys.find(ctx, kid, alg)
	if err != nil {
		return nil, refuse(http.StatusServiceUnavailable, "keys cannot be had",
			"the keys that tokens are verified by cannot be had at the moment; try again", append(attrs, slog.String("error", err.Error()))...)
	}
	if len(keys) == 0 && kid != "" {
		return nil, refuseToken("key unknown", fmt.Sprintf("the token's kid is %.80q; there is no such key of %s here", kid, alg), attrs)
	} else if len(keys) == 0 {
		return nil, refuseToken("key unknown", fmt.Sprintf("the token is signed with %s; there is no key of it here", alg), attrs)
	}
	for _, k := range keys {
		payload, err := token.Verify(k.key)
		if err == nil {
			return payload, nil
		}
		if errors.Is(err, jose.ErrUnsupportedCriticalHeader) {
			return nil, refuseToken("crit not understood", "the token's crit names an extension that is not known here; leave it out", attrs)
		}
	}
	return nil, refuseToken("signature wrong", "the token's signature was made with another key, or the token was changed", attrs)
}
