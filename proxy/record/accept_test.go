package record

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

func TestHandshake_DataInTheFinishedsPacketArrives(t *testing.T) {
	c, s := socketPair(t)
	held := &holdAnswer{holdConn{Conn: c}}
	client := tls.Client(held, clientConfig())
	sent := make(chan error, 1)
	go func() { // ended by the socket's deadline, awaited below
		_, err := io.WriteString(client, "early")
		if err == nil {
			_, err = io.WriteString(client, "second")
		}
		if err == nil {
			err = client.CloseWrite()
		}
		if err == nil {
			err = held.letGo()
		}
		sent <- err
	}()
	conn, _, err := NewAccepter(serverConfig()).Handshake(t.Context(), s)
	if err := errors.Join(err, <-sent); err != nil {
		t.Fatal(err)
	}
	server := taken(t, conn)
	hear(t, server, "early")
	hear(t, server, "second")
	if n, err := server.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Fatalf("the pipelined end: %d, %v", n, err)
	}
}

// The sequence number to go on with differs with what crypto/tls has written
// under the application's key; the client notices any mistake.
func TestHandshake_GoesOnWhereCryptoTLSStopped(t *testing.T) {
	large := testCert()
	for range 80 {
		large.Certificate = append(large.Certificate, large.Certificate[0])
	}
	for _, c := range []struct {
		name    string
		written uint64
		server  func(*tls.Config)
		client  func(*tls.Config)
	}{
		{"a ticket", 1, func(*tls.Config) {}, func(*tls.Config) {}},
		{"no ticket", 0, func(c *tls.Config) { c.SessionTicketsDisabled = true }, func(*tls.Config) {}},
		{"a client that wants no ticket", 0, func(*tls.Config) {}, func(c *tls.Config) { c.ClientSessionCache = nil }},
		{
			"a ticket behind the client's certificate", 1,
			func(c *tls.Config) { c.ClientAuth = tls.RequireAnyClientCert },
			func(c *tls.Config) { c.Certificates = []tls.Certificate{testCert()} },
		},
		{
			"a ticket of two records", 2,
			func(c *tls.Config) { c.ClientAuth = tls.RequireAnyClientCert },
			func(c *tls.Config) { c.Certificates = []tls.Certificate{large} },
		},
		{
			"a second ClientHello", 1,
			func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.CurveP384} },
			func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP384} },
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			sc, cc := serverConfig(), clientConfig()
			c.server(sc)
			c.client(cc)
			client, server := socketPair(t)
			p := accept(t, NewAccepter(sc), cc, client, server)
			if n := taken(t, p.server).keys.out.seq; n != c.written {
				t.Errorf("%d records under the application's key, want %d", n, c.written)
			}
			say(t, p.server, "answer")
			hear(t, p.client, "answer")
			say(t, p.client, "question")
			hear(t, p.server, "question")
		})
	}
}

func TestHandshake_LeavesOthersToCryptoTLS(t *testing.T) {
	for name, change := range map[string]func(client, server *tls.Config){
		"TLS 1.2": func(client, _ *tls.Config) { client.MaxVersion = tls.VersionTLS12 },
	} {
		t.Run(name, func(t *testing.T) {
			cc, sc := clientConfig(), serverConfig()
			change(cc, sc)
			client, server := socketPair(t)
			held := &holdConn{Conn: client}
			p := accept(t, NewAccepter(sc), cc, held, server)
			tc, ok := p.server.(*tls.Conn)
			if !ok {
				t.Fatalf("it was taken over: %T", p.server)
			}
			say(t, tc, "answer")
			hear(t, p.client, "answer")

			// Two records in one packet: Await must not wait for a second packet.
			held.holds = true
			say(t, p.client, "one")
			say(t, p.client, "two")
			if err := held.letGo(); err != nil {
				t.Fatal(err)
			}
			below := tc.NetConn().(interface {
				Await() error
				NetConn() net.Conn
			})
			for _, want := range []string{"one", "two"} {
				if err := below.Await(); err != nil {
					t.Fatal(err)
				}
				buf := make([]byte, 100)
				n, err := tc.Read(buf)
				if err != nil || string(buf[:n]) != want {
					t.Fatalf("read %q, %v; want %q", buf[:n], err, want)
				}
			}
			f := tc.NetConn().(*feed)
			if f.buf != nil || f.secrets != (secrets{}) || f.last != nil {
				t.Error("the connection still holds a buffer, its secrets or a record")
			}
			if below.NetConn() != server {
				t.Error("NetConn is not the socket")
			}
			if err := p.client.Close(); err != nil {
				t.Fatal(err)
			}
			if err := below.Await(); err != nil { // close_notify
				t.Fatal(err)
			}
			if _, err := tc.Read(make([]byte, 1)); err != io.EOF {
				t.Fatalf("at the end: %v", err)
			}
			if err := below.Await(); err != io.EOF {
				t.Fatalf("after the end: %v", err)
			}
		})
	}
}

