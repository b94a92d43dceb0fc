package upgrade

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Program is how this process was started, so that the next one can be started
// likewise, from whatever is at the same place by then.
type Program struct {
	path, dir string
	args      []string
}

// Self is this process. It is called before the working directory or PATH can
// change.
func Self() (Program, error) {
	path, err := exec.LookPath(os.Args[0])
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil { // not found by its name
		path, err = os.Executable()
	}
	if err != nil {
		return Program{}, fmt.Errorf("find this program: %w", err)
	}
	dir, err := os.Getwd()
	if err != nil {
		return Program{}, fmt.Errorf("find the working directory: %w", err)
	}
	return Program{path: path, dir: dir, args: os.Args}, nil
}

// Socket is a listening socket that is handed over. Its Name tells the new
// process what it was for.
type Socket struct {
	Name string
	File *os.File
}

// environment names the variable that tells a process of the one before: a
// settings as JSON.
const environment = "WSFRONT_UPGRADE"

// settings say what the new process inherits: the line as descriptor 3, and then
// the sockets.
type settings struct {
	Sockets []string `json:"sockets"`
}

// Successor is the process that is to take the place of this one.
type Successor struct {
	line    *line
	process *os.Process
}

// Start starts the new process, with the sockets. Its output is that of this
// one. Call its Abandon, or lead it to the end.
func (p Program) Start(sockets []Socket) (*Successor, error) {
	own, theirs, err := newPair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	var s settings
	files := []*os.File{theirs}
	for _, one := range sockets {
		s.Sockets, files = append(s.Sockets, one.Name), append(files, one.File)
	}
	text, err := json.Marshal(s)
	if err != nil {
		return nil, errors.Join(err, own.Close())
	}
	process, err := p.start(append(inheritable(os.Environ()), environment+"="+string(text)), files)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the new process: %w", err), own.Close())
	}
	return &Successor{line: own, process: process}, nil
}

// start is os.StartProcess, which cannot be used: by File.Fd it would make the
// sockets blocking, in this process as well, and to accept then holds up whoever
// closes them until somebody connects.
func (p Program) start(environment []string, files []*os.File) (*os.Process, error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	descriptors := []uintptr{null.Fd(), uintptr(syscall.Stdout), uintptr(syscall.Stderr)}
	for _, f := range files {
		raw, err := f.SyscallConn()
		if err == nil {
			err = raw.Control(func(fd uintptr) { descriptors = append(descriptors, fd) })
		}
		if err != nil {
			return nil, err
		}
	}
	pid, err := syscall.ForkExec(p.path, p.args, &syscall.ProcAttr{Dir: p.dir, Env: environment, Files: descriptors, Sys: attributes()})
	runtime.KeepAlive(files)
	if err != nil {
		return nil, &os.PathError{Op: "run", Path: p.path, Err: err}
	}
	return os.FindProcess(pid)
}

// inheritable is the environment without what is meant for one process alone:
// sd_listen_fds(3), sd_watchdog_enabled(3).
func inheritable(all []string) []string {
	return slices.DeleteFunc(all, func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return slices.Contains([]string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID", "WATCHDOG_PID", environment}, name)
	})
}

// PID is that of the new process.
func (s *Successor) PID() int { return s.process.Pid }

// Prepared waits until the new process has checked its configuration and has its
// sockets. The error says why it has not, or that ctx is done.
func (s *Successor) Prepared(ctx context.Context, within time.Duration) error {
	return s.await(ctx, wordPrepared, within)
}

// Proceed tells the new process that what only one may have is free now, and
// waits until it serves. The error says why it does not, or that ctx is done.
func (s *Successor) Proceed(ctx context.Context, within time.Duration) error {
	if err := s.line.say(word{Word: wordProceed}); err != nil {
		return errEnded
	}
	return s.await(ctx, wordServing, within)
}

// Lead tells the new process that it is the one that counts.
func (s *Successor) Lead() { _ = s.line.say(word{Word: wordLead}) } // if it has ended, nobody is left to be told

// errEnded is all that is known of a process that ended without a word.
var errEnded = errors.New("the new process ended before it served; the log has what it said")

// errStopped is for what is under way when this process is to end.
var errStopped = errors.New("this process was told to end meanwhile")

func (s *Successor) await(ctx context.Context, want string, within time.Duration) error {
	_ = s.line.SetReadDeadline(time.Now().Add(within))
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { // awaited below, if it has begun
		defer close(interrupted)
		_ = s.line.SetReadDeadline(time.Now())
	})
	w, err := s.line.hear()
	if !stop() {
		<-interrupted
	}
	_ = s.line.SetReadDeadline(time.Time{})
	switch {
	case ctx.Err() != nil:
		return errStopped
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("the new process did not say within %v that it is %s", within, want)
	case err != nil:
		return errEnded
	case w.Word == wordFailed:
		return errors.New(w.Reason)
	case w.Word != want:
		return fmt.Errorf("the new process said %q, not %q", w.Word, want)
	}
	return nil
}

// Abandon ends a new process that is not to take over. It waits until it has
// ended, as what it may have taken is free only then.
func (s *Successor) Abandon() {
	_ = s.process.Kill()
	// The other end goes with the process. hear would not wait for that: once it
	// has failed, by the end of a time as well, its decoder fails for good.
	_, _ = io.Copy(io.Discard, s.line.Conn)
	s.line.Close()
	_, _ = s.process.Wait() // where it is a child
	_ = s.process.Release() // where it is not
}

// Obey calls hurry and reopen for the orders of the new process, until it has
// ended or Release is called.
func (s *Successor) Obey(hurry, reopen func()) {
	for {
		w, err := s.line.hear()
		if err != nil {
			return
		}
		switch w.Word {
		case wordHurry:
			hurry()
		case wordReopen:
			reopen()
		}
	}
}

// Release lets go of the new process, as this one ends.
func (s *Successor) Release() {
	s.line.Close()
	_ = s.process.Release()
}
