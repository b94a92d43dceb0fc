package proxy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// accessFileMode keeps from others what the log says of visitors.
const accessFileMode = 0o640

// openAccessFile opens the access log's file, behind what is in it.
func openAccessFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, accessFileMode)
	switch {
	case err == nil:
		return f, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("the folder %s does not exist; make it, and give it to the user that runs this program", filepath.Dir(path))
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("the access log %s may not be written by this user; give it, and its folder, to the user that runs this program", path)
	}
	return nil, fmt.Errorf("open the access log %s: %w; write the name of a file", path, reasonOf(err))
}

// ReopenAccessLog opens the file of the access log anew, as is needed once it was
// renamed. Where that fails, the one that is open is written on, and the log of
// events says why. Without a file it does nothing.
func (s *Server) ReopenAccessLog() {
	path := s.access.path
	if path == "" {
		return
	}
	if err := s.access.reopen(); err != nil {
		s.tellReopenFailed(err, "mend this, then send SIGUSR1")
		return
	}
	s.log.Info(eventAccessReopen, "file", path)
}

func (s *Server) tellReopenFailed(err error, then string) {
	s.log.Error(eventAccessReopenFailed, "file", s.access.path, "error", err.Error(), "hint", "the file that was open is written on; "+then)
}

// watchAccessFile opens the file of the access log anew when another one has got
// its name, until ctx is done: not all that rotates files can send a signal. Where
// there is none any more, whoever took it away has until the next look to make one
// as he wants it.
func (s *Server) watchAccessFile(ctx context.Context) {
	if s.access.path == "" {
		return
	}
	ticker := time.NewTicker(s.filePoll)
	defer ticker.Stop()
	missing, told := false, false
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		was := missing
		var moved bool
		if moved, missing = s.access.moved(); !moved && !(missing && was) {
			continue
		}
		switch err := s.access.reopen(); {
		case err == nil:
			s.log.Info(eventAccessReopen, "file", s.access.path)
			missing, told = false, false
		case !told:
			s.tellReopenFailed(err, "mend this, and it is opened")
			told = true
		}
	}
}

// moved reports whether another file has the name of the one that is open, and
// whether none has.
func (a *accessLog) moved() (other, none bool) {
	named, err := os.Stat(a.path)
	if err != nil {
		return false, errors.Is(err, fs.ErrNotExist)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	open, err := a.file.Stat()
	return err == nil && !os.SameFile(named, open), false
}

// reopen opens the file by its name.
func (a *accessLog) reopen() error {
	f, err := openAccessFile(a.path)
	if err == nil {
		a.redirect(f)
	}
	return err
}

// print writes a line. One that cannot be written must not end the service, nor
// fill the other log: it is told of when that begins, and when it is over. a.mu
// is held.
func (a *accessLog) print(line []byte) {
	if a.torn { // what follows half a line would be lost with it
		_, err := a.out.Write([]byte("\n"))
		a.torn = err != nil
	}
	n, err := a.out.Write(line)
	switch {
	case err != nil:
		a.torn = a.torn || n > 0
		a.allLost.Add(1)
		if a.lost++; a.lost == 1 {
			a.log.Error(eventAccessWriteFailed, "file", a.path, "error", err.Error(), "hint", "make room there, or name another file by access_log.file; until then lines are lost")
		}
	case a.lost > 0:
		a.log.Info(eventAccessWrite, "file", a.path, "lost", a.lost)
		a.lost = 0
	}
}

// redirect has the lines that follow go to another file. Each line goes whole
// to the one or to the other.
func (a *accessLog) redirect(f *os.File) {
	a.mu.Lock()
	defer a.mu.Unlock()
	_ = a.file.Close() // each line was written by a call of its own
	a.out, a.file, a.torn = f, f, false
}

// close closes the file, once no line is to come.
func (a *accessLog) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.file != nil {
		_ = a.file.Close() // likewise
	}
}

// skips reports whether a request gets no line. One that was refused before its
// path was understood gets one, or any path could be hidden behind such a prefix.
func (a *accessLog) skips(x *exchange) bool {
	for _, prefix := range a.skip {
		if rest, below := cutPrefix(x.path, prefix); below && (len(rest) == 0 || rest[0] == '/' || strings.HasSuffix(prefix, "/")) {
			return true
		}
	}
	return false
}
