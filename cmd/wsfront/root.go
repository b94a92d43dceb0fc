package main

import (
	"fmt"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "wsfront",
		Short: "A front door for your web app: https, forwarding, WebSocket tunnels and live push",
		Long: `wsfront stands in front of a web application. It ends TLS with certificates it
obtains and renews by itself, forwards plain requests to the application,
tunnels WebSocket handshakes to a push service, and is that push service too.`,
		Example: `  wsfront demo
  wsfront run --host review.example.com --app http://127.0.0.1:8080 --push /websocket
  wsfront publish board "hello, everybody"
  wsfront check --config wsfront.yaml
  wsfront doctor wss://review.example.com/websocket`,
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetVersionTemplate("wsfront {{.Version}}\n")
	root.AddCommand(newRun(), newPush(), newPublish(), newCheck(), newDoctor(), newImport(), newStatus(), newTop(), newTunnels(), newFailures(), newCertificates(), newReload(), newUpgrade(), newHealth(), newTrust(), newDemo(), newMan())
	return root
}

// newMan writes the manual, which packages install.
func newMan() *cobra.Command {
	return &cobra.Command{
		Use:   "man DIR",
		Short: "Write the manual pages into a folder",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cmd.Root().DisableAutoGenTag = true
			date := time.Unix(0, 0) // the same bytes from the same source
			header := &doc.GenManHeader{Title: "WSFRONT", Section: "1", Source: "wsfront", Date: &date}
			if err := doc.GenManTree(cmd.Root(), header, args[0]); err != nil {
				return fmt.Errorf("write the manual pages: %w", err)
			}
			return nil
		},
	}
}

// version is the module's version as the build recorded it.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "devel"
	}
	return info.Main.Version
}
