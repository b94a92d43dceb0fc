package pusher

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// keySet is a JWK set with these keys.
func keySet(t *testing.T, keys ...jose.JSONWebKey) string {
	t.Helper()
	text, err := json.Marshal(jose.JSONWebKeySet{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func public(kid string, key crypto.Signer) jose.JSONWebKey {
	return jose.JSONWebKey{KeyID: kid, Key: key.Public()}
}

func newEC(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

var forPush = map[string]any{"aud": "push"}

// provider serves a key set.
type provider struct {
	server  *httptest.Server
	set     atomic.Pointer[string]
	fetched atomic.Int32
}

func newProvider(t *testing.T, answer func(w http.ResponseWriter, r *http.Request, set string)) *provider {
	t.Helper()
	p := &provider{}
	p.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.fetched.Add(1)
		answer(w, r, *p.set.Load())
	}))
	t.Cleanup(p.server.Close)
	return p
}

func serveSet(w http.ResponseWriter, _ *http.Request, set string) { _, _ = io.WriteString(w, set) }

func (p *provider) gate(t *testing.T) *gate {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	log := &journal{}
	auth, err := NewTokenAuth(TokenAuth{JWKS: p.server.URL + "/jwks?secret=s3cr3t", Audience: "push"}, transport, slog.New(log))
	if err != nil {
		t.Fatal(err)
	}
	return &gate{auth, t, log}
}

func TestJWKS_IsFetchedWithTheFirstTokenAndOnlyThen(t *testing.T) {
	k, p := testKeys(), newProvider(t, serveSet)
	set := keySet(t, public("ec", k.ec), public("ed", k.ed), public("rs", k.rs))
	p.set.Store(&set)
	g := p.gate(t)
	if n := p.fetched.Load(); n != 0 {
		t.Errorf("fetched %d times before a token came", n)
	}
	g.admits(bearing(signed(t, jose.ES256, "ec", k.ec, forPush)))
	g.admits(bearing(signed(t, jose.EdDSA, "ed", k.ed, forPush)))
	g.admits(bearing(signed(t, jose.RS256, "rs", k.rs, forPush)))
	g.admits(bearing(signed(t, jose.ES256, "", k.ec, forPush)))
	g.refuses(bearing(signed(t, jose.ES256, "ed", k.ec, forPush)))
	if n := p.fetched.Load(); n != 1 {
		t.Errorf("fetched %d times", n)
	}
	g.log.await(t, EventKeys, "INFO", "source="+p.server.URL+"/jwks keys=3")
	if lines := g.log.find(EventKeys); len(lines) != 1 || strings.Contains(lines[0], "s3cr3t") {
		t.Errorf("the log has %q", lines)
	}
}

func TestJWKS_ManyWhoComeAtOnceFetchOnce(t *testing.T) {
	key, p := newEC(t), newProvider(t, serveSet)
	set := keySet(t, public("k", key))
	p.set.Store(&set)
	g := p.gate(t)
	token := signed(t, jose.ES256, "k", key, forPush)
	var clients sync.WaitGroup
	for range 50 {
		clients.Go(func() {
			if _, r := g.Authorize(bearing(token), nil); r != nil {
				t.Errorf("refused: %s", r.Body)
			}
		})
	}
	clients.Wait()
	if n := p.fetched.Load(); n != 1 {
		t.Errorf("fetched %d times", n)
	}
}

func TestJWKS_KeysForSomethingElseAdmitNobody(t *testing.T) {
	key, p384 := newEC(t), func() *ecdsa.PrivateKey { k, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader); return k }()
	good := public("good", key)
	text := keySet(t,
		jose.JSONWebKey{KeyID: "enc", Key: key.Public(), Use: "enc"},
		jose.JSONWebKey{KeyID: "alg", Key: key.Public(), Algorithm: "ES384"},
		jose.JSONWebKey{KeyID: "p384", Key: p384.Public()},
		jose.JSONWebKey{KeyID: "oct", Key: []byte(testSecret), Algorithm: "HS256"},
		jose.JSONWebKey{KeyID: "private", Key: key},
		jose.JSONWebKey{KeyID: "sig", Key: key.Public(), Use: "sig", Algorithm: "ES256"},
		good)
	text = strings.Replace(text, `"keys":[`, `"keys":[7,null,{"kty":"XYZ","kid":"new"},{"kid":"bare"},`, 1)
	g := newGate(t, TokenAuth{JWKS: fileOf(t, "jwks", text, 0o644)})
	for _, kid := range []string{"enc", "alg", "private", "new", "bare"} {
		g.refuses(bearing(signed(t, jose.ES256, kid, key, nil)))
	}
	g.refuses(bearing(signed(t, jose.ES384, "p384", p384, nil)))
	g.refuses(bearing(signed(t, jose.HS256, "oct", []byte(testSecret), nil)))
	g.refuses(bearing(signed(t, jose.HS256, "", []byte(testSecret), nil)))
	g.admits(bearing(signed(t, jose.ES256, "good", key, nil)))
	g.admits(bearing(signed(t, jose.ES256, "sig", key, nil)))
}

