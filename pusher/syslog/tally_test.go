package syslog

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestTally_TellsOnceInTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &journal{}
		tally := newTally(slog.New(slog.NewTextHandler(log, nil)))
		ctx, stop := context.WithCancel(t.Context())
		go tally.run(ctx) // ends by stop
		for range 1000 {
			tally.add(EventDropped, "full")
		}
		time.Sleep(9 * time.Second) // of the bubble
		if log.String() != "" {
			t.Errorf("after 9s: %s", log)
		}
		time.Sleep(2 * time.Second)
		if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "msg=syslog.dropped count=1000 reason=full") {
			t.Errorf("after 11s: %s", got)
		}
		time.Sleep(time.Minute)
		if got := log.String(); strings.Count(got, "\n") != 1 {
			t.Errorf("without anything new: %s", got)
		}
		stop()
	})
}
