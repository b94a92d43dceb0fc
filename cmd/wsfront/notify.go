package main

import (
	"strings"
	"time"
)

// tellManager tells systemd that the service serves, and when it stops doing so.
// Connections are queued already, and all that is left is to accept them.
func (s *service) tellManager() {
	s.manager.Ready(s.serving())
	<-s.parts.Done()
	s.manager.Stopping(s.drainTimeout() + cutTime)
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
