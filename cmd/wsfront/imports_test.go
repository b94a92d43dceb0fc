package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// mayImport says what each folder of the project may import of the project
// itself. Arrows point one way: from cmd to the libraries, never back, and the
// two libraries do not know each other.
var mayImport = map[string][]string{
	"cmd/wsfront":               {"cmd/internal/config", "cmd/internal/admin", "cmd/internal/statuspage", "cmd/internal/doctor", "cmd/internal/heap", "cmd/internal/logging", "cmd/internal/metrics", "cmd/internal/publishd", "proxy", "pusher", "pusher/natsbroker", "pusher/syslog", "pusher/schedule", "cmd/internal/apacheconf", "cmd/internal/apacheimport", "cmd/internal/systemd", "cmd/internal/upgrade"},
	"cmd/internal/admin":        {"proxy", "pusher"},
	"cmd/internal/apacheconf":   {},
	"cmd/internal/apacheimport": {"cmd/internal/apacheconf", "cmd/internal/config"},
	"cmd/internal/config":       {"proxy", "pusher", "pusher/natsbroker", "pusher/syslog", "pusher/schedule"},
	"cmd/internal/doctor":       {"cmd/internal/config", "proxy", "proxy/diagnosis", "proxy/frame", "proxy/http1"},
	"cmd/internal/heap":         {},
	"cmd/internal/logging":      {},
	"cmd/internal/metrics":      {"proxy", "proxy/tally", "pusher"},
	"cmd/internal/publishd":     {"proxy/http1"},
	"cmd/internal/statuspage":   {"cmd/internal/admin", "proxy", "pusher"},
	"proxy":                     {"proxy/tally", "proxy/diagnosis", "proxy/http1", "proxy/http2", "proxy/record", "proxy/frame", "proxy/relay", "proxy/park"},
	"proxy/diagnosis":           {},
	"proxy/http1":               {},
	"proxy/http2":               {"proxy/http1"},
	"proxy/record":              {},
	"proxy/frame":               {},
	"proxy/park":                {},
	"proxy/relay":               {"proxy/record", "proxy/frame", "proxy/tally"},
	"proxy/tally":               {},
	"proxy/acmetest":            {},
	"pusher":                    {},
	"pusher/schedule":           {"pusher"},
	"pusher/syslog":             {"pusher"},
	"pusher/natsbroker":         {"pusher"},
	"pusher/brokertest":         {"pusher"},
	"cmd/internal/systemd":      {},
	"cmd/internal/upgrade":      {},
}

// onlyIn names the files that may import a library, or the folders where several
// files need it.
var onlyIn = map[string][]string{
	"github.com/caddyserver/certmagic": {"proxy/acme.go"},
	"github.com/coreos/go-systemd/v22": {"cmd/internal/systemd"},
	"github.com/go-jose/go-jose/v4":    {"pusher/token.go", "pusher/claims.go", "pusher/jwks.go"},
	"github.com/gorilla/websocket":     {"pusher", "proxy/wsmessage.go", "testdata/soak"},
	"github.com/koding/websocketproxy": {"proxy/wsmessage.go"},
	"github.com/spf13/cobra":           {"cmd/wsfront"},
	"go.yaml.in/yaml/v3":               {"cmd/internal/config"},
	"github.com/klauspost/compress":    {"proxy"},
	"github.com/nats-io/nats-server":   {"pusher/natsbroker"},
	"github.com/nats-io/nats.go":       {"pusher/natsbroker"},
	"github.com/letsencrypt/pebble/v2": {"proxy/acmetest"},
	"github.com/miekg/dns":             {"proxy/acmetest"},
	"github.com/prometheus":            {"cmd/internal/metrics"},
	"github.com/robfig/cron/v3":        {"pusher/schedule"},
	"golang.org/x/crypto/bcrypt":       {"proxy/htpasswd.go"},
	"golang.org/x/net":                 {"cmd/internal/doctor", "proxy/http2"},
	"github.com/leodido/go-syslog/v4":  {"pusher/syslog"},
}

// mayUse says what the folders that carry the bytes may import besides the
// standard library.
var mayUse = map[string][]string{
	"proxy/diagnosis": {},
	"proxy/http1":     {},
	"proxy/http2":     {"golang.org/x/net/http2/hpack"},
	"proxy/record":    {"golang.org/x/crypto/chacha20poly1305"},
	"proxy/frame":     {},
	"proxy/park":      {"golang.org/x/sys/unix"},
	"proxy/tally":     {},
	"proxy/relay":     {"golang.org/x/sys/unix"},
}

type imported struct{ file, path string }

// imports lists what the files of the project import, tests left out.
func imports(t *testing.T) []imported {
	t.Helper()
	root := filepath.Join("..", "..")
	var all []imported
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && strings.HasPrefix(d.Name(), ".") && name != root {
			return fs.SkipDir
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		for _, spec := range file.Imports {
			p, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			all = append(all, imported{filepath.ToSlash(rel), p})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("no imports found: is the test looking at the right folder?")
	}
	return all
}

func TestImports_ArrowsPointOneWay(t *testing.T) {
	for _, i := range imports(t) {
		own, ok := strings.CutPrefix(i.path, "wsfront/")
		if !ok {
			continue
		}
		allowed, known := mayImport[path.Dir(i.file)]
		if !known {
			t.Errorf("%s: its folder is not in mayImport; say what it may import", i.file)
		} else if !slices.Contains(allowed, own) {
			t.Errorf("%s imports %s", i.file, i.path)
		}
	}
}

func TestImports_LibrariesHaveOnePlace(t *testing.T) {
	used := map[string]bool{}
	for _, i := range imports(t) {
		folder := path.Dir(i.file)
		outside := strings.Contains(strings.SplitN(i.path, "/", 2)[0], ".")
		if libraries, listed := mayUse[folder]; outside && listed && !slices.Contains(libraries, i.path) {
			t.Errorf("%s imports %s; besides the standard library %s may use %q", i.file, i.path, folder, libraries)
		}
		for library, places := range onlyIn {
			if i.path != library && !strings.HasPrefix(i.path, library+"/") {
				continue
			}
			used[library] = true
			if !slices.Contains(places, i.file) && !slices.Contains(places, path.Dir(i.file)) {
				t.Errorf("%s imports %s, whose place is %s", i.file, i.path, strings.Join(places, " or "))
			}
		}
	}
	for library := range onlyIn {
		if !used[library] {
			t.Errorf("nothing imports %s", library)
		}
	}
}
