package record_test

import (
	"crypto/tls"
	"testing"
)

func TestConn_SpeaksWithCryptoTLSClient(t *testing.T) {
	client, server := tls13(t)
	say(t, client, "question")
	hear(t, server, "question")
	say(t, server, "answer")
	hear(t, client, "answer")
}

func TestClient_SpeaksWithCryptoTLSServer(t *testing.T) {
	server, c := dialed(t, serverConfig())
	client := taken(t, c)
	say(t, client, "question")
	hear(t, server, "question")
	say(t, server, "answer")
	hear(t, client, "answer")
}

var _ = tls.VersionTLS13
