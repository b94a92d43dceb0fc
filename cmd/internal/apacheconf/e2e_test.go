//go:build e2e

package apacheconf

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// apacheBase is what Debian's Apache needs beside a case to read it.
const apacheBase = `ServerRoot %[1]s
PidFile %[1]s/pid
ErrorLog %[1]s/error.log
ServerName base.test
Listen 127.0.0.1:9
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule env_module /usr/lib/apache2/modules/mod_env.so
LoadModule info_module /usr/lib/apache2/modules/mod_info.so
LoadModule macro_module /usr/lib/apache2/modules/mod_macro.so
Include main.conf
`

// TestE2E_ApacheReadsTheSame lets Debian's Apache read each case that it
// starts with, and compares what it says it has read: the files, the tree of
// directives with their places, and the names of the virtual hosts, which it
// shows word by word.
func TestE2E_ApacheReadsTheSame(t *testing.T) {
	compared := 0
	for _, name := range caseFiles(t) {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			folder := t.TempDir()
			archive := unpack(t, name, folder)
			if strings.HasPrefix(string(archive.Comment), "not for Apache") {
				return
			}
			compared++
			base := filepath.Join(folder, "base.conf")
			if err := os.WriteFile(base, fmt.Appendf(nil, apacheBase, folder), 0o644); err != nil {
				t.Fatal(err)
			}
			cfg, err := Read([]string{base}, Options{Define: map[string]string{"STARTED": "with -D"}})
			if err != nil {
				t.Fatal(err)
			}
			dump := dumpApache(t, base)
			dump.compareFiles(t, cfg)
			dump.compareTree(t, cfg)
			dump.compareHosts(t, cfg)
		})
	}
	if compared < 8 {
		t.Errorf("%d cases compared with Apache, want at least 8", compared)
	}
}

// apacheDump is what Apache says that it has read, in lines.
type apacheDump struct{ files, tree, hosts []string }

func dumpApache(t *testing.T, base string) apacheDump {
	t.Helper()
	run := func(what string) []string {
		cmd := exec.Command("apache2", "-f", base, "-D", "STARTED", "-t", "-D", what)
		cmd.Env = append(os.Environ(), "STARTED=with -D")
		cmd.WaitDelay = time.Second
		cut := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
		defer cut.Stop()
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %v\n%s", cmd, err, err.(*exec.ExitError).Stderr)
		}
		return strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	}
	return apacheDump{files: run("DUMP_INCLUDES"), tree: run("DUMP_CONFIG"), hosts: run("DUMP_VHOSTS")}
}

// compareFiles: "    (13) /etc/apache2/ports.conf".
func (d apacheDump) compareFiles(t *testing.T, cfg *Config) {
	t.Helper()
	var files []string
	for _, text := range d.files[1:] {
		if _, file, ok := strings.Cut(text, ") "); ok && !slices.Contains(files, file) {
			files = append(files, file)
		}
	}
	if !slices.Equal(cfg.Files, files) {
		t.Errorf("read the files\n%q, Apache\n%q", cfg.Files, files)
	}
}

var (
	dumpedFile = regexp.MustCompile(`^\s*# In file: (.*)$`)
	dumpedLine = regexp.MustCompile(`^\s*#\s+(\d+):$`)
)

// compareTree: the directives as Apache has them, each section with its end.
// The place is shown before some of them, with the last line of several.
func (d apacheDump) compareTree(t *testing.T, cfg *Config) {
	t.Helper()
	all := flat(cfg.Directives)
	file, number := "", 0
	for _, text := range d.tree {
		if m := dumpedFile.FindStringSubmatch(text); m != nil {
			file = m[1]
			continue
		}
		if m := dumpedLine.FindStringSubmatch(text); m != nil {
			number, _ = strconv.Atoi(m[1])
			continue
		}
		if len(all) == 0 {
			t.Fatalf("Apache has %q of %s, where the reader has come to its end", text, file)
		}
		ours := all[0]
		all = all[1:]
		if apaches := canonical(text); apaches != ours.text {
			t.Errorf("Apache has %s, the reader %s of %v", apaches, ours.text, ours.at)
		}
		inMacro := strings.HasPrefix(file, "macro ")
		if file != ours.at.File && !inMacro && ours.text[0] != '/' {
			t.Errorf("Apache has %q in %s, the reader in %v", text, file, ours.at)
		}
		if number != 0 && !inMacro && (number < ours.at.Line || number > lastLine(t, ours.at)) {
			t.Errorf("Apache has %q in line %d, the reader in %v", text, number, ours.at)
		}
		number = 0
	}
	for _, d := range all {
		t.Errorf("the reader has %s of %v, which Apache has not", d.text, d.at)
	}
}

