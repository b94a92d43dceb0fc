//go:build e2e

package main_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"wsfront/proxy/acmetest"
)

// acme is a CA that issues by ACME, and what the others must know of it.
type acme struct {
	lines string // for the configuration file
	root  string // PEM file for the browser's store
}

// newCA starts pebble for one front, whose clients then trust what it issues.
func (l *lab) newCA(t testing.TB, f *front) acme {
	t.Helper()
	ca := acmetest.New(t, f.plain, f.https)
	f.roots = ca.Roots()
	return acme{
		lines: fmt.Sprintf("acme: {ca: \"%s\", ca_root: %s}\n", ca.URL(), ca.TrustFile()),
		root:  writeFile(t, filepath.Join(f.folder, "pebble.pem"), string(ca.RootPEM())),
	}
}
