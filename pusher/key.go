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
// key. The group may read it, as the program that publishes needs it too; a file
// that everybody may read is refused, as is one without a usable key. Of several
// keys in the file (see Key.KeyFile) it is the first.
func LoadKey(path string) (key string, created bool, err error) {
	keys, err := readKeys(path)
	switch {
	case err == nil:
		return keys[0], false, nil
	case !errors.Is(err, fs.ErrNotExist):
		return "", false, err
	}
	return createSecret(path, "publish key")
}

// readKeys reads the keys in the file at path, one in each line.
func readKeys(path string) ([]string, error) {
	text, err := readGuarded(path, "publish key")
	if err != nil {
		return nil, err
	}
	var keys []string
	for line := range strings.Lines(text) {
		switch key := strings.TrimSpace(line); {
		case key != "" && !isSecret(key):
			return nil, fmt.Errorf("publish key %s has a line that is not one word of printable ASCII, as an HTTP header needs; "+
				"write one key into each line, or delete the file to have one made", path)
		case key != "":
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("publish key %s is empty; write one into it, or delete it to have one made", path)
	}
	return keys, nil
}

// isSecret reports whether a text can stand in an HTTP header as one word.
func isSecret(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' })
}

// loadSecret is LoadKey for any secret; what is how errors call it.
func loadSecret(path, what string) (secret string, created bool, err error) {
	secret, err = readSecret(path, what)
	if !errors.Is(err, fs.ErrNotExist) {
		return secret, false, err
	}
	return createSecret(path, what)
}

func readSecret(path, what string) (string, error) {
	text, err := readGuarded(path, what)
	if err != nil {
		return "", err
	}
	secret := strings.TrimSpace(text)
	switch {
	case secret == "":
		return "", fmt.Errorf("%s %s is empty; write one into it, or delete it to have one made", what, path)
	case !isSecret(secret):
		return "", fmt.Errorf("%s %s is not one word of printable ASCII, as an HTTP header needs; "+
			"write one into it, or delete it to have one made", what, path)
	}
	return secret, nil
}

// readGuarded reads a small file that its owner alone may write, and at most its
// group may read.
func readGuarded(path, what string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", what, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("read %s: %w", what, err)
	}
	if mode := info.Mode().Perm(); mode&0o027 != 0 {
		return "", fmt.Errorf("%s %s may be read by everybody, or written by others (mode %04o); run: chmod 640 %[2]s", what, path, mode)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("read %s: %w", what, err)
	case len(text) > maxKeyFile:
		return "", fmt.Errorf("%s %s has more than %d bytes, and so is some other file; name the right one", what, path, maxKeyFile)
	}
	return string(text), nil
}

// createSecret writes it under another name first: the name that is looked for
// appears only with a whole secret behind it, and only once, since link, unlike
// rename, replaces nothing.
func createSecret(path, what string) (secret string, created bool, err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", false, fmt.Errorf("create %s: %w", what, err)
	}
	f, err := os.CreateTemp(dir, ".secret-*") // mode 0600
	if err != nil {
		return "", false, fmt.Errorf("create %s: %w", what, err)
	}
	defer os.Remove(f.Name())
	random := make([]byte, 32)
	_, _ = rand.Read(random) // never fails
	secret = base64.RawURLEncoding.EncodeToString(random)
	_, err = f.WriteString(secret + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return "", false, fmt.Errorf("create %s: %w", what, err)
	}
	switch err := os.Link(f.Name(), path); {
	case errors.Is(err, fs.ErrExist): // another process was first
		secret, err = readSecret(path, what)
		return secret, false, err
	case err != nil:
		return "", false, fmt.Errorf("create %s: %w", what, err)
	}
	if err := syncDir(dir); err != nil {
		return "", false, fmt.Errorf("create %s: %w", what, err)
	}
	return secret, true, nil
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
