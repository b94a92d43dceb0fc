package record

import (
	"crypto/tls"
	"testing"
)

// resumed does a handshake over fresh sockets, says something both ways, for
// the ticket to be read, and reports whether the session was an earlier one.
func resumed(t *testing.T, a *Accepter, config *tls.Config) bool {
	t.Helper()
	client, server := socketPair(t)
	p := accept(t, a, config, client, server)
	say(t, p.server, "answer")
	hear(t, p.client, "answer")
	say(t, p.client, "question")
	hear(t, p.server, "question")
	if p.state.DidResume != p.client.ConnectionState().DidResume {
		t.Fatal("client and server disagree")
	}
	return p.state.DidResume
}

// Every socketPair is a listener of its own.
func TestTickets_AreSharedByListenersAndOutliveAReload(t *testing.T) {
	for name, version := range map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
		t.Run(name, func(t *testing.T) {
			certificate := testCert()
			config := &tls.Config{
				MaxVersion: version,
				GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
					return &certificate, nil
				},
				GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, nil },
			}
			a := NewAccepter(config)
			cc := clientConfig()
			if resumed(t, a, cc) {
				t.Fatal("the first session was resumed")
			}
			certificate = newCert() // which is what a reload changes
			for range 3 {
				if !resumed(t, a, cc) {
					t.Fatal("a later session was not resumed")
				}
			}
			certificate = testCert()
			if resumed(t, NewAccepter(config), cc) {
				t.Error("another Accepter took the ticket")
			}
		})
	}
}

func TestTickets_AConfigForClientSharesThem(t *testing.T) {
	config := serverConfig()
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return serverConfig(), nil }
	a := NewAccepter(config)
	cc := clientConfig()
	resumed(t, a, cc)
	if !resumed(t, a, cc) {
		t.Error("not resumed")
	}
}

func TestTickets_AConfigForClientKeepsItsOwnKeys(t *testing.T) {
	own := serverConfig()
	own.SetSessionTicketKeys([][32]byte{{1}})
	config := serverConfig()
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return own, nil }
	cc := clientConfig()
	resumed(t, NewAccepter(config), cc)
	if !resumed(t, NewAccepter(config), cc) {
		t.Error("two Accepters with the same keys do not take each other's tickets")
	}
}
