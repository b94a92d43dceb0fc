package natsbroker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"wsfront/pusher"
)

const (
	// criticalError is in what the server says when a write to the store has
	// failed. It takes no message from then on, for as long as it lives, and does
	// not answer who sends one.
	criticalError = "critical write error: "
	// mendPause is how long to wait before the store is tried again.
	mendPause = time.Second
	// mendRoom is how much room there must be in it: for the longest message, and
	// for what the server writes as it starts.
	mendRoom = 2 * maxPayload
)

// judge hears of what the server reports.
func (e *embedded) judge(detail string) {
	_, cause, critical := strings.Cut(detail, criticalError)
	if !critical {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.fault == nil {
		e.fault = fmt.Errorf("store: it cannot be written (%s); make room there, and it goes on by itself", cause)
		e.broken <- e.fault
	}
}

// failing is why no message can be stored at the moment, or nil. A nil embedded
// has no such reason.
func (e *embedded) failing() error {
	if e == nil {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.fault
}

// mend has another server take the place of one whose store could not be
// written, once it can be, until ctx is done. What was acknowledged is there
// again; the broker's connection is made anew by itself.
func (e *embedded) mend(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case err := <-e.broken:
			e.log.Error(pusher.EventStoreBroken, "error", err)
		}
		for down := false; ; {
			err := e.tryRoom()
			if err == nil && !down {
				e.shutdown()
				down = true
			}
			if err == nil {
				e.setFault(nil) // before: the new one may have its own
				err = e.start()
			}
			if err == nil {
				break
			}
			e.setFault(fmt.Errorf("store: it cannot be written: %w", err))
			select {
			case <-ctx.Done():
				return
			case <-time.After(mendPause):
			}
		}
		e.log.Info(pusher.EventStoreMended)
	}
}

func (e *embedded) setFault(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.fault = err
}

// tryRoom writes as much as is needed to go on.
func (e *embedded) tryRoom() error {
	f, err := os.CreateTemp(e.options.StoreDir, "room-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(make([]byte, mendRoom))
	return errors.Join(err, f.Sync(), f.Close())
}