// shown is a directive, or the end of a section, in a form in which two can be
// compared.
type shown struct {
	at   Position
	text string
}

// flat lists all directives that Apache keeps: these two it only carries out.
func flat(all []*Directive) []shown {
	var list []shown
	for _, d := range all {
		if d.Is("LoadModule") || d.Is("ServerRoot") {
			continue
		}
		name := strings.ToLower(d.Name)
		list = append(list, shown{d.Position, fmt.Sprintf("%s %q", name, d.Args)})
		if d.Section {
			list = append(list, flat(d.Children)...)
			list = append(list, shown{d.Position, "/" + name + " []"})
		}
	}
	return list
}

// canonical is a line of Apache's dump in the form of flat.
func canonical(text string) string {
	text = strings.TrimSpace(text)
	if end, ok := strings.CutPrefix(text, "</"); ok {
		return "/" + strings.ToLower(strings.TrimSuffix(end, ">")) + " []"
	}
	name, rest, _ := word(text)
	if strings.HasPrefix(text, "<") {
		name, rest, _ = head(text)
	}
	args, _ := words(rest)
	return fmt.Sprintf("%s %q", strings.ToLower(name), args)
}

// lastLine is the last physical line of the directive at a place.
func lastLine(t *testing.T, at Position) int {
	t.Helper()
	data, err := os.ReadFile(at.File)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(data), "\n")
	last := at.Line
	for last < len(lines) && strings.HasSuffix(lines[last-1], `\`) {
		last++
	}
	return last
}

var (
	dumpedHost  = regexp.MustCompile(`(?:namevhost +|^\S+ +)(\S+) \((.+):(\d+)\)$`)
	dumpedAlias = regexp.MustCompile(`^\s+(?:wild )?alias (.*)$`)
)

// compareHosts: each virtual host has a place, a name, and then its aliases.
func (d apacheDump) compareHosts(t *testing.T, cfg *Config) {
	t.Helper()
	var apaches, ours []string
	for _, text := range d.hosts {
		if m := dumpedHost.FindStringSubmatch(text); m != nil && !strings.Contains(text, "default server") {
			place := m[2] + ":" + m[3]
			if strings.HasPrefix(m[2], "macro ") {
				place = "macro"
			}
			apaches = append(apaches, place+" "+strings.TrimSpace(m[1]))
		} else if m := dumpedAlias.FindStringSubmatch(text); m != nil {
			apaches = append(apaches, "alias "+m[1])
		}
	}
	for _, v := range cfg.Directives {
		if !v.Is("VirtualHost") {
			continue
		}
		for _, c := range v.Children {
			if c.Is("ServerName") {
				ours = append(ours, v.Position.String()+" "+c.Arg(0))
			}
			if c.Is("ServerAlias") {
				for _, alias := range c.Args {
					ours = append(ours, "alias "+alias)
				}
			}
		}
	}
	// One with two addresses is shown at each.
	apaches = slices.Compact(apaches)
	if !slices.EqualFunc(apaches, ours, func(a, o string) bool {
		return a == o || strings.HasPrefix(a, "macro ") && strings.HasSuffix(o, strings.TrimPrefix(a, "macro"))
	}) {
		t.Errorf("Apache has the hosts\n%q, the reader\n%q", apaches, ours)
	}
}
