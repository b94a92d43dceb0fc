package top

import (
	"cmp"
	"context"
	"time"

	"wsfront/cmd/internal/admin"
	"wsfront/proxy"
)

const (
	// mostTunnels is how many tunnels a reading has at most. Where there are more it
	// has those that come first in the order asked for.
	mostTunnels = 10_000
	// patience is how long the server may take to answer all.
	patience = 5 * time.Second
)

// reading is what a server told at one moment.
type reading struct {
	status   admin.Status
	tunnels  admin.TunnelList
	channels admin.ChannelList
	failures []proxy.FailureState
}

// read asks the server of a state folder.
func read(ctx context.Context, state string, sort Order) (reading, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var r reading
	var errs [4]error
	r.tunnels, errs[0] = admin.GetTunnels(ctx, state, admin.TunnelQuery{Sort: sort.asked(), Limit: mostTunnels})
	r.status, errs[1] = admin.GetStatus(ctx, state)
	if r.status.Push != nil {
		r.channels, errs[2] = admin.GetChannels(ctx, state)
	}
	var failures admin.FailureList
	failures, errs[3] = admin.GetFailures(ctx, state)
	r.failures = failures.Failures
	return r, cmp.Or(errs[0], errs[1], errs[2], errs[3])
}
