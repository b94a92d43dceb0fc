package pusher

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const testSecret = "a secret of this test, thirty-two bytes and more"

// testKeys are made once: RSA keys take their time.
var testKeys = sync.OnceValue(func() (k struct {
	ec *ecdsa.PrivateKey
	ed ed25519.PrivateKey
	rs *rsa.PrivateKey
}) {
	k.ec, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	_, k.ed, _ = ed25519.GenerateKey(rand.Reader)
	k.rs, _ = rsa.GenerateKey(rand.Reader, minRSABits)
	return k
})

// signed is a token made by the library.
func signed(t *testing.T, alg jose.SignatureAlgorithm, kid string, key any, claims map[string]any) string {
	t.Helper()
	options := (&jose.SignerOptions{}).WithType("JWT")
	if kid != "" {
		options = options.WithHeader("kid", kid)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, options)
	if err != nil {
		t.Fatal(err)
	}
	if claims == nil {
		claims = map[string]any{}
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	object, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	token, err := object.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// hs is a token that is signed with testSecret.
func hs(t *testing.T, claims map[string]any) string {
	t.Helper()
	return signed(t, jose.HS256, "", []byte(testSecret), claims)
}

func b64(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// byHand is a token of any header, signed by sign.
func byHand(header, claims string, sign func(input []byte) []byte) string {
	input := b64(header) + "." + b64(claims)
	return input + "." + base64.RawURLEncoding.EncodeToString(sign([]byte(input)))
}

func hmacWith(key []byte) func([]byte) []byte {
	return func(input []byte) []byte {
		m := hmac.New(sha256.New, key)
		m.Write(input)
		return m.Sum(nil)
	}
}

// pemFile writes a public key into a file.
func pemFile(t *testing.T, name string, key crypto.PublicKey) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return fileOf(t, name, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), 0o644)
}

func fileOf(t *testing.T, name, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// gate is a TokenAuth under test.
type gate struct {
	Authorizer
	t   *testing.T
	log *journal
}

func newGate(t *testing.T, cfg TokenAuth) *gate {
	t.Helper()
	log := &journal{}
	auth, err := NewTokenAuth(cfg, nil, slog.New(log))
	if err != nil {
		t.Fatal(err)
	}
	return &gate{auth, t, log}
}

func secretGate(t *testing.T) *gate {
	t.Helper()
	return newGate(t, TokenAuth{Keys: []TokenKey{{Alg: "HS256", Secret: testSecret}}})
}

func bearing(token string) *http.Request { return visit("/board", "Authorization", "Bearer "+token) }

func (g *gate) admits(r *http.Request, want ...string) Admission {
	g.t.Helper()
	admission, refusal := g.Authorize(r, want)
	if refusal != nil {
		g.t.Fatalf("refused: %d %s %v", refusal.Status, refusal.Body, refusal.Attrs)
	}
	return admission
}

func (g *gate) refuses(r *http.Request, want ...string) *Refusal {
	g.t.Helper()
	admission, refusal := g.Authorize(r, want)
	if refusal == nil {
		g.t.Fatalf("admitted: %+v", admission)
	}
	return refusal
}

// allKeys is a gate that takes each algorithm, the ES256 key by name alone.
func allKeys(t *testing.T) *gate {
	t.Helper()
	k := testKeys()
	return newGate(t, TokenAuth{Keys: []TokenKey{
		{Alg: "HS256", Secret: testSecret},
		{ID: "ec", Alg: "ES256", PublicKeyFile: pemFile(t, "ec.pem", k.ec.Public())},
		{ID: "ed", Alg: "EdDSA", PublicKeyFile: pemFile(t, "ed.pem", k.ed.Public())},
		{Alg: "RS256", PublicKeyFile: pemFile(t, "rs.pem", k.rs.Public())},
	}})
}

func TestTokenAuth_AdmitsWhatIsSignedWithItsKeys(t *testing.T) {
	k, g := testKeys(), allKeys(t)
	for _, c := range []struct {
		alg jose.SignatureAlgorithm
		kid string
		key any
	}{
		{jose.HS256, "", []byte(testSecret)}, {jose.HS256, "any", []byte(testSecret)},
		{jose.ES256, "ec", k.ec}, {jose.ES256, "", k.ec}, {jose.EdDSA, "ed", k.ed}, {jose.RS256, "other", k.rs},
	} {
		got := g.admits(bearing(signed(t, c.alg, c.kid, c.key, map[string]any{
			"sub": "7", "exp": 4102444800, "channels": []string{"board", "user.7"}, "info": map[string]string{"name": "Jürgen"}, "greeting": "Hallo",
		})))
		if got.User != "7" || !slices.Equal(got.Channels, []string{"board", "user.7"}) || string(got.Info) != `{"name":"Jürgen"}` || got.Greeting != "Hallo" ||
			!got.Expires.Equal(time.Unix(4102444800, 0).Add(30*time.Second)) {
			t.Errorf("%s: %+v", c.alg, got)
		}
	}
	got := g.admits(bearing(byHand(`{"alg":"HS256"}`, `{}`, hmacWith([]byte(testSecret)))))
	if got.User != "" || got.Channels != nil || got.Info != nil || !got.Expires.IsZero() || got.Greeting != "" {
		t.Errorf("no claims give %+v", got)
	}
	if g.Recheck() != 0 {
		t.Errorf("rechecks after %s", g.Recheck())
	}
}

func TestTokenAuth_KnowsTheTokenOfTheStandard(t *testing.T) {
	// RFC 7515 appendix A.1: right but for its age.
	key, err := base64.RawURLEncoding.DecodeString("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")
	if err != nil {
		t.Fatal(err)
	}
	g := newGate(t, TokenAuth{Keys: []TokenKey{{Alg: "HS256", Secret: string(key)}}})
	r := g.refuses(bearing("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ." +
		"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"))
	if string(r.Body) != "401 Unauthorized: the token has expired since 2011-03-22T18:43:00Z; get a new one from the application\n" {
		t.Errorf("got %s", r.Body)
	}
}

func TestTokenAuth_RefusesForgeries(t *testing.T) {
	k, g := testKeys(), allKeys(t)
	const claims = `{"sub":"root","exp":4102444800}`
	der, _ := x509.MarshalPKIXPublicKey(k.ec.Public())
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	rsaDER, _ := x509.MarshalPKIXPublicKey(k.rs.Public())
	rsaText := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: rsaDER})
	attacker, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	jwk, _ := json.Marshal(jose.JSONWebKey{Key: attacker.Public(), KeyID: "ec"})
	ecSign := func(input []byte) []byte {
		sum := sha256.Sum256(input)
		r, s, _ := ecdsa.Sign(rand.Reader, attacker, sum[:])
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	}
	asn1Sign := func(input []byte) []byte {
		sum := sha256.Sum256(input)
		sig, _ := ecdsa.SignASN1(rand.Reader, k.ec, sum[:])
		return sig
	}
	nothing := func([]byte) []byte { return nil }
	good := signed(t, jose.ES256, "ec", k.ec, map[string]any{"sub": "7"})
	parts := strings.Split(good, ".")
	for name, token := range map[string]string{
		"none":                              byHand(`{"alg":"none"}`, claims, nothing),
		"None":                              byHand(`{"alg":"None"}`, claims, nothing),
		"no alg":                            byHand(`{"typ":"JWT"}`, claims, nothing),
		"alg of a list":                     byHand(`{"alg":["HS256"]}`, claims, hmacWith([]byte(testSecret))),
		"HS256 with the public key's PEM":   byHand(`{"alg":"HS256","kid":"ec"}`, claims, hmacWith(text)),
		"HS256 with the trimmed PEM":        byHand(`{"alg":"HS256","kid":"ec"}`, claims, hmacWith([]byte(strings.TrimSpace(string(text))))),
		"HS256 with the public key's DER":   byHand(`{"alg":"HS256","kid":"ec"}`, claims, hmacWith(der)),
		"HS256 with the RSA key's PEM":      byHand(`{"alg":"HS256"}`, claims, hmacWith(rsaText)),
		"HS256 with nothing":                byHand(`{"alg":"HS256"}`, claims, hmacWith(nil)),
		"HS256 with another secret":         byHand(`{"alg":"HS256"}`, claims, hmacWith([]byte(testSecret+"."))),
		"HS512 with the secret":             signed(t, jose.HS512, "", []byte(testSecret+testSecret), map[string]any{"sub": "root"}),
		"PS256 with the RSA key":            signed(t, jose.PS256, "", k.rs, map[string]any{"sub": "root"}),
		"ES256 with zeros":                  byHand(`{"alg":"ES256","kid":"ec"}`, claims, func([]byte) []byte { return make([]byte, 64) }),
		"ES256 with nothing":                byHand(`{"alg":"ES256","kid":"ec"}`, claims, nothing),
		"ES256 in ASN.1":                    byHand(`{"alg":"ES256","kid":"ec"}`, claims, asn1Sign),
		"EdDSA with zeros":                  byHand(`{"alg":"EdDSA","kid":"ed"}`, claims, func([]byte) []byte { return make([]byte, 64) }),
		"ES256 with another key":            byHand(`{"alg":"ES256","kid":"ec"}`, claims, ecSign),
		"ES256 with the key that it brings": byHand(`{"alg":"ES256","kid":"ec","jwk":`+string(jwk)+`}`, claims, ecSign),
		"ES256 with the key of its URL":     byHand(`{"alg":"ES256","jku":"http://127.0.0.1:1/keys"}`, claims, ecSign),
		"ES256 under another key's name":    byHand(`{"alg":"ES256","kid":"ed"}`, claims, ecSign),
		"a kid that is a path":              byHand(`{"alg":"HS256","kid":"../../../../dev/null"}`, claims, hmacWith(nil)),
		"a kid that is a number":            byHand(`{"alg":"HS256","kid":7}`, claims, hmacWith([]byte(testSecret))),
		"other claims":                      parts[0] + "." + b64(claims) + "." + parts[2],
		"another header":                    b64(`{"alg":"ES256","kid":"ec" }`) + "." + parts[1] + "." + parts[2],
		"no signature":                      parts[0] + "." + parts[1] + ".",
		"two parts":                         parts[0] + "." + parts[1],
		"four parts":                        good + "." + parts[2],
		"five parts":                        good + ".a.b",
		"JSON":                              `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`,
		"padding":                           parts[0] + "=." + parts[1] + "." + parts[2],
		"bits behind the signature's end":   parts[0] + "." + parts[1] + "." + parts[2] + "A",
		"an extension that must be known":   byHand(`{"alg":"HS256","crit":["exp2"],"exp2":1}`, claims, hmacWith([]byte(testSecret))),
		"an empty list of extensions":       byHand(`{"alg":"HS256","crit":[]}`, claims, func([]byte) []byte { return nil }),
		"nothing":                           ".",
		"too long, though well signed":      hs(t, map[string]any{"x": strings.Repeat("x", maxToken)}),
		"claims that are a list":            byHand(`{"alg":"HS256"}`, `[]`, hmacWith([]byte(testSecret))),
		"claims that are null":              byHand(`{"alg":"HS256"}`, ` null`, hmacWith([]byte(testSecret))),
		"claims that come twice":            byHand(`{"alg":"HS256"}`, `{"exp":4102444800,"exp":4102444801}`, hmacWith([]byte(testSecret))),
		"a number for sub":                  byHand(`{"alg":"HS256"}`, `{"sub":7}`, hmacWith([]byte(testSecret))),
		"a text for exp":                    byHand(`{"alg":"HS256"}`, `{"exp":"4102444800"}`, hmacWith([]byte(testSecret))),
		"an exp beyond all time":            byHand(`{"alg":"HS256"}`, `{"exp":1e300}`, hmacWith([]byte(testSecret))),
		"a text for channels":               byHand(`{"alg":"HS256"}`, `{"channels":"board"}`, hmacWith([]byte(testSecret))),
		"claims behind the claims":          byHand(`{"alg":"HS256"}`, `{}{}`, hmacWith([]byte(testSecret))),
	} {
		r := g.refuses(bearing(token))
		if r.Status != 401 || r.Header.Get("WWW-Authenticate") != `Bearer error="invalid_token"` || !r.Final() {
			t.Errorf("%s: %d %v", name, r.Status, r.Header)
		}
		if said := fmt.Sprint(string(r.Body), r.Reason, r.Attrs); len(token) > 20 && strings.Contains(said, token[len(token)-20:]) {
			t.Errorf("%s: the token shows: %s", name, said)
		}
	}
	g.admits(bearing(good))
}

