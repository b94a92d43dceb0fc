//go:build e2e

package main_test

import (
	"bytes"
	"errors"
	"net"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is a program that a test started, in a process group of its own.
type process struct {
	name  string
	cmd   *exec.Cmd
	log   *journal
	ended chan struct{} // closed when the program has ended and its output is read
}

// start runs cmd until the test ends. What it printed is shown when the test
// has failed.
func start(t testing.TB, name string, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{name: name, cmd: cmd, log: &journal{}, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.log, p.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// A grandchild that keeps the output open must not keep the test.
	cmd.WaitDelay = 2 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	// Ends with the program, which stop ends at the latest; stop waits.
	go func() {
		_ = cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.stop()
		// Wrong in every test, whatever else it looks at.
		for _, crash := range []string{"DATA RACE", "panic:", "request.panic"} {
			if line := p.log.line(crash); line != "" {
				t.Errorf("%s: %s", name, line)
			}
		}
		if t.Failed() {
			t.Logf("%s printed:\n%s", name, p.log)
		}
	})
	return p
}

// stop asks the program to end, and ends the whole group when it does not.
func (p *process) stop() {
	p.signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(5 * time.Second):
	}
	// Whatever of the group is left: workers whose parent went first.
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.ended
}

// signal reaches the program alone, not its children.
func (p *process) signal(s syscall.Signal) {
	select {
	case <-p.ended:
	default:
		_ = p.cmd.Process.Signal(s)
	}
}

// exit waits for the program's end and returns its status.
func (p *process) exit(t testing.TB) int {
	t.Helper()
	select {
	case <-p.ended:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		t.Fatalf("%s did not end", p.name)
		return 0
	}
}

// listens waits until the program takes connections at addr.
func (p *process) listens(t testing.TB, addr string) {
	t.Helper()
	p.until(t, "listens at "+addr, func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}

// says waits until the program has printed text, and returns the line.
func (p *process) says(t testing.TB, text string) string {
	t.Helper()
	p.until(t, "prints "+text, func() bool { return strings.Contains(p.log.String(), text) })
	return p.log.line(text)
}

// until waits for done and fails at once when the program ends before.
func (p *process) until(t testing.TB, what string, done func() bool) {
	t.Helper()
	eventually(t, p.name+" "+what, func() bool {
		if done() {
			return true
		}
		select {
		case <-p.ended:
			if done() {
				return true
			}
			t.Fatalf("%s ended (%v) before it %s", p.name, p.cmd.ProcessState, what)
		default:
		}
		return false
	})
}

// finish runs cmd to its end and returns its status and what it printed.
func finish(t testing.TB, cmd *exec.Cmd) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.WaitDelay = 2 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", cmd, err)
	}
	cut := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer cut.Stop()
	err := cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v", cmd, err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// journal keeps what a program prints. It may be used by several goroutines.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// line is the first line that contains text.
func (j *journal) line(text string) string {
	for line := range strings.Lines(j.String()) {
		if strings.Contains(line, text) {
			return strings.TrimSuffix(line, "\n")
		}
	}
	return ""
}
