package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"wsfront/cmd/internal/admin"
	"wsfront/cmd/internal/screen"
	"wsfront/proxy"
)

// newFailures tells why what failed last did.
func newFailures() *cobra.Command {
	var (
		f      stateFlags
		number int
		kind   string
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "failures",
		Short: "Say why the last handshakes, requests and TLS connections failed",
		Long: `Says why what failed last at the running server did, the newest first: when, for
which client and route, what happened, the cause, and what to do about it. Those
that are alike and follow each other are one, with their number.`,
		Example: `  wsfront failures
  wsfront failures --kind handshake -n 3`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case number < 1:
				return fmt.Errorf("-n %d: write how many are to be shown, such as -n 10", number)
			case !slices.Contains([]string{"", "handshake", "request", "tls"}, kind):
				return fmt.Errorf("--kind %q: write handshake, request or tls", kind)
			}
			dir, err := f.dir()
			if err != nil {
				return err
			}
			list, err := admin.GetFailures(cmd.Context(), dir)
			if err != nil {
				return err
			}
			if kind != "" {
				list.Failures = slices.DeleteFunc(list.Failures, func(f proxy.FailureState) bool { return f.Kind != kind })
			}
			list.Failures = list.Failures[:min(number, len(list.Failures))]
			return show(cmd, asJSON, list, func(s screen.Style) string { return s.Failures(time.Now(), list.Failures) })
		},
	}
	f.add(cmd)
	cmd.Flags().IntVarP(&number, "number", "n", 10, "show at most `N`")
	cmd.Flags().StringVar(&kind, "kind", "", "only those of a `KIND`: handshake (of a WebSocket), request or tls")
	cmd.Flags().BoolVar(&asJSON, "json", false, "write them as JSON")
	return cmd
}
