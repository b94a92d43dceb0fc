package pusher

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// keyLookInterval is how often key files are looked at, at most.
const keyLookInterval = time.Second

// accessKeys are the keys of the publish API, those in files as the files are
// now.
type accessKeys struct {
	log   *slog.Logger
	keys  []*accessKey
	sums  atomic.Pointer[[]keySum]
	begin time.Time
	files bool         // any key has one
	next  atomic.Int64 // when to look at them again, after begin

	mu sync.Mutex // of accessKey.secrets and seen
}

// accessKey is a Key with what its file held when it was last read.
type accessKey struct {
	Key
	secrets []string
	seen    os.FileInfo // nil when the file was not there
}

// keySum stands for one valid secret.
type keySum struct {
	sum [sha256.Size]byte
	key *Key
}

// newAccessKeys reads the files of keys.
func newAccessKeys(keys []Key, log *slog.Logger) (*accessKeys, error) {
	a := &accessKeys{log: log, begin: time.Now()}
	for _, key := range keys {
		k := &accessKey{Key: key}
		if key.KeyFile != "" {
			a.files = true
			k.seen, _ = os.Stat(key.KeyFile)
			var err error
			if k.secrets, err = readKeys(key.KeyFile); err != nil {
				return nil, err
			}
		} else if key.Secret != "" {
			k.secrets = []string{key.Secret}
		}
		a.keys = append(a.keys, k)
	}
	a.next.Store(int64(keyLookInterval))
	return a, a.gather()
}

// gather puts the secrets in place. One that two keys have is an error, as it
// would say nothing about who has come.
func (a *accessKeys) gather() error {
	var sums []keySum
	owner := map[[sha256.Size]byte]*Key{}
	for _, k := range a.keys {
		for _, secret := range k.secrets {
			sum := sha256.Sum256([]byte(secret))
			if other := owner[sum]; other != nil && other != &k.Key {
				return fmt.Errorf("the keys %s and %s have a secret in common; make another for one of them", other.Name, k.Name)
			}
			owner[sum] = &k.Key
			sums = append(sums, keySum{sum, &k.Key})
		}
	}
	a.sums.Store(&sums)
	return nil
}

// find is the key with this secret, or nil. Hashing makes all of the same
// length, and all are compared, so that the time tells neither a length nor a
// content, nor which key was nearly right.
func (a *accessKeys) find(secret string) *Key {
	if a.files {
		a.look()
	}
	var room [64]byte // keys that this program makes need no memory of their own
	sum := sha256.Sum256(append(room[:0], secret...))
	var found *Key
	sums := *a.sums.Load()
	for i := range sums {
		if subtle.ConstantTimeCompare(sums[i].sum[:], sum[:]) == 1 {
			found = sums[i].key
		}
	}
	return found
}

// look reads the files that have changed, once in keyLookInterval. Requests that
// come meanwhile go by what was known before.
func (a *accessKeys) look() {
	now := int64(time.Since(a.begin))
	next := a.next.Load()
	if now < next || !a.next.CompareAndSwap(next, now+int64(keyLookInterval)) || !a.mu.TryLock() {
		return
	}
	defer a.mu.Unlock()
	for _, k := range a.keys {
		if k.KeyFile != "" {
			a.lookAt(k)
		}
	}
}

// lookAt reads a key's file if it has changed. What cannot be used changes
// nothing.
func (a *accessKeys) lookAt(k *accessKey) {
	now, _ := os.Stat(k.KeyFile)
	if sameFile(k.seen, now) {
		return
	}
	before := k.secrets
	k.seen = now
	secrets, err := readKeys(k.KeyFile)
	if err == nil {
		k.secrets = secrets
		err = a.gather()
	}
	attrs := []slog.Attr{slog.String("key", k.Name), slog.String("file", k.KeyFile)}
	if err != nil {
		k.secrets = before
		a.log.LogAttrs(context.Background(), slog.LevelWarn, EventPublishKey, append(attrs, slog.String("error", err.Error()),
			slog.String("hint", "what was read before stays valid; to withdraw a key, put another in its place"))...)
		return
	}
	a.log.LogAttrs(context.Background(), slog.LevelInfo, EventPublishKey, append(attrs, slog.Int("secrets", len(secrets)))...)
}

// sameFile reports whether a file is as it was. Symbolic links are followed: what
// hands out secrets often swaps those.
func sameFile(a, b os.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime()) && a.Mode() == b.Mode()
}
