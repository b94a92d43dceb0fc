package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"wsfront/cmd/internal/apacheconf"
	"wsfront/cmd/internal/apacheimport"
)

func newImport() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import",
		Short: "Make a configuration of another server's",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() }, // else Args count for nothing
	}
	cmd.AddCommand(newImportApache())
	return cmd
}

// importFlags are the flags of wsfront import apache.
type importFlags struct {
	host   string
	define []string
	root   string
	push   string
	port   int
	write  bool
	config string
	behind string
	json   bool
}

func newImportApache() *cobra.Command {
	var f importFlags
	cmd := &cobra.Command{
		Use:   "apache [FILE...]",
		Short: "Make a configuration of Apache's vhosts",
		Long: `Reads Apache's configuration as Apache does, with Include, Define and all that,
and prints a wsfront.yaml that does the same, with the lines that each route
comes from. A report on standard error says of every directive what became of
it: imported, not needed here, or left to you, with what to do. Nothing of
Apache's is changed, unless --behind names a file of its.

FILE is a vhost, several of them, a whole apache2.conf, a fragment with nothing
but ProxyPass and RewriteRule lines, or a .htaccess file. Without one the vhosts
in /etc/apache2/sites-enabled and /etc/httpd/conf.d are read.

The exit status is 0 when nothing was left open, 1 when something needs you, and
2 when there is no configuration.`,
		Example: `  wsfront import apache /etc/apache2/sites-enabled/app.conf > wsfront.yaml
  wsfront import apache --push /websocket --write app.conf
  wsfront import apache --write --behind /etc/apache2/sites-available/behind-wsfront.conf
  wsfront import apache --host app.example.com fragment.conf`,
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.host, "host", "", "host `NAME` of what has no ServerName")
	flags.StringArrayVar(&f.define, "define", nil, "`NAME[=VALUE]` as by apache2 -D, or a variable of Apache's environment (repeatable)")
	flags.StringVar(&f.root, "root", "", "`DIR` in which relative names of files begin (ServerRoot; default the folder of the file, /etc/apache2, /etc/httpd)")
	flags.StringVar(&f.push, "push", "", "`PATH` at which pages open their WebSocket: a route to the built-in push service, channel board")
	flags.IntVar(&f.port, "app-port", 0, "`PORT` of loopback for an app that runs inside Apache today (default 8080)")
	flags.BoolVar(&f.write, "write", false, "put the configuration in place instead of printing it, with a backup of what was there")
	flags.StringVarP(&f.config, "config", "c", "", "configuration `FILE` that --write puts in place (default /etc/wsfront/wsfront.yaml for root where that folder exists, else ./wsfront.yaml)")
	flags.StringVar(&f.behind, "behind", "", "write what stays in Apache, on loopback behind wsfront, to `FILE`, a site for Apache, with a backup of what was there")
	flags.BoolVar(&f.json, "json", false, "print configuration and report as one JSON object on standard output")
	return cmd
}

// run imports. A mistake has the exit status 2, since there is no configuration
// then either.
func (f *importFlags) run(cmd *cobra.Command, files []string) error {
	result, err := f.result(files)
	if err == nil {
		err = f.print(cmd.OutOrStdout(), cmd.ErrOrStderr(), result)
	}
	if err != nil {
		fmt.Fprintln(cmd.ErrOrStderr(), "wsfront:", err)
		return exitStatus(apacheimport.Rejected)
	}
	if result.Verdict != apacheimport.Complete {
		return exitStatus(result.Verdict)
	}
	return nil
}

