package pusher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	// maxKeySet is the length of the longest key set in bytes.
	maxKeySet = 256 << 10
	// maxSetKeys is how many keys of a set are used.
	maxSetKeys = 100
	// keySetTimeout is how long the fetch of a key set may take.
	keySetTimeout = 5 * time.Second
	// keySetInterval is the time between two fetches: anybody can send tokens
	// that name a key which is not there.
	keySetInterval = 10 * time.Second
	// keySetRefresh is the age at which a key set is fetched again.
	keySetRefresh = time.Hour
	// keySetKeep is the age up to which a key set that cannot be fetched again
	// goes on serving.
	keySetKeep = 24 * time.Hour
)

// parseKeySet reads the public keys of a JWK set (RFC 7517 §5). Keys that are
// for something else, or of a kind that is not known here, are passed over. So
// are secrets: what a URL says must not make tokens that everybody can forge.
func parseKeySet(text []byte) ([]verifyKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, errors.New(`is no JSON of the form {"keys": [...]}`)
	}
	var keys []verifyKey
	for _, item := range set.Keys {
		var k jose.JSONWebKey
		if k.UnmarshalJSON(item) != nil || k.Use != "" && k.Use != "sig" {
			continue
		}
		alg, err := algOf(k.Key)
		if err != nil || k.Algorithm != "" && k.Algorithm != alg {
			continue
		}
		if len(keys) == maxSetKeys {
			break
		}
		keys = append(keys, verifyKey{k.KeyID, alg, k.Key})
	}
	if len(keys) == 0 {
		return nil, errors.New("holds no public key for ES256, EdDSA or RS256")
	}
	return keys, nil
}

// remoteKeys is a key set that is fetched from a URL, by those who need it.
type remoteKeys struct {
	url    string
	source string // the URL without its query, for the log
	client http.Client
	log    *slog.Logger

	mu      sync.Mutex
	keys    []verifyKey
	fetched time.Time     // when keys were fetched
	tried   time.Time     // when the last fetch began
	failed  error         // of the last fetch
	flight  chan struct{} // closed at the end of the fetch under way; nil: none
}

func newRemoteKeys(source string, fetch http.RoundTripper, log *slog.Logger) *remoteKeys {
	r := &remoteKeys{url: source, source: source, log: log}
	if u, err := url.Parse(source); err == nil {
		u.RawQuery = ""
		r.source = u.String()
	}
	r.client = http.Client{Transport: fetch, Timeout: keySetTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return r
}

// find gives the keys that a token of this kid and alg may be signed with. It
// fetches the set when that may help; whoever finds its key in what is there
// does not wait for the fetch of another.
func (r *remoteKeys) find(ctx context.Context, kid, alg string) ([]verifyKey, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	found := r.usable(now, kid, alg)
	switch {
	case r.flight == nil && (len(found) == 0 || now.Sub(r.fetched) >= keySetRefresh) && now.Sub(r.tried) >= keySetInterval:
		r.refresh(ctx, now)
	case r.flight != nil && len(found) == 0:
		flight := r.flight
		r.mu.Unlock()
		select {
		case <-flight:
		case <-ctx.Done():
		}
		r.mu.Lock()
	}
	if found = r.usable(time.Now(), kid, alg); len(found) > 0 || r.failed == nil && ctx.Err() == nil {
		return found, nil
	}
	return nil, errors.Join(r.failed, ctx.Err())
}

// usable gives the keys that are there and not too old. r.mu is held.
func (r *remoteKeys) usable(now time.Time, kid, alg string) []verifyKey {
	if now.Sub(r.fetched) >= keySetKeep {
		return nil
	}
	return matching(nil, r.keys, kid, alg)
}

// refresh fetches the set. r.mu is held, but not meanwhile.
func (r *remoteKeys) refresh(ctx context.Context, now time.Time) {
	flight := make(chan struct{})
	r.flight, r.tried = flight, now
	r.mu.Unlock()
	// Others wait for it, whose clients may stay when this one leaves.
	keys, err := r.fetch(context.WithoutCancel(ctx))
	r.mu.Lock()
	r.flight, r.failed = nil, err
	close(flight)
	if err != nil {
		hint := "nobody is admitted by these keys until it can"
		if now.Sub(r.fetched) < keySetKeep {
			hint = "the keys fetched at " + r.fetched.Format(time.RFC3339) + " stay in use until they are " + keySetKeep.String() + " old"
		}
		r.log.Warn(EventKeys, "source", r.source, "error", err.Error(), "hint", hint)
		return
	}
	same := slices.EqualFunc(keys, r.keys, func(a, b verifyKey) bool { return a.id == b.id && a.alg == b.alg })
	r.keys, r.fetched = keys, now
	if !same {
		r.log.Info(EventKeys, "source", r.source, "keys", len(keys))
	}
}

// fetch gets the set.
func (r *remoteKeys) fetch(ctx context.Context) ([]verifyKey, error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url, nil)
	if err != nil {
		return nil, fmt.Errorf("fetch keys: %w", err)
	}
	q.Header.Set("Accept", "application/jwk-set+json, application/json")
	answer, err := r.client.Do(q)
	if err != nil {
		var at *url.Error // names the URL with its query
		if errors.As(err, &at) {
			err = at.Err
		}
		return nil, fmt.Errorf("fetch keys: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetch keys: the answer is %s, not 200; redirects are not followed", answer.Status)
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxKeySet+1))
	if err != nil {
		return nil, fmt.Errorf("fetch keys: %w", err)
	}
	if len(text) > maxKeySet {
		return nil, fmt.Errorf("fetch keys: the answer has more than %d bytes", maxKeySet)
	}
	keys, err := parseKeySet(text)
	if err != nil {
		return nil, fmt.Errorf("fetch keys: the answer %w", err)
	}
	return keys, nil
}
