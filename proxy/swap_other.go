//go:build !unix

package proxy

import "net"

// swap would send a request and read its answer in one go, where a system has
// such sockets.
type swap struct {
	socket *struct{} // always nil
	used   bool
	out    []byte
}

func (s *swap) init(net.Conn) {}

// isQuiet finds no connection fit to be used again, as there is no way to ask
// whether the backend has closed it.
func (s *swap) isQuiet() bool { return false }

func (s *swap) run(conn net.Conn, p []byte) (int, error) { return conn.Read(p) }

// withAwait is for systems where a connection can be waited for without a
// buffer.
func withAwait(conn net.Conn) net.Conn { return conn }
