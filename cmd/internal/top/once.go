package top

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"wsfront/cmd/internal/screen"
)

// someTunnels is how many tunnels a frame as text has at most; as JSON it has all
// that were listed.
const someTunnels = 50

// Once reads twice, an interval apart, and writes one frame, as text or as JSON.
func Once(ctx context.Context, o Options, asJSON bool) error {
	before, err := read(ctx, o.State, o.Sort)
	if err != nil {
		return err
	}
	timer := time.NewTimer(o.Interval)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	now, err := read(ctx, o.State, o.Sort)
	if err != nil {
		return err
	}
	f := newFrame(&before, now)
	sortTunnels(f.Tunnels, o.Sort)
	sortRoutes(f.Routes)
	if asJSON {
		err = screen.WriteJSON(o.Out, f)
	} else {
		_, err = io.WriteString(o.Out, f.text(screen.For(o.Out)))
	}
	if err != nil {
		return fmt.Errorf("write the frame: %w", err)
	}
	return nil
}

// text is the frame for a person, from top to bottom.
func (f *Frame) text(style screen.Style) string {
	lines := append(f.head(style), f.wrong(style)...)
	part := func(rows int, t *screen.Table) {
		if rows > 0 {
			lines = append(lines, "")
			lines = append(lines, t.Lines(style)...)
		}
	}
	part(len(f.Routes), routeTable(f.Routes))
	shown := f.Tunnels[:min(len(f.Tunnels), someTunnels)]
	part(len(shown), f.tunnelTable(shown))
	if more := f.Open - len(shown); more > 0 {
		lines = append(lines, fmt.Sprintf("... and %s more", screen.Count(more)))
	}
	part(len(f.Channels), channelTable(f.Channels))
	part(len(f.Failures), f.failureTable(f.Failures))
	return strings.Join(lines, "\n") + "\n"
}
