package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"wsfront/cmd/internal/screen"
	"wsfront/cmd/internal/top"
)

// newTop shows the running server live.
func newTop() *cobra.Command {
	var (
		f            stateFlags
		o            top.Options
		sort         string
		once, asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Show the running server live: rates, routes, tunnels, channels, failures",
		Long: `Shows the server that runs on this machine, anew each second: requests, messages
and bytes in a second, what is wrong, routes with their health, and one list at
a time: tunnels, channels, failures, routes. Tunnels can be closed there. Its
keys: tab for the next list, j and k or the arrows for a row, s for another order,
/ for a filter, x to close a tunnel, ? for help, q to end.

With --once it prints one frame, of two readings --interval apart, and ends; with
--json as well it prints all of it, for scripts.`,
		Example: `  wsfront top
  wsfront top --once
  wsfront top --once --json --interval 10s`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if o.Sort, err = top.ParseOrder(sort); err != nil {
				return err
			}
			o.Out = cmd.OutOrStdout()
			switch {
			case o.Interval < 100*time.Millisecond:
				return fmt.Errorf("--interval %v: write 100ms or more, such as 1s", o.Interval)
			case asJSON && !once:
				return errors.New("--json is for one frame: wsfront top --once --json")
			case !once && screen.For(o.Out).Width == 0:
				return errors.New("this is no terminal; for one frame as text: wsfront top --once")
			}
			if o.State, err = f.dir(); err != nil {
				return err
			}
			if once {
				return top.Once(cmd.Context(), o, asJSON)
			}
			return top.Run(cmd.Context(), o)
		},
	}
	f.add(cmd)
	cmd.Flags().DurationVar(&o.Interval, "interval", time.Second, "`TIME` between two readings")
	cmd.Flags().StringVar(&sort, "sort", "rate", "first the tunnels that move most now, are newest, moved most bytes or messages, or are idle for longest: `ORDER` is rate, age, bytes, messages or idle")
	cmd.Flags().BoolVar(&once, "once", false, "print one frame and end")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print it as JSON, with --once")
	return cmd
}
