package upgrade

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
)

// Predecessor is the process whose place this one is to take. Its methods may be
// called on nil, which stands for none, and do nothing then.
type Predecessor struct {
	line    *line
	sockets map[string][]net.Listener
	paths   []*net.UnixListener // of sockets
	unused  []*net.UnixListener // of paths
	gone    chan struct{}       // closed when it has ended, after Serving
}

// Inherit returns the predecessor that started this process, or nil. What it has
// in the environment is taken out. It is called once.
func Inherit() (*Predecessor, error) {
	text, ok := os.LookupEnv(environment)
	if !ok {
		return nil, nil
	}
	os.Unsetenv(environment)
	var s settings
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return nil, fmt.Errorf("%s is for an upgrade by a running wsfront; unset it: %w", environment, err)
	}
	const first = 3 // the one behind standard error
	file := func(i int, name string) *os.File {
		syscall.CloseOnExec(first + i)
		return os.NewFile(uintptr(first+i), name)
	}
	f := file(0, "upgrade")
	defer f.Close()
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("%s is for an upgrade by a running wsfront; unset it: %w", environment, err)
	}
	p := &Predecessor{line: newLine(conn), sockets: map[string][]net.Listener{}, gone: make(chan struct{})}
	for i, name := range s.Sockets {
		f := file(1+i, name)
		l, err := net.FileListener(f)
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("take over the socket %s: %w", name, err)
		}
		if u, ok := l.(*net.UnixListener); ok {
			p.paths = append(p.paths, u)
		}
		p.sockets[name] = append(p.sockets[name], l)
	}
	return p, nil
}

// Sockets are those handed over by that name. They are the caller's from here on.
func (p *Predecessor) Sockets(name string) []net.Listener {
	if p == nil {
		return nil
	}
	taken := p.sockets[name]
	delete(p.sockets, name)
	return taken
}

// CloseUnused closes the sockets that nobody asked for; those with a file stay until
// Serving, as they are to go with it.
func (p *Predecessor) CloseUnused() {
	if p == nil {
		return
	}
	for name, list := range p.sockets {
		for _, l := range list {
			if u, ok := l.(*net.UnixListener); ok {
				p.unused = append(p.unused, u)
				continue
			}
			l.Close()
		}
		delete(p.sockets, name)
	}
}

// errAlone is why a process cannot go on that has lost its predecessor half way.
var errAlone = errors.New("the process before this one ended during the upgrade")

// Prepared tells that this process could serve, and waits for the word that what
// only one process may have is free.
func (p *Predecessor) Prepared() error {
	if p == nil {
		return nil
	}
	if err := p.line.say(word{Word: wordPrepared}); err != nil {
		return errAlone
	}
	return p.await(wordProceed)
}

// Serving tells that this process serves, and waits for the word that it is the
// one that counts: until then, systemd listens to the other one.
func (p *Predecessor) Serving() {
	if p == nil {
		return
	}
	for _, u := range p.paths {
		u.SetUnlinkOnClose(true) // as if this process had made it
	}
	for _, u := range p.unused {
		u.Close()
	}
	// If it has ended meanwhile, this process is the only one.
	if p.line.say(word{Word: wordServing}) == nil {
		_ = p.await(wordLead)
	}
	go func() { // ends with the predecessor or with this process; Gone tells
		defer close(p.gone)
		for {
			if _, err := p.line.hear(); err != nil {
				return
			}
		}
	}()
}

func (p *Predecessor) await(want string) error {
	if w, err := p.line.hear(); err != nil || w.Word != want {
		return errAlone
	}
	return nil
}

// Fail tells why this process cannot serve.
func (p *Predecessor) Fail(err error) {
	if p != nil {
		_ = p.line.say(word{Word: wordFailed, Reason: err.Error()}) // its end tells as well
	}
}

// Hurry has the predecessor end its drain now, as at a shutdown.
func (p *Predecessor) Hurry() { p.order(wordHurry) }

// Reopen has the predecessor open its access log anew.
func (p *Predecessor) Reopen() { p.order(wordReopen) }

func (p *Predecessor) order(w string) {
	if p != nil {
		_ = p.line.say(word{Word: w}) // it may have ended long ago
	}
}

// Gone is closed when the predecessor has ended, after Serving. It is nil where
// there is none.
func (p *Predecessor) Gone() <-chan struct{} {
	if p == nil {
		return nil
	}
	return p.gone
}
