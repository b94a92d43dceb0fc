package proxy

// Capacity tells how many connections and tunnels there may be at a time by the
// configuration in effect, by the limits' keys, max_connections and max_tunnels.
// It may be called concurrently.
func (s *Server) Capacity() map[string]int64 {
	l := s.limits.Load()
	return map[string]int64{
		limitMaxConnections: int64(l.MaxConnections),
		limitMaxTunnels:     int64(l.maxTunnels),
	}
}
