package proxy

import "net"

// Adopt hands over sockets that are listened at already, such as those that
// systemd opened. Listen then uses each whose address fits one of the
// configuration, instead of opening another, and closes the rest. Whoever
// opened them may go on holding them open, so that clients who connect during a
// restart wait instead of being refused. It is called before Listen.
func (s *Server) Adopt(sockets ...net.Listener) { s.adopted = append(s.adopted, sockets...) }

// claim takes the adopted sockets that fit an address.
func (s *Server) claim(address string) (fitting []net.Listener) {
	rest := s.adopted[:0]
	for _, l := range s.adopted {
		if fits(l.Addr(), address) {
			fitting = append(fitting, l)
		} else {
			rest = append(rest, l)
		}
	}
	s.adopted = rest
	return fitting
}

// fits reports whether a socket is one for an address of the configuration. An
// address without a host is for every socket that takes connections to any
// address of the machine: there may be one for IPv4 and one for IPv6.
func fits(socket net.Addr, address string) bool {
	has, ok := socket.(*net.TCPAddr)
	if !ok {
		return false
	}
	wanted, err := net.ResolveTCPAddr("tcp", address)
	if err != nil || wanted.Port != has.Port {
		return false
	}
	return wanted.IP == nil && has.IP.IsUnspecified() || wanted.IP.Equal(has.IP) && wanted.Zone == has.Zone
}

// closeUnused closes the sockets that fit no address, and says so: clients that
// connect there would wait for ever, as long as whoever opened them holds them.
func (s *Server) closeUnused() {
	for _, l := range s.adopted {
		s.log.Warn(eventListenUnused, "address", l.Addr().String(),
			"hint", "add this address to listen or http_listen, or take it out of wsfront.socket (ListenStream=)")
		l.Close()
	}
	s.adopted = nil
}

// samePort is the address of an adopted socket at the port of another address,
// which is why that cannot be opened; or nil.
func (s *Server) samePort(address string) net.Addr {
	_, wanted, _ := net.SplitHostPort(address)
	for _, l := range s.adopted {
		if _, port, err := net.SplitHostPort(l.Addr().String()); err == nil && port == wanted {
			return l.Addr()
		}
	}
	return nil
}