func TestJWKS_AFileThatChangesIsReadAgain(t *testing.T) {
	first, second := newEC(t), newEC(t)
	path := fileOf(t, "jwks", keySet(t, public("k1", first)), 0o644)
	g := newGate(t, TokenAuth{JWKS: path})
	g.refuses(bearing(signed(t, jose.ES256, "k2", second, nil)))
	replaceFile(t, path, keySet(t, public("k2", second)))
	g.admits(bearing(signed(t, jose.ES256, "k2", second, nil)))
	g.refuses(bearing(signed(t, jose.ES256, "k1", first, nil)))
}

func TestJWKS_AnAnswerThatIsNoKeySetAdmitsNobody(t *testing.T) {
	key := newEC(t)
	for name, c := range map[string]struct {
		answer func(http.ResponseWriter, *http.Request, string)
		want   string
	}{
		"an error": {func(w http.ResponseWriter, _ *http.Request, _ string) { w.WriteHeader(500) }, "fetch keys: the answer is 500 Internal Server Error, not 200"},
		"a redirect": {func(w http.ResponseWriter, r *http.Request, set string) {
			if r.URL.Path == "/other" {
				serveSet(w, r, set)
				return
			}
			http.Redirect(w, r, "/other", http.StatusFound)
		}, "fetch keys: the answer is 302 Found, not 200; redirects are not followed"},
		"a page":     {func(w http.ResponseWriter, _ *http.Request, _ string) { _, _ = io.WriteString(w, "<html>") }, "fetch keys: the answer is no JSON of the form"},
		"other JSON": {func(w http.ResponseWriter, _ *http.Request, _ string) { _, _ = io.WriteString(w, `{"a": 1}`) }, "fetch keys: the answer holds no public key"},
		"no end": {func(w http.ResponseWriter, r *http.Request, _ string) {
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 4096)); err != nil {
					return
				}
			}
		}, "fetch keys: the answer has more than 262144 bytes"},
		"a cut": {func(http.ResponseWriter, *http.Request, string) { panic(http.ErrAbortHandler) }, "fetch keys: EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProvider(t, c.answer)
			set := keySet(t, public("k", key))
			p.set.Store(&set)
			g := p.gate(t)
			r := g.refuses(bearing(signed(t, jose.ES256, "k", key, forPush)))
			if r.Status != 503 || r.Final() || !strings.HasPrefix(attr(r, "error"), c.want) {
				t.Errorf("got %d %v", r.Status, r.Attrs)
			}
			g.log.await(t, EventKeys, "WARN", c.want, "hint=nobody is admitted by these keys until it can")
		})
	}
}

func TestJWKS_IsNotAskedForWhatAKeyOfOurOwnIsFor(t *testing.T) {
	key := newEC(t)
	auth, err := NewTokenAuth(TokenAuth{JWKS: "http://127.0.0.1:1/jwks", Audience: "push", Keys: []TokenKey{
		{Alg: "HS256", Secret: testSecret}, {ID: "ours", Alg: "ES256", PublicKeyFile: pemFile(t, "f", key.Public())},
	}}, nil, slog.New(&journal{}))
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{auth, t, &journal{}}
	g.admits(bearing(hs(t, forPush)))
	g.admits(bearing(signed(t, jose.ES256, "ours", key, forPush)))
	if r := g.refuses(bearing(signed(t, jose.HS256, "k", []byte(testSecret+"x"), forPush))); r.Status != 401 {
		t.Errorf("another secret: %d", r.Status)
	}
	if r := g.refuses(bearing(signed(t, jose.ES256, "theirs", newEC(t), forPush))); r.Status != 503 {
		t.Errorf("a key that is not ours: %d", r.Status)
	}
}

// network is a network of the test's own, since that of the system has no place
// in a bubble whose clock is the test's.
type network func(*http.Request) (string, error)

func (n network) RoundTrip(r *http.Request) (*http.Response, error) {
	text, err := n(r)
	if err != nil {
		return nil, err
	}
	return &http.Response{Status: "200 OK", StatusCode: 200, Body: io.NopCloser(strings.NewReader(text)), Header: http.Header{}, Request: r}, nil
}

