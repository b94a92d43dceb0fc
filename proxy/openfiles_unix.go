//go:build unix

package proxy

import "syscall"

// openFilesLimit is how many files this process may have open, 0 when that is
// not known. Package os raised the soft limit to the hard one when the process
// began, so that the soft one is all there is.
func openFilesLimit() uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	return uint64(limit.Cur) // signed on some systems
}
