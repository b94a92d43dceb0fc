package main

import (
	"strings"
	"time"
)

// tellManager tells systemd that the service serves, and that it is alive, for as
// long as this is the process that counts. Connections are queued
// already, and all that is left is to accept them. At an upgrade the process
// before this one is told first.
func (s *service) tellManager() {
	s.before.Serving()
	s.manager.Ready(s.serving())
	s.manager.Watch(s.main, s.front.Alive)
	<-s.main.Done()
}

// tellEnd tells systemd that the service ends.
func (s *service) tellEnd() {
	<-s.parts.Done()
	if s.main.Err() == nil {
		s.manager.Stopping(s.drainTimeout() + cutTime)
	}
}

// cutTime is how long the process may take to end after drain_timeout.
const cutTime = 5 * time.Second

// serving says in a line what is served and where.
func (s *service) serving() string {
	secure, plain := s.front.Addrs()
	var where []string
	for _, a := range secure {
		where = append(where, "https at "+a.String())
	}
	for _, a := range plain {
		where = append(where, "http at "+a.String())
	}
	return "serving " + strings.Join(where, ", ")
}