func TestJWKS_IsFetchedAgainWhenThatMayHelpButNotByEveryToken(t *testing.T) {
	first, second := newEC(t), newEC(t)
	synctest.Test(t, func(t *testing.T) {
		set, fetched, down := keySet(t, public("k1", first)), 0, false
		log := &journal{}
		auth, err := NewTokenAuth(TokenAuth{JWKS: "https://id.test/jwks", Audience: "push"}, network(func(*http.Request) (string, error) {
			fetched++
			if down {
				return "", errors.New("the network is down")
			}
			return set, nil
		}), slog.New(log))
		if err != nil {
			t.Fatal(err)
		}
		g := &gate{auth, t, log}
		one, two := bearing(signed(t, jose.ES256, "k1", first, forPush)), bearing(signed(t, jose.ES256, "k2", second, forPush))
		fetches := func(want int, what string) {
			t.Helper()
			if fetched != want {
				t.Errorf("%s: fetched %d times, want %d", what, fetched, want)
			}
		}
		g.admits(one)
		fetches(1, "first token")
		if r := g.refuses(two); r.Status != 401 {
			t.Errorf("an unknown kid gets %d", r.Status)
		}
		fetches(1, "unknown kid at once")

		set = keySet(t, public("k1", first), public("k2", second))
		time.Sleep(keySetInterval)
		g.admits(two)
		fetches(2, "unknown kid after a while")
		for range 100 {
			g.refuses(bearing(signed(t, jose.ES256, "k3", second, forPush)))
		}
		fetches(2, "a flood of unknown kids")

		time.Sleep(keySetRefresh)
		set = keySet(t, public("k2", second))
		if r := g.refuses(one); r.Status != 401 {
			t.Errorf("a key that was withdrawn gets %d", r.Status)
		}
		fetches(3, "an hour later")

		down = true
		time.Sleep(keySetRefresh)
		g.admits(two)
		g.admits(two)
		fetches(4, "down, with keys that are there")
		if r := g.refuses(one); r.Status != 503 {
			t.Errorf("a kid that may be new gets %d", r.Status)
		}
		log.await(t, EventKeys, "WARN", "the network is down", "stay in use until they are 24h0m0s old")
		time.Sleep(keySetKeep - keySetRefresh)
		if r := g.refuses(two); r.Status != 503 {
			t.Errorf("keys of yesterday: %d", r.Status)
		}
		log.await(t, EventKeys, "WARN", "hint=nobody is admitted by these keys until it can")
		down = false
		if r := g.refuses(two); r.Status != 503 {
			t.Errorf("within the interval: %d", r.Status)
		}
		time.Sleep(keySetInterval)
		g.admits(two)
	})
}

func TestJWKS_ASlowFetchHoldsUpOnlyThoseWhoNeedIt(t *testing.T) {
	first, second := newEC(t), newEC(t)
	synctest.Test(t, func(t *testing.T) {
		set, stuck := keySet(t, public("k1", first)), false
		auth, err := NewTokenAuth(TokenAuth{JWKS: "https://id.test/jwks", Audience: "push"}, network(func(r *http.Request) (string, error) {
			if stuck {
				<-r.Context().Done()
				return "", r.Context().Err()
			}
			return set, nil
		}), slog.New(&journal{}))
		if err != nil {
			t.Fatal(err)
		}
		g := &gate{auth, t, &journal{}}
		one, two := bearing(signed(t, jose.ES256, "k1", first, forPush)), bearing(signed(t, jose.ES256, "k2", second, forPush))
		g.admits(one)
		stuck = true
		time.Sleep(keySetInterval)
		var clients sync.WaitGroup
		for range 3 { // the first fetches, the others wait for it
			clients.Go(func() {
				began := time.Now()
				if _, r := g.Authorize(two, nil); r == nil || r.Status != 503 || time.Since(began) != keySetTimeout {
					t.Errorf("after %s: %v", time.Since(began), r)
				}
			})
		}
		synctest.Wait()
		began := time.Now()
		g.admits(one)
		if waited := time.Since(began); waited != 0 {
			t.Errorf("whose key is there waited %s", waited)
		}
		clients.Wait()
	})
}

func FuzzParseKeySet(f *testing.F) {
	f.Add(`{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","kid":"a","use":"sig"}]}`)
	f.Add(`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},{"kty":"oct","k":"AAAA"}]}`)
	f.Add(`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"},{}]}`)
	f.Add(`[]`)
	f.Fuzz(func(t *testing.T, text string) {
		keys, err := parseKeySet([]byte(text))
		if (err == nil) != (len(keys) > 0) || len(keys) > maxSetKeys {
			t.Errorf("%d keys, %v", len(keys), err)
		}
		for _, k := range keys {
			if alg, err := algOf(k.key); err != nil || alg != k.alg {
				t.Errorf("%s: %v", k.alg, err)
			}
		}
	})
}
