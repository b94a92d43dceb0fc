package record

import (
	"bytes"
	"encoding/hex"
	"io"
)

// secrets are the application traffic secrets of one connection, and have
// length 0 until crypto/tls has made them.
type secrets struct {
	client, server secret
}

type secret struct {
	b [maxSecret]byte
	n int
}

func (s *secret) bytes() []byte { return s.b[:s.n] }

// erase forgets them. crypto/tls's own copies are garbage by now.
func (s *secrets) erase() { *s = secrets{} }

// A keyLog is the tls.Config.KeyLogWriter of one handshake, called by crypto/tls
// from within it. next is what the Config had in its place, or nil.
type keyLog struct {
	*secrets
	next io.Writer
}

// Write takes one line in the format of NSS: a label, the client's random
// value, and the secret, the last two in hexadecimal.
func (l keyLog) Write(line []byte) (int, error) {
	label, rest, _ := bytes.Cut(line, []byte(" "))
	_, value, _ := bytes.Cut(rest, []byte(" "))
	value = bytes.TrimRight(value, "\n")
	switch string(label) {
	case "CLIENT_TRAFFIC_SECRET_0":
		l.client.take(value)
	case "SERVER_TRAFFIC_SECRET_0":
		l.server.take(value)
	}
	if l.next != nil {
		return l.next.Write(line)
	}
	return len(line), nil
}

// take leaves a secret that it does not understand empty, so that the
// connection is not taken over.
func (s *secret) take(value []byte) {
	if hex.DecodedLen(len(value)) > len(s.b) {
		return
	}
	if n, err := hex.Decode(s.b[:], value); err == nil {
		s.n = n
	}
}
