package upgrade

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
)

// The words of the protocol.
const (
	wordPrepared = "prepared" // new to old
	wordProceed  = "proceed"  // old to new
	wordServing  = "serving"  // new to old
	wordLead     = "lead"     // old to new
	wordFailed   = "failed"   // new to old, with the reason
	wordHurry    = "hurry"    // new to old
	wordReopen   = "reopen"   // new to old
)

// word is one message.
type word struct {
	Word   string `json:"word"`
	Reason string `json:"reason,omitempty"`
}

// line is one end of the connection between two processes.
type line struct {
	net.Conn
	in *json.Decoder
	mu sync.Mutex // of writing
}

func newLine(conn net.Conn) *line { return &line{Conn: conn, in: json.NewDecoder(conn)} }

func (l *line) say(w word) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return json.NewEncoder(l.Conn).Encode(w)
}

func (l *line) hear() (w word, err error) {
	err = l.in.Decode(&w)
	return w, err
}

// newPair makes a connection: an end of this process, and one to hand over.
func newPair() (*line, *os.File, error) {
	syscall.ForkLock.RLock() // no other process that is started meanwhile is to hold an end
	ends, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(ends[0])
		syscall.CloseOnExec(ends[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, fmt.Errorf("make a connection to the new process: %w", err)
	}
	own, theirs := os.NewFile(uintptr(ends[0]), "upgrade"), os.NewFile(uintptr(ends[1]), "upgrade")
	defer own.Close()
	conn, err := net.FileConn(own)
	if err != nil {
		theirs.Close()
		return nil, nil, fmt.Errorf("make a connection to the new process: %w", err)
	}
	return newLine(conn), theirs, nil
}
