package proxy

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// DefaultState is the folder that stands for an empty Config.State: the one that
// systemd made for the service (StateDirectory=), /var/lib/wsfront for root, else
// wsfront in the user's folder for configuration, or "" when the environment
// names none.
func DefaultState() string {
	if dir, _, _ := strings.Cut(os.Getenv("STATE_DIRECTORY"), ":"); dir != "" { // there may be several
		return dir
	}
	if os.Geteuid() == 0 {
		return "/var/lib/wsfront"
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "wsfront")
}

// makeStateDir makes a folder below the state folder where it is missing, and
// finds out that it can be read. That it can be written is another question:
// see probeStateDir.
func makeStateDir(dir string) error {
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		_, err = os.ReadDir(dir)
	}
	if err != nil {
		return FieldError{"state", fmt.Sprintf("the folder %s cannot be used for certificates and keys: %v; make it and give it to this user, or write another", dir, err)}
	}
	return nil
}

// probeSize is more than a certificate with its chain and key takes.
const probeSize = 16 << 10

// probeStateDir finds out whether a certificate could be stored: a full disk
// shows only when something is written.
func probeStateDir(dir string) error {
	f, err := os.CreateTemp(dir, ".probe-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(make([]byte, probeSize))
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}
