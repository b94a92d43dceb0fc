package admin

import (
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// The file is its owner's alone from the beginning: who connects before its mode is
// set would have an open door.
func TestPrivate_WhateverTheUmask(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	path := filepath.Join(t.TempDir(), "socket")
	config := net.ListenConfig{Control: private}
	l, err := config.Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}
