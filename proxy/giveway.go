package proxy

import (
	"fmt"
	"os"
	"sync"
	"time"
)

// Sockets returns the sockets of all addresses, for another process to serve
// them, in which Adopt takes them. They are copies, for the caller to close. It is
// called after Listen.
func (s *Server) Sockets() ([]*os.File, error) {
	var files []*os.File
	for _, l := range s.listeners {
		f, err := l.Listener.(interface{ File() (*os.File, error) }).File()
		if err != nil {
			for _, f := range files {
				f.Close()
			}
			return nil, fmt.Errorf("hand over the socket of %s: %w", l.Addr(), err)
		}
		files = append(files, f)
	}
	return files, nil
}

// Hold has no connection accepted until Resume or GiveWay is called: who connects
// waits. Connections that there are go on being served.
func (s *Server) Hold() {
	s.holding.hold()
	s.setAcceptDeadline(aLongTimeAgo)
}

// Resume ends Hold.
func (s *Server) Resume() {
	s.setAcceptDeadline(time.Time{})
	s.holding.release()
}

func (s *Server) setAcceptDeadline(at time.Time) {
	for _, l := range s.listeners {
		// It fails only for a listener that is closed.
		_ = l.Listener.(interface{ SetDeadline(time.Time) error }).SetDeadline(at)
	}
}

// GiveWay tells Run that another process serves the addresses from now on. Nothing
// is accepted any more, what is idle is closed, and open requests and tunnels have
// UpgradeDrain to end by themselves, or until Run's context is done. It may be
// called more than once.
func (s *Server) GiveWay() { s.giveWay.Do(func() { close(s.givenWay) }) }

// upgradeDrain is that of the configuration in effect.
func (s *Server) upgradeDrain() time.Duration {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	return s.cfg.UpgradeDrain
}

// holding is whether connections are accepted.
type holding struct {
	mu   sync.Mutex
	over chan struct{} // closed when they are again; nil while they are
	last bool          // nothing is held any more
}

func (h *holding) hold() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over == nil && !h.last {
		h.over = make(chan struct{})
	}
}

func (h *holding) release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over != nil {
		close(h.over)
		h.over = nil
	}
}

// end releases for good, as the server ends.
func (h *holding) end() {
	h.mu.Lock()
	h.last = true
	h.mu.Unlock()
	h.release()
}

// wait returns when connections are accepted, or the server ends.
func (h *holding) wait() {
	h.mu.Lock()
	over := h.over
	h.mu.Unlock()
	if over != nil {
		<-over
	}
}