func TestHandshake_TLS12InAnySegments(t *testing.T) {
	sc := serverConfig()
	sc.MaxVersion = tls.VersionTLS12
	client, server := socketPair(t)
	p := accept(t, NewAccepter(sc), clientConfig(), client, server)
	flow := bytes.Repeat([]byte("0123456789abcdefg"), 40_000)
	failed := make(chan error, 1)
	go func() { failed <- writeRandomly(p.client, flow, 1) }() // ended by the socket's deadline, awaited below
	if err := errors.Join(readRandomly(p.server, flow, 2), <-failed); err != nil {
		t.Fatal(err)
	}
}

func TestHandshake_PlainHTTPIsToldFromTLS(t *testing.T) {
	client, server := socketPair(t)
	say(t, client, "GET / HTTP/1.1\r\nHost: front.test\r\n\r\n")
	_, _, err := NewAccepter(serverConfig()).Handshake(t.Context(), server)
	header, ok := errors.AsType[tls.RecordHeaderError](err)
	if !ok || string(header.RecordHeader[:]) != "GET /" {
		t.Fatalf("Handshake returned %v", err)
	}
	say(t, header.Conn, "HTTP/1.0 400 Bad Request\r\n\r\n")
	hear(t, client, "HTTP/1.0 400 Bad Request\r\n\r\n")
}

func TestHandshake_ClientGoesAway(t *testing.T) {
	for _, sent := range []string{"", "\x16", "\x16\x03\x01\x02", "\x16\x03\x01\x02\x00\x01"} {
		client, server := socketPair(t)
		say(t, client, sent)
		client.Close()
		if _, _, err := NewAccepter(serverConfig()).Handshake(t.Context(), server); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("after %q Handshake returned %v", sent, err)
		}
	}
}

// A writerFunc is a tls.Config.KeyLogWriter.
type writerFunc func([]byte)

func (f writerFunc) Write(p []byte) (int, error) {
	f(p)
	return len(p), nil
}

func TestHandshake_CanceledLeavesNoSecret(t *testing.T) {
	client, server := socketPair(t)
	ctx, cancel := context.WithCancel(t.Context())
	f := newFeed(server)
	seen := false
	config := serverConfig()
	config.KeyLogWriter = writerFunc(func(line []byte) {
		if bytes.HasPrefix(line, []byte("SERVER_TRAFFIC_SECRET_0 ")) {
			seen = f.secrets.client.n == 32 && f.secrets.server.n == 32
			cancel() // while the server waits for a Finished that does not come
		}
	})
	c := tls.Client(&holdAnswer{holdConn{Conn: client}}, clientConfig())
	done := make(chan error, 1)
	go func() { done <- c.HandshakeContext(t.Context()) }() // ends with the first flight, awaited below
	_, _, err := f.handshake(ctx, tls.Server(f, withSecrets(config, f)), false)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("handshake returned %v", err)
	}
	if !seen {
		t.Error("the handshake was over before there were secrets")
	}
	if f.secrets != (secrets{}) || f.last != nil || f.buf != nil {
		t.Error("the canceled handshake still has its secrets, a record or a buffer")
	}
	if _, err := server.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the connection is not closed: %v", err)
	}
	<-done
}

func TestHandshake_EndsWhenCanceled(t *testing.T) {
	for _, sent := range []string{"", "\x16", "\x16\x03\x01\x02\x00\x01"} {
		client, server := socketPair(t)
		say(t, client, sent)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		if _, _, err := NewAccepter(serverConfig()).Handshake(ctx, server); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after %q Handshake returned %v", sent, err)
		}
		cancel()
	}
}

