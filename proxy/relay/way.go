package relay

// pass puts into out what goes on of p, which s has just said. t.mu is held.
func (t *Tunnel) pass(s side, p []byte, now int64, out *outbox) {
	if t.over {
		return
	}
	t.moved = now
	out.add(p)
}