func TestTokenFromRequest_LooksWhereAPageCanPutIt(t *testing.T) {
	var cfg TokenAuth
	for _, c := range []struct {
		r           *http.Request
		token, from string
	}{
		{visit("/board"), "", ""},
		{visit("/board?token=q"), "q", "query"},
		{visit("/board?a=b&token=q&token=r"), "q", "query"},
		{visit("/board?tokens=q"), "", ""},
		{visit("/board", "Cookie", "a=b; push_token=c"), "c", "cookie"},
		{visit("/board", "Cookie", "push_token="), "", ""},
		{visit("/board", "Authorization", "bearer  h"), "h", "Authorization"},
		{visit("/board", "Authorization", "Basic h"), "", ""},
		{socketVisit("/board", "Sec-WebSocket-Protocol", "resume.v1, token.a.b.c"), "a.b.c", "Sec-WebSocket-Protocol"},
		{socketVisit("/board", "Sec-WebSocket-Protocol", "resume.v1", "Sec-WebSocket-Protocol", "token.p"), "p", "Sec-WebSocket-Protocol"},
		{socketVisit("/board?token=q", "Sec-WebSocket-Protocol", "token.p", "Cookie", "push_token=c", "Authorization", "Bearer h"), "h", "Authorization"},
		{socketVisit("/board?token=q", "Sec-WebSocket-Protocol", "token.p", "Cookie", "push_token=c"), "p", "Sec-WebSocket-Protocol"},
		{socketVisit("/board?token=q", "Sec-WebSocket-Protocol", "resume.v1", "Cookie", "push_token=c"), "q", "query"},
	} {
		if token, from := cfg.TokenFromRequest(c.r); token != c.token || from != c.from {
			t.Errorf("%s %v: %q %q", c.r.URL, c.r.Header, token, from)
		}
	}
	cfg = TokenAuth{Cookie: "jwt", Query: "t"}
	if token, from := cfg.TokenFromRequest(visit("/board?token=q", "Cookie", "push_token=c; jwt=d")); token != "d" || from != "cookie" {
		t.Errorf("got %q %q", token, from)
	}
	if token, _ := cfg.TokenFromRequest(visit("/board?t=q")); token != "q" {
		t.Errorf("got %q", token)
	}
}

