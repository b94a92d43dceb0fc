package relay

import (
	"io"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A Tunnel may be kept for longer than its engine lives, whose descriptors may
// belong to anyone by then.
func TestLoop_TunnelThatIsOverTouchesNoDescriptor(t *testing.T) {
	e, l, stop := oneLoop(t)
	over := make(chan struct{})
	tn, _ := joined(t, e, func(Result) { close(over) })
	stop()
	<-over
	for range 64 { // numbers are given out from the lowest one on
		fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		if fd != l.wakeUp {
			continue
		}
		tn.Cut()
		tn.Close(1001, "")
		if n, err := unix.Read(fd, make([]byte, 8)); err != unix.EAGAIN {
			t.Errorf("read %d bytes, %v from a descriptor that nobody wrote to", n, err)
		}
		return
	}
	t.Skip("another test has taken the number of the loop's descriptor")
}

func TestLoop_WhatBeginsAfterTheLoopsEndIsCut(t *testing.T) {
	e, _, stop := oneLoop(t)
	stop()
	over := make(chan Result, 1)
	_, far := joined(t, e, func(r Result) { over <- r })
	for _, c := range far {
		if n, err := c.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("read %d bytes, %v; want the end", n, err)
		}
	}
	select {
	case r := <-over:
		if r.Reason != Canceled {
			t.Errorf("ended by %q, want %q", r.Reason, Canceled)
		}
	case <-time.After(10 * time.Second):
		t.Error("it does not end")
	}
}
