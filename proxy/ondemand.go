package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// Times of certificates on demand.
const (
	onDemandPause = 5 * time.Minute // after a failure, before the same name is tried again
	askTimeout    = 5 * time.Second
)

// maxPauses bounds the memory of names that failed: the client chooses them.
const maxPauses = 10000

// onDemandGuard decides for which names first heard of in a handshake a
// certificate may be ordered.
type onDemandGuard struct {
	log    certLog
	client *http.Client

	mu     sync.Mutex
	ask    string
	paused map[string]time.Time // until when
}

func newOnDemandGuard(log certLog) *onDemandGuard {
	return &onDemandGuard{
		log: log,
		client: &http.Client{
			Timeout:       askTimeout,
			Transport:     &http.Transport{DisableKeepAlives: true},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // 200 or nothing
		},
		paused: map[string]time.Time{},
	}
}

// setAsk changes the URL that is asked.
func (g *onDemandGuard) setAsk(ask string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ask = ask
}

// pause keeps a name that failed from being ordered again at every handshake,
// which would use up the CA's rate limit.
func (g *onDemandGuard) pause(name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.paused) >= maxPauses {
		clear(g.paused)
	}
	g.paused[name] = time.Now().Add(onDemandPause)
}

// allowed returns nil when a certificate may be ordered for the name.
func (g *onDemandGuard) allowed(ctx context.Context, name string) error {
	g.mu.Lock()
	until, ask := g.paused[name], g.ask
	g.mu.Unlock()
	if time.Now().Before(until) {
		return fmt.Errorf("the last try failed; the next may begin at %s", until.Format(time.TimeOnly))
	}
	if ask == "" {
		return errors.New("acme.on_demand.ask is not set")
	}
	u, err := url.Parse(ask)
	if err != nil {
		return fmt.Errorf("acme.on_demand.ask: %w", err)
	}
	query := u.Query()
	query.Set("domain", name)
	u.RawQuery = query.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return fmt.Errorf("acme.on_demand.ask: %w", err)
	}
	response, err := g.client.Do(request)
	if err != nil {
		g.log.Warn(eventCertAskFailed, "name", name, "error", err.Error(),
			"hint", "new names get no certificate until the service at acme.on_demand.ask answers")
		return fmt.Errorf("ask whether the name may have a certificate: %w", err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s, not 200", ask, response.Status)
	}
	return nil
}
