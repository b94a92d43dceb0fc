package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"wsfront/cmd/internal/config"
)

func newRun() *cobra.Command {
	var f frontFlags
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Serve, by a configuration file or by flags",
		Long: `Serves until it is told to stop. SIGHUP, or wsfront reload, reads the
configuration file again: open requests are not touched, nor are tunnels unless
their route is gone, and a file with mistakes is refused while the old
configuration goes on serving. Both, and SIGUSR1 alone, open the file of
access_log anew, as logrotate needs it. SIGUSR2, or wsfront upgrade, has the
program that is installed now take this one's place.
SIGINT and SIGTERM let open requests finish, for as long as drain_timeout says.

The exit status is 0 after such an end, 3 if something was still open and had to
be cut, and 1 after a failure.

Under systemd, sockets that a socket unit opened are served where their address
is one of the configuration, and the service tells when it is ready, reloads and
stops, and for WatchdogSec= that it is alive.`,
		Example: `  wsfront run
  wsfront run --config /etc/wsfront/wsfront.yaml
  wsfront run --host review.example.com --app http://127.0.0.1:8080 --push /websocket
  wsfront run --tls internal --host app.test --app http://127.0.0.1:8000 --tunnel /chat=ws://127.0.0.1:9000`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serve(cmd, func() (*config.File, error) { return f.file(cmd) }, f.publish, "--push", func() bool { return f.config != "" })
		},
	}
	f.add(cmd)
	return cmd
}

func newCheck() *cobra.Command {
	var f frontFlags
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Say what is wrong with a configuration, without serving",
		Long: `Reads the configuration and names every mistake with its line. Then tries what
can be tried without serving: are folders and certificates readable, ports free,
backends there. What fails there is a warning, since it may be right by the time
wsfront runs.

The exit status is 0 without mistakes, even with warnings, else 1.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			file, err := f.file(cmd)
			if err != nil {
				return err
			}
			for _, w := range config.Probe(cmd.Context(), file) {
				fmt.Fprintln(cmd.OutOrStdout(), "warning:", w)
			}
			name := f.config
			if name == "" {
				name = "the configuration"
			}
			fmt.Fprintln(cmd.OutOrStdout(), name, "is valid")
			return nil
		},
	}
	f.add(cmd)
	return cmd
}
