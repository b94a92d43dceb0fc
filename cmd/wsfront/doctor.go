package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"wsfront/cmd/internal/config"
	"wsfront/cmd/internal/doctor"
)

// newDoctor says why a WebSocket cannot be opened.
func newDoctor() *cobra.Command {
	var (
		o      doctor.Options
		file   string
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "doctor [URL]",
		Short: "Say why a WebSocket cannot be opened, or does not stay open",
		Long: `Opens a WebSocket as a browser does, step by step, against any server, and names
the one most likely cause of what fails, with what was seen and the lines to
write. Without a URL it takes those of the configuration, and asks the backends
directly as well. With https:// in place of wss:// it reads an event stream.

The exit status is 0 without a finding, 1 for wrong usage, 2 for the network,
3 for TLS, 4 for the handshake, 5 for what comes behind it, and 6 for the page.`,
		Example: `  wsfront doctor wss://app.example.com/websocket
  wsfront doctor wss://app.example.com/websocket --idle 90s
  wsfront doctor wss://app.example.com/websocket --page https://app.example.com/
  wsfront doctor --config /etc/wsfront/wsfront.yaml`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				o.URL = args[0]
			}
			if file == "" && o.URL == "" {
				var err error
				if file, err = config.Find(); err != nil {
					return fmt.Errorf("%w; or name a URL: wsfront doctor wss://app.example.com/websocket", err)
				}
			}
			if file != "" {
				var err error
				if o.Config, err = config.Load(file); err != nil {
					return err
				}
				o.ConfigName = file
			}
			report, err := doctor.Run(cmd.Context(), o)
			if err != nil {
				return err
			}
			return writeReport(cmd, report, asJSON)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&file, "config", "c", "", "configuration `FILE` whose routes and backends are asked (without a URL: default ./wsfront.yaml, then /etc/wsfront/wsfront.yaml)")
	flags.DurationVar(&o.Idle, "idle", 0, "stay silent for this long, and tell when the tunnel is cut")
	flags.StringVar(&o.Page, "page", "", "`URL` of the page that opens the WebSocket, to be looked through for ws://")
	flags.StringVar(&o.Origin, "origin", "", "`ORIGIN` of the page (default that of the URL)")
	flags.StringVar(&o.Subprotocol, "subprotocol", "", "subprotocol `NAME` that the page offers")
	flags.StringArrayVar(&o.Resolve, "resolve", nil, "`HOST:ADDRESS` to use in place of DNS (repeatable)")
	flags.StringVar(&o.CA, "ca", "", "PEM `FILE` of a CA to trust beside the system's")
	flags.DurationVar(&o.Timeout, "timeout", doctor.DefaultTimeout, "the most that all may take, --idle not counted")
	flags.BoolVar(&asJSON, "json", false, "write the report as JSON")
	return cmd
}

func writeReport(cmd *cobra.Command, report *doctor.Report, asJSON bool) error {
	out := cmd.OutOrStdout()
	var err error
	if asJSON {
		encoder := json.NewEncoder(out)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(report)
	} else {
		err = report.Print(out, isTerminal(out) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb")
	}
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	if report.Exit != 0 {
		return exitStatus(report.Exit)
	}
	return nil
}