func TestTokenAuth_TellsTheLogWhatCameButNotTheToken(t *testing.T) {
	token := signed(t, jose.HS256, "k1", []byte(testSecret+"x"), map[string]any{"sub": "7"})
	r := secretGate(t).refuses(visit("/board?token="+token, "Origin", "https://app.test"))
	if fmt.Sprint(r.Attrs) != "[from=query origin=https://app.test kid=k1 alg=HS256]" || r.Reason != "signature wrong" {
		t.Errorf("got %s %v", r.Reason, r.Attrs)
	}
	r = secretGate(t).refuses(visit("/board"))
	if fmt.Sprint(r.Attrs) != "[from=none origin=]" || r.Reason != "no token came" {
		t.Errorf("got %s %v", r.Reason, r.Attrs)
	}
}

func TestTokenAuth_AgainFindsATokenThatHasExpired(t *testing.T) {
	g := secretGate(t)
	r := bearing(hs(t, map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}))
	if _, refusal := g.Again(t.Context(), r, nil); refusal == nil || !refusal.Final() {
		t.Errorf("got %v", refusal)
	}
}

func FuzzToken(f *testing.F) {
	log := slog.New(&journal{})
	auth, err := NewTokenAuth(TokenAuth{Keys: []TokenKey{{Alg: "HS256", Secret: testSecret}}}, nil, log)
	if err != nil {
		f.Fatal(err)
	}
	for _, header := range []string{`{"alg":"HS256"}`, `{"alg":"none"}`, `{"alg":"HS256","crit":["b64"],"b64":false}`, `{"alg":"HS256","kid":"\ud800"}`, `[]`, ``} {
		f.Add(header, `{"sub":"7","exp":4102444800,"channels":["a","b*"],"info":{"a":[1]},"greeting":"x"}`, true)
		f.Add(header, `{"exp":1e18,"nbf":-1e18,"aud":[""],"channels":[""],"info":null}`, true)
		f.Add(header, `{`, false)
	}
	f.Fuzz(func(t *testing.T, header, payload string, honest bool) {
		key := []byte("another secret that the attacker may have")
		if honest {
			key = []byte(testSecret)
		}
		r := bearing(byHand(header, payload, hmacWith(key)))
		a, refusal := auth.Authorize(r, []string{"a"})
		switch {
		case refusal == nil && !honest:
			t.Errorf("admitted %+v", a)
		case refusal == nil:
			if !slices.Equal(a.Channels, []string{"a"}) || a.Info != nil && !json.Valid(a.Info) || len(a.User) > maxUser {
				t.Errorf("admitted %+v", a)
			}
		case refusal.Status != 401 && refusal.Status != 403:
			t.Errorf("refused with %d", refusal.Status)
		}
	})
}
