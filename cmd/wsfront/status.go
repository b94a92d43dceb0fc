package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"wsfront/cmd/internal/admin"
	"wsfront/cmd/internal/config"
	"wsfront/cmd/internal/screen"
)

// dir is the state folder of the server that is meant. The file is not read where
// the folder is named. One that has mistakes is asked for the folder alone: the
// server that runs has another configuration, and may have refused this one.
func (f *stateFlags) dir() (string, error) {
	if f.state != "" {
		return f.state, nil
	}
	file, err := f.file()
	var mistakes config.Problems
	switch {
	case errors.As(err, &mistakes):
		return config.StateDirOf(f.name()), nil
	case err != nil:
		return "", fmt.Errorf("%w\nthe state folder can be named in place of the file: --state DIR", err)
	}
	return file.StateDir(), nil
}

// show writes what was asked, as JSON or for a person.
func show(cmd *cobra.Command, asJSON bool, answer any, text func(screen.Style) string) error {
	out := cmd.OutOrStdout()
	var err error
	if asJSON {
		err = screen.WriteJSON(out, answer)
	} else {
		_, err = io.WriteString(out, text(screen.For(out)))
	}
	if err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	return nil
}

// newStatus shows how the running server fares.
func newStatus() *cobra.Command {
	var (
		f      stateFlags
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show how the running server fares, on one screen",
		Long: `Shows how the server that runs on this machine fares: whether it is ready, and
first of all what is wrong and what to do about it; its configuration,
connections, requests, tunnels and push clients; its routes, certificates and
what failed last.

The exit status is 0 if it answers, ready or not: wsfront health is for checks.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := f.dir()
			if err != nil {
				return err
			}
			status, err := admin.GetStatus(cmd.Context(), dir)
			if err != nil {
				return err
			}
			return show(cmd, asJSON, status, func(s screen.Style) string { return s.Status(status) })
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "write it as JSON")
	return cmd
}
