package relay

import (
	"io"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A Tunnel may be kept for longer than its engine lives, whose descriptors may
// belong to anyone by then.
func TestLoop_TunnelThatIsOverTouchesNoDescriptor(t *testing.T) {
	e, l, stop := oneLoop(t)
	over := make(chan struct{})
	tn, _ := joined(t, e, tell(func(Result) { close(over) }))
	stop()
	<-over
	fd := eventfdAt(t, l.wakeUp)
	defer unix.Close(fd)
	tn.Cut()
	tn.Close(1001, "")
	if n, err := unix.Read(fd, make([]byte, 8)); err != unix.EAGAIN {
		t.Errorf("read %d bytes, %v from a descriptor that nobody wrote to", n, err)
	}
}

// eventfdAt opens an eventfd of that number. Numbers are given out from the
// lowest one on; where another test has this one, it is free again sooner or
// later.
func eventfdAt(t *testing.T, number int) int {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); runtime.Gosched() {
		var below []int
		fd := -1
		for fd < number {
			var err error
			if fd, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
				t.Fatal(err)
			}
			if fd != number {
				below = append(below, fd)
			}
		}
		for _, other := range below {
			unix.Close(other)
		}
		if fd == number {
			return fd
		}
	}
	t.Fatalf("descriptor %d is never given out again", number)
	return -1
}

func TestLoop_WhatBeginsAfterTheLoopsEndIsCut(t *testing.T) {
	e, _, stop := oneLoop(t)
	stop()
	over := make(chan Result, 1)
	_, far := joined(t, e, tell(func(r Result) { over <- r }))
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
