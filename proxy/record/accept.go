package record

import (
	"context"
	"crypto/tls"
	"io"
	"net"
)

// An Accepter does the server's side of TLS handshakes. Listeners that share
// one accept each other's session tickets. It may be used concurrently.
type Accepter struct {
	config *tls.Config
}

// NewAccepter makes an Accepter of a configuration, which is copied: later
// changes of it, of its session ticket keys too, have no effect. What its
// GetConfigForClient returns is used as it is, but for the KeyLogWriter, which
// like that of config is called in addition to the Accepter's own.
func NewAccepter(config *tls.Config) *Accepter {
	base, outer := config.Clone(), config.Clone()
	// crypto/tls takes the ticket keys from the Config it was given, if the one
	// returned here has none of its own, so that they outlive the handshake.
	outer.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		chosen := base
		if base.GetConfigForClient != nil {
			c, err := base.GetConfigForClient(hello)
			if err != nil {
				return nil, err
			}
			if c != nil {
				chosen = c
			}
		}
		return withSecrets(chosen, hello.Conn.(*feed)), nil
	}
	return &Accepter{config: outer}
}

// withSecrets is a copy of config that tells f the secrets of its handshake.
func withSecrets(config *tls.Config, f *feed) *tls.Config {
	c := config.Clone()
	c.KeyLogWriter = keyLog{secrets: &f.secrets, next: c.KeyLogWriter}
	return c
}

// Handshake does the handshake of one accepted connection. It returns a *Conn
// if TLS 1.3 was negotiated and not HTTP/2, else a *tls.Conn whose NetConn has
// the method Await() error, which waits as (*Conn).Await does while the
// *tls.Conn holds no data itself, that is after a Read that filled less than
// it was given, and Empty() bool likewise. The ConnectionState is that of the handshake; it holds the
// peer's certificates, so do not keep it longer than it is needed.
//
// When ctx is done, nc is closed and ctx's error is returned; after Handshake
// has returned, ctx is of no effect. On an error the caller closes nc.
func (a *Accepter) Handshake(ctx context.Context, nc net.Conn) (net.Conn, tls.ConnectionState, error) {
	f := newFeed(nc)
	return f.handshake(ctx, tls.Server(f, a.config), false)
}

// Client does the handshake towards a server, by a config as for tls.Client:
// it needs a ServerName or InsecureSkipVerify. What it returns, and what ctx
// does, is as with (*Accepter).Handshake. Session tickets that a server sends
// over a *Conn are dropped, so such a session is not resumed.
func Client(ctx context.Context, nc net.Conn, config *tls.Config) (net.Conn, error) {
	f := newFeed(nc)
	c, _, err := f.handshake(ctx, tls.Client(f, withSecrets(config, f)), true)
	return c, err
}

func (f *feed) handshake(ctx context.Context, tc *tls.Conn, client bool) (net.Conn, tls.ConnectionState, error) {
	defer f.settle()
	if !client {
		if err := f.awaitHello(ctx); err != nil {
			f.drop()
			return nil, tls.ConnectionState{}, err
		}
	}
	if err := tc.HandshakeContext(ctx); err != nil {
		f.drop()
		return nil, tls.ConnectionState{}, err
	}
	state := tc.ConnectionState()
	return f.takeOver(tc, state, client), state, nil
}

// awaitHello waits for the first record to be there whole. Whoever connects and
// says nothing, or stops within its ClientHello, then holds little more than a
// goroutine: crypto/tls would hold a state, another goroutine and a deep stack.
// The end, and what is no TLS, are for crypto/tls to tell.
func (f *feed) awaitHello(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { f.Close() })
	var err error
	for err == nil && len(f.bytes()) < headerLen {
		err = f.fill()
	}
	if err == nil && f.bytes()[0] == typeShake {
		err = f.Await()
	}
	if !stop() {
		return ctx.Err()
	}
	if err == io.EOF {
		return nil
	}
	return err
}
