package main

import (
	"errors"
	"fmt"

	"wsfront/cmd/internal/admin"
	"wsfront/proxy"
)

// The exit statuses other than 0 for success, 1 for a failure, and those of
// wsfront doctor.
const (
	// exitCut is that of a server that had to cut something at the end of
	// drain_timeout: no failure of its own, and no clean end.
	exitCut = 3
	// exitUnknownOrder is that of an order which the server that runs does not
	// know, being of an earlier version.
	exitUnknownOrder = 4
)

// exitStatus is how a command ends that has said all there is to say.
type exitStatus int

func (s exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// statusOf is the exit status for an error that is yet to be printed.
func statusOf(err error) int {
	switch {
	case errors.Is(err, proxy.ErrCut):
		return exitCut
	case errors.Is(err, admin.ErrUnknownOrder):
		return exitUnknownOrder
	}
	return 1
}
