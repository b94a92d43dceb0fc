package pusher

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// TokenAuth says by which signed tokens clients are admitted: JWTs (RFC 7519)
// that the application, or an identity provider, has signed with one of Keys or
// of JWKS. Of the claims,
//
//	sub       is who the client is
//	exp       closes the connection when it has passed; nbf and iat are checked
//	iss, aud  must be Issuer and Audience
//	channels  lists what the client may listen to: names, or the beginning of
//	          names with a * behind it. Of the channels that a client asks for it
//	          gets those that are listed; one that asks for none gets all that
//	          are listed by name. Without the claim it gets the endpoint's own
//	          channel, and may ask for none.
//	info      is what presence shows beside the user, any JSON up to 4 KiB
//	greeting  is a text that this client gets as its first message
//
// The token may stand in Authorization: Bearer, as a WebSocket subprotocol
// token.JWT, in the query, or in a cookie; the first of these that is there
// counts.
type TokenAuth struct {
	// Keys are the keys that tokens may be signed with.
	Keys []TokenKey `yaml:"keys"`

	// JWKS is where to find further public keys (RFC 7517): an https:// URL, or
	// a file. A URL is fetched when the first token comes, after an hour, and
	// when a token names a key that is not there, at most every ten seconds. It
	// needs Audience, since an identity provider signs for others too.
	JWKS string `yaml:"jwks"`

	// Issuer is what iss must be. Default: anything.
	Issuer string `yaml:"issuer"`

	// Audience is what aud must be or hold. Default: tokens with aud are refused
	// (RFC 7519 §4.1.3).
	Audience string `yaml:"audience"`

	// Leeway is how far the clocks may be apart: a token counts for so long
	// before nbf and iat and after exp. Default 30s.
	Leeway time.Duration `yaml:"leeway"`

	// Cookie is the name of the cookie that may hold the token. Default
	// push_token.
	Cookie string `yaml:"cookie"`

	// Query is the name of the query parameter that may hold the token. Default
	// token.
	Query string `yaml:"query"`
}

// TokenKey is a key that tokens may be signed with: a secret for HS256, a
// public key for the others. Files are read again when they change.
type TokenKey struct {
	// ID is the kid that a token names the key by (RFC 7515 §4.1.4). Default: the
	// key is tried for every token of its Alg.
	ID string `yaml:"id"`

	// Alg is how tokens are signed with it: HS256, ES256, EdDSA (Ed25519) or
	// RS256. A token that says another one is not checked with this key.
	Alg string `yaml:"alg"`

	// Secret is the shared secret of HS256, at least 32 bytes (RFC 7518 §3.2),
	// taken as it is written: openssl rand -base64 32 makes one.
	Secret string `yaml:"secret"`

	// SecretFile is a file that holds the secret, in place of Secret. Blanks and
	// line ends around it do not count. Others than its owner and group may not
	// be able to read it.
	SecretFile string `yaml:"secret_file"`

	// PublicKeyFile is a PEM file with the public key: openssl pkey -in
	// private.pem -pubout makes it.
	PublicKeyFile string `yaml:"public_key_file"`
}

const (
	defaultLeeway      = 30 * time.Second
	maxLeeway          = 10 * time.Minute
	defaultTokenCookie = "push_token"

	// DefaultTokenQuery is the parameter of the query that holds a token.
	DefaultTokenQuery = "token"

	// TokenProtocolPrefix begins the subprotocol that carries a token: a page can
	// set no header on a WebSocket. A server must not choose it in its answer
	// (the client offers another one beside it), or it would end in logs.
	TokenProtocolPrefix = "token."

	// maxToken is the length of the longest token; the usual ones have less than
	// a tenth of it.
	maxToken = 8 << 10

	minSecret = 32
)

// tokenAlgs are the algorithms that tokens may be signed with.
var tokenAlgs = []string{"HS256", "ES256", "EdDSA", "RS256"}

