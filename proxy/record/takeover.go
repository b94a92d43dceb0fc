package record

import (
	"crypto/tls"
	"net"
)

// takeOver makes a Conn of a connection whose handshake tc has done over f, or
// returns tc, which goes on over f.
func (f *feed) takeOver(tc *tls.Conn, state tls.ConnectionState, client bool) net.Conn {
	if state.Version != tls.VersionTLS13 || f.left != 0 || f.torn {
		return tc
	}
	keys, err := newKeys(state.CipherSuite, client, f.secrets.client.bytes(), f.secrets.server.bytes())
	if err != nil {
		// No secret was seen, or the suite is a new one: crypto/tls does it as
		// well, and nobody needs to act on it.
		return tc
	}
	keys.out.seq = f.written(&keys.out)
	return &Conn{sock: f.socket, keys: keys}
}

// written is how many records crypto/tls has sealed by the key of h. All that
// it sealed by the handshake's key came before these, so unless there were
// none the last record is the last of them, and its number is below the number
// of all that were sealed.
func (f *feed) written(h *half) uint64 {
	if len(f.last) == 0 {
		return 0
	}
	scratch := getBuffer(len(f.last))
	defer scratch.free()
	defer func() { h.seq = 0 }()
	for seq := range uint64(f.sealed) {
		h.seq = seq
		if _, err := h.open(scratch.b[:0], f.last); err == nil {
			clear(scratch.b[:len(f.last)]) // it may be a session ticket
			return seq + 1
		}
	}
	return 0
}
