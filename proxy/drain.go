package proxy

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// ErrCut says that Run did not wait for everything to end by itself.
var ErrCut = errors.New("requests or tunnels were still open at the end of drain_timeout, and were cut")

// drainTimeout is that of the configuration in effect.
func (s *Server) drainTimeout() time.Duration {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	return s.cfg.DrainTimeout
}

// drain ends the service: no new connections, idle ones closed once those that
// have just come have said what they want, open requests finished. Once parting
// is done tunnels are told to go, and from then on it takes the time of
// DrainTimeout at most: what is open then is cut.
func (s *Server) drain(parting context.Context) error {
	begun := parting.Err() != nil
	if begun {
		s.log.Info(eventShutdown, "drain_timeout", s.drainTimeout())
	}
	s.closing.Store(true)
	for _, l := range s.listeners {
		l.Close()
	}
	s.holding.end()
	s.conns.newcomers.wait(min(s.drainTimeout(), newcomerGrace))
	s.draining.Store(true)
	defer s.cut()
	var cut atomic.Bool
	var requests sync.WaitGroup // all end with s.cutting
	requests.Go(func() {
		if s.conns.drain(s.cutting) != nil {
			cut.Store(true)
		}
	})
	if !begun { // or just then: a context is done a moment before those below it
		s.awaitParting(parting, &requests)
		s.log.Info(eventShutdown, "drain_timeout", s.drainTimeout())
	}
	s.stop()
	ending, cancel := context.WithTimeout(context.Background(), s.drainTimeout())
	defer cancel()
	defer context.AfterFunc(ending, s.cut)() // after cancel nobody is left to be cut
	if s.relay.Shutdown(ending) != nil {
		cut.Store(true)
	}
	requests.Wait()
	// A handshake that was just being answered has become a tunnel after the
	// others had been told. No request is open now that could become one more.
	if s.relay.Shutdown(ending) != nil {
		cut.Store(true)
	}
	s.messages.Wait()
	if cut.Load() {
		return ErrCut
	}
	return nil
}

// awaitParting returns when parting is done, or everything has ended before: at
// an upgrade that may take as long as a tunnel lives.
func (s *Server) awaitParting(parting context.Context, requests *sync.WaitGroup) {
	ended := make(chan struct{})
	go func() { // ends with what is open, which drain sees to
		defer close(ended)
		requests.Wait()
		if s.relay.Wait(parting) == nil {
			s.messages.Wait()
		}
	}()
	select {
	case <-parting.Done():
	case <-ended:
	}
}
