//go:build !unix

package proxy

// openFilesLimit is 0: the system sets no such limit for a process.
func openFilesLimit() uint64 { return 0 }
