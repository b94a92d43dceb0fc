package record

import (
	"crypto/tls"
	"io"
	"testing"
)

// Keys that have rested go on where they were, KeyUpdates included.
func TestKeys_GoOnAfterRest(t *testing.T) {
	eachSuite(t, func(t *testing.T, client, server *Keys) {
		for range 3 {
			if got := opened(t, server, client.Seal(nil, []byte("to server"))); got != "to server" {
				t.Fatalf("%q", got)
			}
			client.Rest()
			server.Rest()
			if got := opened(t, client, server.Seal(nil, []byte("to client"))); got != "to client" {
				t.Fatalf("%q", got)
			}
			client.Rest()
			opened(t, server, requestUpdate(client, nil))
			server.Rest()
			if server.in.aead != nil || server.out.aead != nil {
				t.Fatal("it holds what Rest drops")
			}
		}
	})
}

func TestConn_EmptyTellsWhatIsHeld(t *testing.T) {
	client, server := tls13(t)
	if !server.Empty() {
		t.Error("not empty after the handshake")
	}
	say(t, client, "hello")
	if err := server.Await(); err != nil {
		t.Fatal(err)
	}
	if server.Empty() {
		t.Error("empty with a record awaited")
	}
	p := make([]byte, 3)
	if _, err := io.ReadFull(server, p); err != nil {
		t.Fatal(err)
	}
	if server.Empty() {
		t.Error("empty with half of it read")
	}
	if _, err := io.ReadFull(server, p[:2]); err != nil {
		t.Fatal(err)
	}
	if !server.Empty() {
		t.Error("not empty with all of it read")
	}
	// A part of a record.
	if _, err := client.NetConn().Write([]byte{protected, 3, 3, 1}); err != nil {
		t.Fatal(err)
	}
	if err := server.sock.fill(); err != nil {
		t.Fatal(err)
	}
	if server.Empty() {
		t.Error("empty with a part of a record")
	}
}

func TestConn_RestsBetweenMessages(t *testing.T) {
	client, server := tls13(t)
	for range 3 {
		server.Rest()
		say(t, client, "ping")
		p := make([]byte, 4)
		if _, err := io.ReadFull(server, p); err != nil || string(p) != "ping" {
			t.Fatalf("%q, %v", p, err)
		}
		server.Rest()
		say(t, server, "pong")
		if _, err := io.ReadFull(client, p); err != nil || string(p) != "pong" {
			t.Fatalf("%q, %v", p, err)
		}
	}
}

// BenchmarkRest is what the first record costs after a rest, beside itself.
func BenchmarkRest(b *testing.B) {
	for _, suite := range suites {
		b.Run(tls.CipherSuiteName(suite), func(b *testing.B) {
			keys, _ := keyPair(b, suite)
			b.ReportAllocs()
			for b.Loop() {
				keys.Rest()
				keys.out.ready()
			}
		})
	}
}
