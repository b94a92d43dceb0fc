package pusher

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// maxKeyFile is more than any key; a longer file is some other file.
const maxKeyFile = 4 << 10

// LoadKey reads the publish key from the file at path. Where there is none it
// makes one, of 32 random bytes in base64url, that its owner alone may read, in
// a folder that it creates if need be; created says so. However many processes
// do this at once, and whenever they are stopped, all end with the same whole
// key. A file that others may read is refused, as is one without a usable key.
func LoadKey(path string) (key string, created bool, err error) {
	key, err = readKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, false, err
	}
	return createKey(path)
}

func readKey(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("read publish key: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("read publish key: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return "", fmt.Errorf("publish key %s may be read or written by others (mode %04o); run: chmod 600 %[1]s", path, mode)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return "", fmt.Errorf("read publish key: %w", err)
	}
	key := strings.TrimSpace(string(text))
	switch {
	case key == "":
		return "", fmt.Errorf("publish key %s is empty; write a key into it, or delete it to have one made", path)
	case len(text) > maxKeyFile, strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "", fmt.Errorf("publish key %s is not one word of printable ASCII, as an HTTP header needs; "+
			"write one into it, or delete it to have one made", path)
	}
	return key, nil
}

// createKey writes the key under another name first: the name that is looked
// for appears only with a whole key behind it, and only once, since link, unlike
// rename, replaces nothing.
func createKey(path string) (key string, created bool, err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", false, fmt.Errorf("create publish key: %w", err)
	}
	f, err := os.CreateTemp(dir, ".publish-key-*") // mode 0600
	if err != nil {
		return "", false, fmt.Errorf("create publish key: %w", err)
	}
	defer os.Remove(f.Name())
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	key = base64.RawURLEncoding.EncodeToString(secret)
	_, err = f.WriteString(key + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return "", false, fmt.Errorf("create publish key: %w", err)
	}
	switch err := os.Link(f.Name(), path); {
	case errors.Is(err, fs.ErrExist): // another process was first
		key, err = readKey(path)
		return key, false, err
	case err != nil:
		return "", false, fmt.Errorf("create publish key: %w", err)
	}
	if err := syncDir(dir); err != nil {
		return "", false, fmt.Errorf("create publish key: %w", err)
	}
	return key, true, nil
}

// syncDir makes a new name in dir outlive a power failure: an application may
// have been told the key by then.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
