package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"wsfront/cmd/internal/config"
	"wsfront/proxy"
	"wsfront/pusher"
)

// newPush runs the push service alone: a front without TLS whose only route is
// the push endpoint, so that it is one and the same service in both places.
func newPush() *cobra.Command {
	var (
		listen, path, channel, inbound, state, access, level string
		history                                              string
		origins                                              []string
		publish                                              publishFlags
	)
	cmd := &cobra.Command{
		Use:   "push",
		Short: "Run the push service alone, behind a tunnel of wsfront or of another proxy",
		Example: `  wsfront push --listen 127.0.0.1:9000 --path /websocket --channel board
  wsfront publish board "hello"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			endpoint := &pusher.Endpoint{Channel: channel, Inbound: pusher.Inbound(inbound), Origins: origins}
			if !cmd.Flags().Changed("channel") && strings.Contains(path, "{") {
				endpoint.Channel = ""
			}
			file := &config.File{
				Config: proxy.Config{Listen: proxy.Addresses{listen}, State: state, AccessLog: proxy.AccessLog{Format: proxy.AccessFormat(access)}},
				Sites: []config.Site{{
					Site:   proxy.Site{Hosts: []string{"*"}, TLS: proxy.TLS{Mode: proxy.TLSOff}},
					Routes: []config.Route{{Route: proxy.Route{Path: path}, Push: endpoint}},
				}},
				Log: config.Log{Level: level},
			}
			file.Push.Publish.Listen = publish.listen
			if err := file.Push.History.UnmarshalText([]byte(history)); err != nil {
				return fmt.Errorf("--history: %w", err)
			}
			if err := file.Validate(); err != nil {
				return inFlags(err, file, "--path")
			}
			return serve(cmd, func() (*config.File, error) { return file, nil }, publish, "--path", func() bool { return false })
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&listen, "listen", "127.0.0.1:9000", "`ADDR` at which clients connect")
	flags.StringVar(&path, "path", "/websocket", "`PATH` at which clients connect; /push/{channel} lets the client name the channel")
	flags.StringVar(&channel, "channel", "board", "channel `NAME` that clients listen to")
	flags.StringVar(&inbound, "inbound", "drop", "what becomes of messages from clients: drop, echo or publish")
	flags.StringArrayVar(&origins, "origin", nil, "`ORIGIN` of pages that may connect, such as https://app.example.com (repeatable; default pages of the host asked for)")
	flags.StringVar(&history, "history", config.HistoryMemory, "where what was published is kept: memory, or durable, in the state folder")
	flags.StringVar(&state, "state", "", "`DIR` for the publish key and a durable history (default "+proxy.DefaultState()+")")
	flags.StringVar(&access, "access-log", "off", "form of the access log on standard output: off, combined or json")
	flags.StringVar(&level, "log-level", "info", "least severe event on standard error: debug, info, warn or error")
	publish.add(cmd)
	return cmd
}
