package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"wsfront/cmd/internal/admin"
	"wsfront/cmd/internal/screen"
)

// newTunnels lists the tunnels that are open.
func newTunnels() *cobra.Command {
	var (
		f      stateFlags
		q      admin.TunnelQuery
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "tunnels",
		Short: "List the tunnels that are open, and how much each moved",
		Long: `Lists the tunnels that are open at the running server: the client, the route,
since when, for how long nothing moved, messages and bytes each way, and how long
the client took to answer the last ping. Push clients are not among them: wsfront
status counts those.`,
		Example: `  wsfront tunnels
  wsfront tunnels --sort bytes --limit 10
  wsfront tunnels kill ID`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case !slices.Contains([]string{"age", "bytes", "messages", "idle"}, q.Sort):
				return fmt.Errorf("--sort %q: write age, bytes, messages or idle", q.Sort)
			case q.Limit < 0:
				return fmt.Errorf("--limit %d: write how many are to be shown, such as 100", q.Limit)
			}
			dir, err := f.dir()
			if err != nil {
				return err
			}
			list, err := admin.GetTunnels(cmd.Context(), dir, q)
			if err != nil {
				return err
			}
			return show(cmd, asJSON, list, func(s screen.Style) string { return s.Tunnels(time.Now(), list, q.Route) })
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&q.Sort, "sort", "age", "first those of the least age, or of the most bytes, messages or idle time: `ORDER` is age, bytes, messages or idle")
	cmd.Flags().StringVar(&q.Route, "route", "", "only those of a `ROUTE`, by its path or match")
	cmd.Flags().IntVar(&q.Limit, "limit", 0, "at most `N` (default as many as the server gives: 1000)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "write them as JSON")
	cmd.AddCommand(newTunnelsKill())
	return cmd
}

// newTunnelsKill closes tunnels.
func newTunnelsKill() *cobra.Command {
	var f stateFlags
	cmd := &cobra.Command{
		Use:   "kill ID...",
		Short: "Close tunnels",
		Long: `Closes tunnels by their ids, as wsfront tunnels lists them: both sides get a Close
with 1001. The exit status is 1 if one of them is not open.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, ids []string) error {
			dir, err := f.dir()
			if err != nil {
				return err
			}
			var failed []error
			for _, id := range ids {
				err := admin.CloseTunnel(cmd.Context(), dir, id)
				switch {
				case err == nil:
					fmt.Fprintln(cmd.OutOrStdout(), "closed", screen.Clean(id))
				case !slices.ContainsFunc(failed, func(other error) bool { return other.Error() == err.Error() }): // such as that no server runs
					failed = append(failed, err)
				}
			}
			return errors.Join(failed...)
		},
	}
	f.add(cmd)
	return cmd
}