func TestHandshake_WaitsForClientHelloWithoutCryptoTLS(t *testing.T) {
	client, server := socketPair(t)
	f := newFeed(server)
	waited := make(chan error, 1)
	go func() { waited <- f.awaitHello(t.Context()) }() // ends with the rest of the record, awaited below
	for _, piece := range []string{"\x16", "\x03\x01", "\x00\x02\x01", "\x00"} {
		say(t, client, piece)
	}
	if err := <-waited; err != nil || string(f.bytes()) != "\x16\x03\x01\x00\x02\x01\x00" {
		t.Errorf("it waited for %q, %v", f.bytes(), err)
	}
}

func TestHandshake_ConfigsOwnKeyLogIsServed(t *testing.T) {
	var log, own bytes.Buffer
	config := serverConfig()
	config.KeyLogWriter = &log
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if hello.ServerName == "front.test" {
			return nil, nil
		}
		c := serverConfig()
		c.KeyLogWriter = &own
		return c, nil
	}
	a := NewAccepter(config)
	client, server := socketPair(t)
	accept(t, a, clientConfig(), client, server)
	other := clientConfig()
	other.ServerName, other.InsecureSkipVerify = "other.test", true
	client, server = socketPair(t)
	taken(t, accept(t, a, other, client, server).server)
	for name, b := range map[string]*bytes.Buffer{"Config's": &log, "GetConfigForClient's": &own} {
		if n := bytes.Count(b.Bytes(), []byte("\n")); n != 4 {
			t.Errorf("the %s own log has %d lines", name, n)
		}
	}
}

func TestHandshake_GetConfigForClientRefuses(t *testing.T) {
	refusal := errors.New("not now")
	config := serverConfig()
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, refusal }
	client, server := socketPair(t)
	done := make(chan error, 1)
	go func() { done <- tls.Client(client, clientConfig()).HandshakeContext(t.Context()) }() // ended by the alert, awaited below
	if _, _, err := NewAccepter(config).Handshake(t.Context(), server); !errors.Is(err, refusal) {
		t.Errorf("Handshake returned %v", err)
	}
	if err := <-done; err == nil {
		t.Error("the client was not refused")
	}
}

func TestClient_SpeaksWithCryptoTLSServer(t *testing.T) {
	server, c := dialed(t, serverConfig())
	client := taken(t, c)
	say(t, client, "question")
	hear(t, server, "question")
	say(t, server, "answer")
	hear(t, client, "answer")
}

func TestClient_LeavesTLS12ToCryptoTLS(t *testing.T) {
	config := serverConfig()
	config.MaxVersion = tls.VersionTLS12
	server, client := dialed(t, config)
	if _, ok := client.(*tls.Conn); !ok {
		t.Fatalf("it was taken over: %T", client)
	}
	say(t, server, "answer")
	hear(t, client, "answer")
}

func TestClient_WithCertificate(t *testing.T) {
	config := serverConfig()
	config.ClientAuth = tls.RequireAnyClientCert
	c, s := socketPair(t)
	cc := clientConfig()
	cc.Certificates = []tls.Certificate{testCert()}
	server := tls.Server(s, config)
	done := make(chan error, 1)
	go func() { done <- server.HandshakeContext(t.Context()) }() // ended by the socket's deadline, awaited below
	conn, err := Client(t.Context(), c, cc)
	if err := errors.Join(err, <-done); err != nil {
		t.Fatal(err)
	}
	client := taken(t, conn)
	if n := client.keys.out.seq; n != 0 {
		t.Errorf("it begins at number %d", n)
	}
	say(t, client, "question")
	hear(t, server, "question")
}

func TestClient_UntrustedServerIsRefused(t *testing.T) {
	c, s := socketPair(t)
	done := make(chan error, 1)
	go func() { done <- tls.Server(s, serverConfig()).HandshakeContext(t.Context()) }() // ended by the alert, awaited below
	if _, err := Client(t.Context(), c, &tls.Config{ServerName: "front.test"}); err == nil {
		t.Error("an unknown certificate was trusted")
	}
	if err := <-done; err == nil {
		t.Error("the server was not told")
	}
}