func (f *importFlags) result(files []string) (*apacheimport.Result, error) {
	files, err := f.named(files)
	if err != nil {
		return nil, err
	}
	define := map[string]string{}
	for _, d := range f.define {
		name, value, _ := strings.Cut(d, "=")
		define[name] = value
	}
	switch {
	case f.config != "" && !f.write:
		return nil, fmt.Errorf("--config %s: nothing is written without --write; add it", f.config)
	case f.push != "" && !strings.HasPrefix(f.push, "/"):
		return nil, fmt.Errorf("--push %s: a path begins with /; write --push /%s", f.push, f.push)
	case f.port < 0 || f.port > 65535:
		return nil, fmt.Errorf("--app-port %d: no port; write one such as 8080", f.port)
	}
	cfg, err := apacheconf.Read(files, apacheconf.Options{Root: f.root, Define: define})
	if err != nil {
		return nil, err
	}
	return apacheimport.Import(cfg, apacheimport.Options{Host: f.host, Push: f.push, AppPort: f.port, Root: f.root}), nil
}

// named are the files to read: those given, or the usual ones.
func (f *importFlags) named(files []string) ([]string, error) {
	if len(files) > 0 {
		return files, nil
	}
	for _, pattern := range []string{"/etc/apache2/sites-enabled/*.conf", "/etc/httpd/conf.d/*.conf"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return nil, err
		}
		files = append(files, found...)
	}
	if len(files) == 0 {
		return nil, errors.New("there are no vhosts in /etc/apache2/sites-enabled and /etc/httpd/conf.d; name the file: wsfront import apache FILE")
	}
	return files, nil
}

// print hands over what came out.
func (f *importFlags) print(stdout, stderr io.Writer, r *apacheimport.Result) error {
	written := ""
	if f.write && r.YAML != "" {
		path := cmp.Or(f.config, usualConfig())
		said, err := writeKept(path, r.YAML)
		if err != nil {
			return fmt.Errorf("write the configuration: %w", err)
		}
		written = said + fmt.Sprintf("Written to %s. Next: wsfront check --config %s\n", path, path)
	}
	if f.behind != "" {
		if r.Apache == "" {
			return errors.New("--behind: no app runs inside Apache here, so that none of it has to stay; leave it out")
		}
		said, err := writeKept(f.behind, r.Apache)
		if err != nil {
			return fmt.Errorf("write what stays in Apache: %w", err)
		}
		written += said + fmt.Sprintf("What stays in Apache is written to %s.\n", f.behind)
	}
	switch {
	case f.json:
		enc := json.NewEncoder(stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(r)
	case !f.write:
		io.WriteString(stdout, r.YAML)
	}
	io.WriteString(stderr, r.Report())
	if written != "" {
		io.WriteString(stderr, "\n"+written)
	}
	return nil
}

// usualConfig is where wsfront looks for its configuration.
func usualConfig() string {
	if info, err := os.Stat("/etc/wsfront"); err == nil && info.IsDir() && os.Geteuid() == 0 {
		return "/etc/wsfront/wsfront.yaml"
	}
	return "wsfront.yaml"
}

// writeKept puts a file in place, whole or not at all, and keeps what was there.
// It says so.
func writeKept(path, text string) (said string, err error) {
	if _, err := os.Lstat(path); err == nil {
		kept, err := backUp(path)
		if err != nil {
			return "", fmt.Errorf("keep what was there: %w", err)
		}
		said = path + " was kept as " + kept + ".\n"
	}
	return said, replaceFile(path, text)
}

// backUp copies a file beside itself, under a name that nothing has yet.
func backUp(path string) (string, error) {
	old, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	stem := path + ".bak-" + time.Now().Format("20060102-150405")
	for i := 0; ; i++ {
		name := stem
		if i > 0 {
			name = fmt.Sprintf("%s-%d", stem, i)
		}
		out, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, info.Mode().Perm())
		if errors.Is(err, os.ErrExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		_, err = out.Write(old)
		return name, errors.Join(err, out.Close())
	}
}

// replaceFile writes a file beside the old one and puts it in its place.
func replaceFile(path, text string) error {
	mode := os.FileMode(0o644)
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	out, err := os.CreateTemp(filepath.Dir(path), ".wsfront-*.yaml")
	if err != nil {
		return err
	}
	defer os.Remove(out.Name()) // gone already when all went well
	_, err = out.WriteString(text)
	err = errors.Join(err, out.Chmod(mode), out.Sync(), out.Close())
	if err != nil {
		return err
	}
	return os.Rename(out.Name(), path)
}
