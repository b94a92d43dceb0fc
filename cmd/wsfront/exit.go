package main

import (
	"errors"
	"fmt"

	"wsfront/proxy"
)

// exitCut is the exit status of a server that had to cut something at the end of
// drain_timeout: no failure of its own, and no clean end.
const exitCut = 3

// exitStatus is how a command ends that has said all there is to say.
type exitStatus int

func (s exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// statusOf is the exit status for an error that is yet to be printed.
func statusOf(err error) int {
	if errors.Is(err, proxy.ErrCut) {
		return exitCut
	}
	return 1
}
