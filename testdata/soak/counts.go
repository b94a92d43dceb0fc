package main

import (
	"fmt"
	"strings"
	"sync/atomic"
)

// counts are what the clients saw.
type counts struct {
	pages, pagesFailed         atomic.Int64
	mortalPages, mortalFailed  atomic.Int64 // of the backend that dies: those may fail
	uploads, uploadsFailed     atomic.Int64
	downloads, downloadsFailed atomic.Int64

	tunnelsOpen, echoes, tunnelsCut    atomic.Int64
	mortalTunnels                      atomic.Int64
	pushOpen, pushClients, messages    atomic.Int64
	resumed, gaps, lost, pushCut       atomic.Int64
	published, publishFailed           atomic.Int64
	reloads, reloadsFailed, kills      atomic.Int64
	unmeasured, dialsFailed, testifies atomic.Int64
}

// note counts a failure and tells of the first ones.
func (c *counts) note(counter *atomic.Int64, format string, args ...any) {
	counter.Add(1)
	if c.testifies.Add(1) <= 20 {
		fmt.Printf("  "+format+"\n", args...)
	}
}

// clean reports whether no client lost what it should have had, and that there
// was a load at all.
func (c *counts) clean(o options) bool {
	for _, failed := range []*atomic.Int64{&c.pagesFailed, &c.uploadsFailed, &c.downloadsFailed, &c.tunnelsCut, &c.gaps, &c.lost, &c.pushCut,
		&c.publishFailed, &c.reloadsFailed, &c.dialsFailed} {
		if failed.Load() > 0 {
			return false
		}
	}
	return c.pages.Load() > 0 && c.uploads.Load() > 0 && c.downloads.Load() > 0 && c.resumed.Load() > 0 && c.reloads.Load() > 0 &&
		c.kills.Load() > 0 && c.echoes.Load() >= int64(o.tunnels)
}

func (c *counts) String() string {
	var b strings.Builder
	row := func(what string, done, failed *atomic.Int64, failure string) {
		fmt.Fprintf(&b, "%-34s %10d   %s %d\n", what, done.Load(), failure, failed.Load())
	}
	row("pages", &c.pages, &c.pagesFailed, "failed")
	row("pages of the backend that dies", &c.mortalPages, &c.mortalFailed, "failed, as they may,")
	row("uploads", &c.uploads, &c.uploadsFailed, "failed")
	row("downloads", &c.downloads, &c.downloadsFailed, "failed")
	row("echoes through tunnels", &c.echoes, &c.tunnelsCut, "tunnels cut")
	row("tunnels to the backend that dies", &c.mortalTunnels, &c.dialsFailed, "connections refused to others")
	row("push clients", &c.pushClients, &c.pushCut, "cut")
	row("push messages received", &c.messages, &c.lost, "lost")
	row("push clients that resumed", &c.resumed, &c.gaps, "gaps")
	row("published", &c.published, &c.publishFailed, "failed")
	row("reloads", &c.reloads, &c.reloadsFailed, "failed")
	row("deaths of a backend", &c.kills, &c.unmeasured, "seconds without figures")
	return b.String()
}