// Validate reports everything that is wrong with c as FieldErrors, or nil. The
// files are read by NewTokenAuth.
func (c TokenAuth) Validate() error {
	var errs FieldErrors
	if len(c.Keys) == 0 && c.JWKS == "" {
		errs.add("keys", "there is no key to verify tokens by; write one, such as {alg: HS256, secret_file: /etc/wsfront/token.secret}, or jwks")
	}
	for i, k := range c.Keys {
		k.validate(&errs, fmt.Sprintf("keys[%d]", i))
		if k.ID != "" && slices.ContainsFunc(c.Keys[:i], func(other TokenKey) bool { return other.ID == k.ID }) {
			errs.add(fmt.Sprintf("keys[%d].id", i), "%q is the id of another key; write a different one, as tokens name the key by it", k.ID)
		}
	}
	if problem := jwksProblem(c.JWKS); problem != "" {
		errs.add("jwks", "%s", problem)
	}
	if isURL(c.JWKS) && c.Audience == "" {
		errs.add("audience", "is needed with jwks: %s signs tokens for others too; write what aud is in those for this service", cut(c.JWKS, 200))
	}
	if c.Leeway < 0 || c.Leeway > maxLeeway {
		errs.add("leeway", "%s is no difference between clocks; write up to %s, such as 30s", c.Leeway, maxLeeway)
	}
	if c.Cookie != "" && (&http.Cookie{Name: c.Cookie}).Valid() != nil {
		errs.add("cookie", "%q is no name of a cookie; write letters, digits, - and _, such as %s", c.Cookie, defaultTokenCookie)
	}
	if c.Query != "" && url.QueryEscape(c.Query) != c.Query {
		errs.add("query", "%q is no name of a query parameter; write letters, digits, - and _, such as %s", c.Query, DefaultTokenQuery)
	}
	return errs.orNil()
}

func (k TokenKey) validate(errs *FieldErrors, at string) {
	if !slices.Contains(tokenAlgs, k.Alg) {
		errs.add(at+".alg", "%q is no algorithm of a token here; write one of %s", k.Alg, strings.Join(tokenAlgs, ", "))
		return
	}
	if k.Alg != "HS256" {
		if k.Secret != "" || k.SecretFile != "" {
			errs.add(at, "%s has no secret; write public_key_file, or alg: HS256", k.Alg)
		} else if k.PublicKeyFile == "" {
			errs.add(at+".public_key_file", "is empty; write the PEM file with the public key of %s", k.Alg)
		}
		return
	}
	switch {
	case k.PublicKeyFile != "":
		// Whoever has the public key could sign tokens.
		errs.add(at, "HS256 has no public key; write secret_file, or the alg that the key is of: ES256, EdDSA or RS256")
	case k.Secret == "" && k.SecretFile == "":
		errs.add(at+".secret_file", "is empty; write the file that holds the secret of HS256: openssl rand -base64 32 makes one")
	case k.Secret != "" && k.SecretFile != "":
		errs.add(at, "has both secret and secret_file; remove one of them")
	case k.Secret != "" && len(k.Secret) < minSecret:
		errs.add(at+".secret", "%s", shortSecret(len(k.Secret)))
	}
}

func shortSecret(length int) string {
	return fmt.Sprintf("the secret has %d bytes, few enough to be guessed; write at least %d: openssl rand -base64 32 makes one", length, minSecret)
}

func isURL(source string) bool { return strings.Contains(source, "://") }

// jwksProblem says what to write instead of an address that is not valid. Keys
// that came by plain http could be anybody's.
func jwksProblem(source string) string {
	if !isURL(source) {
		return "" // a file, or none
	}
	u, err := url.Parse(source)
	switch {
	case err != nil || u.Hostname() == "":
		return fmt.Sprintf("%.200q is no URL; write such as https://id.example.com/jwks.json, or a file", source)
	case u.User != nil:
		return "the URL holds a name or password; public keys need none"
	case u.Scheme == "https", u.Scheme == "http" && isLoopback(u.Hostname()):
		return ""
	}
	return fmt.Sprintf("%.200q: keys that come over the network without TLS can be changed on the way; write https://", source)
}

// TokenFromRequest finds the token of a request, and says where it stood:
// Authorization, Sec-WebSocket-Protocol, query or cookie. Both are "" when there
// is none.
func (c TokenAuth) TokenFromRequest(r *http.Request) (token, from string) {
	c = c.withDefaults()
	for _, value := range r.Header["Authorization"] {
		if scheme, rest, _ := strings.Cut(value, " "); strings.EqualFold(scheme, "Bearer") {
			return strings.Trim(rest, " "), "Authorization"
		}
	}
	for _, line := range r.Header["Sec-Websocket-Protocol"] {
		for protocol := range strings.SplitSeq(line, ",") {
			if token, ok := strings.CutPrefix(strings.Trim(protocol, " \t"), TokenProtocolPrefix); ok {
				return token, "Sec-WebSocket-Protocol"
			}
		}
	}
	if strings.Contains(r.URL.RawQuery, c.Query) {
		if token := r.URL.Query().Get(c.Query); token != "" {
			return token, "query"
		}
	}
	if cookie, err := r.Cookie(c.Cookie); err == nil && cookie.Value != "" {
		return cookie.Value, "cookie"
	}
	return "", ""
}

func (c TokenAuth) withDefaults() TokenAuth {
	if c.Leeway == 0 {
		c.Leeway = defaultLeeway
	}
	if c.Cookie == "" {
		c.Cookie = defaultTokenCookie
	}
	if c.Query == "" {
		c.Query = DefaultTokenQuery
	}
	return c
}
