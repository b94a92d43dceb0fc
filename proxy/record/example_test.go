package record_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http/httptest"

	"wsfront/proxy/record"
)

// A server that echoes one message to a client of crypto/tls.
func ExampleAccepter() {
	certificates := httptest.NewTLSServer(nil) // for its certificate
	defer certificates.Close()
	a := record.NewAccepter(&tls.Config{Certificates: certificates.TLS.Certificates})

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Close()
	done := make(chan error, 1)
	go func() { done <- echo(a, l) }() // ends with its client, awaited below

	client, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Fprint(client, "hello")
	client.CloseWrite()
	answer, err := io.ReadAll(client)
	fmt.Printf("%s %v %v\n", answer, err, <-done)
	client.Close()
	// Output: hello <nil> <nil>
}

func echo(a *record.Accepter, l net.Listener) error {
	nc, err := l.Accept()
	if err != nil {
		return err
	}
	defer nc.Close()
	c, _, err := a.Handshake(context.Background(), nc)
	if err != nil {
		return err
	}
	defer c.Close()
	if rc, ok := c.(*record.Conn); ok {
		// However long this takes, the connection holds no buffer.
		if err := rc.Await(); err != nil {
			return err
		}
	}
	_, err = io.Copy(c, c)
	return err
}
