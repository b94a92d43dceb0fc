package proxy

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// maxKnownNames bounds what is known of single names: those of certificates on
// demand are the clients' to choose.
const maxKnownNames = 1000

// certAccount is what came of asking CAs for certificates. It may be used
// concurrently.
type certAccount struct {
	obtained, renewed, failed atomic.Uint64

	mu       sync.Mutex
	failures map[string]certFailure // the last one of a name, until it has a new certificate
	loaded   map[string]bool        // names whose certificate has been loaded
}

// certFailure is why there is no new certificate for a name.
type certFailure struct {
	at          time.Time
	error, hint string
	retry       time.Duration // when the next try follows; 0 where certmagic times it
}

func newCertAccount() *certAccount {
	return &certAccount{failures: map[string]certFailure{}, loaded: map[string]bool{}}
}

// fail counts a failure, and keeps it in mind. Where there are too many, the
// oldest is forgotten.
func (a *certAccount) fail(name string, f certFailure) {
	a.failed.Add(1)
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, known := a.failures[name]; !known && len(a.failures) >= maxKnownNames {
		delete(a.failures, slices.MinFunc(slices.Collect(maps.Keys(a.failures)), func(x, y string) int {
			return a.failures[x].at.Compare(a.failures[y].at)
		}))
	}
	a.failures[name] = f
}

// succeed forgets the failure of a name.
func (a *certAccount) succeed(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.failures, name)
}

// failure is the last one of a name, if it counts still.
func (a *certAccount) failure(name string) (certFailure, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f, ok := a.failures[name]
	return f, ok
}

// load notes that the certificate of a name has been loaded.
func (a *certAccount) load(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.loaded) < maxKnownNames {
		a.loaded[name] = true
	}
}

// unload notes that it is there no more.
func (a *certAccount) unload(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.loaded, name)
}

// names are those whose certificate has been loaded, in order.
func (a *certAccount) names() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Sorted(maps.Keys(a.loaded))
}

// next says when the next try is, behind what to do about the last one.
func (f certFailure) next() string {
	if f.retry == 0 {
		return ""
	}
	return "; the next try is at " + f.at.Add(f.retry).Format(time.DateTime)
}
