package main

import (
	"io"
	"os"
)

// isTerminal reports whether a person watches what is written: a device, not a
// file or pipe.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
