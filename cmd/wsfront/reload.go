package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"wsfront/cmd/internal/admin"
	"wsfront/cmd/internal/config"
	"wsfront/proxy"
)

// stateFlags say which server is meant, by its configuration file or its state
// folder.
type stateFlags struct{ config, state string }

func (f *stateFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.config, "config", "c", "", "configuration `FILE` of the server (default ./wsfront.yaml, then /etc/wsfront/wsfront.yaml, where there is one)")
	cmd.Flags().StringVar(&f.state, "state", "", "`DIR`, the server's state folder (default the file's, else "+proxy.DefaultState()+")")
}

// name is that of the file that was named or found, or "".
func (f *stateFlags) name() string {
	if f.config != "" {
		return f.config
	}
	found, _ := config.Find() // none is no mistake: see file
	return found
}

// file is the one named or found, or an empty one: then the defaults hold, as
// they do for a server that runs by flags.
func (f *stateFlags) file() (*config.File, error) {
	file := &config.File{}
	if name := f.name(); name != "" {
		var err error
		if file, err = config.Load(name); err != nil {
			return nil, err
		}
	}
	if f.state != "" {
		file.State = f.state
	}
	return file, nil
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
			dir, err := f.dir()
			if err != nil {
				return err
			}
			// The server hears of a file with mistakes, too: it tells of the refusal
			// by its log, its metrics and its status.
			err = admin.Reload(cmd.Context(), dir)
			if _, mistakes := f.file(); mistakes != nil && f.state == "" {
				return mistakes
			}
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), "reloaded")
			return nil
		},
	}
	f.add(cmd)
	return cmd
}

func newUpgrade() *cobra.Command {
	var f stateFlags
	cmd := &cobra.Command{
		Use:   "upgrade",
		Short: "Have the program that is installed now take the running server's place",
		Long: `Starts the program anew, from where the running server was started and with the
same arguments, and has it take that server's place without a port being closed
for a moment; SIGUSR2 does the same. The new process reads the configuration
anew, also what a reload does not take, and gets the listening sockets. If it
does not serve, the exit status is 1, the reason is printed, and the old one
goes on.

Once the new process serves, the old one accepts no more. Open requests finish,
tunnels stay for upgrade_drain (1 h), then it says goodbye to them and ends.
There are never more than two that do so: an upgrade has older ones end at once.
Push clients are told to connect again, which is to the new process, and resume;
a history in memory is lost, as by a restart.

In a container, start a new container instead: with its first process it ends.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			file, err := f.file()
			if err != nil {
				return err
			}
			if err := admin.Upgrade(cmd.Context(), file.StateDir()); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), "upgraded")
			return nil
		},
	}
	f.add(cmd)
	return cmd
}

func newHealth() *cobra.Command {
	var f stateFlags
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Ask the running server whether it serves",
		Long: `Asks the server that runs on this machine whether it serves. The exit status is 0
if it does, else 1: it is made for the health checks of containers.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := f.dir()
			if err != nil {
				return err
			}
			if err := admin.Health(cmd.Context(), dir); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), "healthy")
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
			file, err := f.file()
			if err != nil {
				return err
			}
			_, path, err := proxy.InternalCA(file.StateDir())
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
