package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"wsfront/cmd/internal/admin"
	"wsfront/cmd/internal/config"
	"wsfront/proxy"
)

// stateFlags say which state folder is meant.
type stateFlags struct{ config, state string }

func (f *stateFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.config, "config", "c", "", "configuration `FILE` that names the state folder")
	cmd.Flags().StringVar(&f.state, "state", "", "`DIR`, the state folder (default "+proxy.DefaultState()+")")
}

// folder is the one named, or that of the file named or found.
func (f *stateFlags) folder() (string, error) {
	if f.state != "" {
		return f.state, nil
	}
	if f.config == "" {
		f.config, _ = config.Find() // without a file the default holds
	}
	if f.config == "" {
		return proxy.DefaultState(), nil
	}
	file, err := config.Load(f.config)
	if err != nil {
		return "", err
	}
	return file.StateDir(), nil
}

func newReload() *cobra.Command {
	var f stateFlags
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Make the running server read its configuration again",
		Long: `Makes the running server read its configuration file again, and says how that
went. A file with mistakes is refused: they are printed, the exit status is 1,
and the old configuration goes on serving.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			state, err := f.folder()
			if err != nil {
				return err
			}
			if err := admin.Reload(cmd.Context(), state); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), "reloaded")
			return nil
		},
	}
	f.add(cmd)
	return cmd
}

func newTrust() *cobra.Command {
	var f stateFlags
	cmd := &cobra.Command{
		Use:   "trust",
		Short: "Say how to make browsers trust certificates of tls: internal",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			state, err := f.folder()
			if err != nil {
				return err
			}
			_, path, err := proxy.InternalCA(state)
			if err != nil {
				return err
			}
			fmt.Fprint(cmd.OutOrStdout(), trustText(path))
			return nil
		},
	}
	f.add(cmd)
	return cmd
}

// trustText tells, for each kind of machine, how a root certificate is trusted.
func trustText(path string) string {
	return `The certificates of tls: internal are signed by this root:

  ` + path + `

Trust it on the machines of those who test, never elsewhere: whoever has the key
beside it can then pose as any site to them.

  Debian, Ubuntu   sudo cp ` + path + ` /usr/local/share/ca-certificates/wsfront.crt && sudo update-ca-certificates
  Fedora, RHEL     sudo trust anchor ` + path + `
  macOS            sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain ` + path + `
  Windows          certutil -addstore -f ROOT wsfront.crt   (as administrator, with a copy of the file)
  Chromium (Linux) certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n wsfront -i ` + path + `
  Firefox          Settings, Certificates, View Certificates, Authorities, Import
  curl             curl --cacert ` + path + ` https://...
`
}
