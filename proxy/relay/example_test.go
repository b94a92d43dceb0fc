package relay_test

import (
	"context"
	"fmt"
	"io"
	"net"

	"wsfront/proxy/relay"
)

// accounts is the owner of tunnels whose results are all that it wants.
type accounts chan relay.Result

func (a accounts) Over(r relay.Result) { a <- r }

// A front accepts one client, dials the backend, and leaves the two to each
// other. The backend answers once it has heard the client's end.
func Example() {
	backend, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer backend.Close()
	go func() { // ends with the tunnel's connection
		c, err := backend.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		question, _ := io.ReadAll(c)
		fmt.Fprintf(c, "you asked: %s", question)
	}()

	front, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer front.Close()
	engine, err := relay.NewEngine()
	if err != nil {
		panic(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- engine.Run(ctx) }() // stopped and waited for below

	results := make(accounts)
	go func() { // ends with the client; the receive below waits for it
		client, err := front.Accept()
		if err != nil {
			panic(err)
		}
		upstream, err := net.Dial("tcp", backend.Addr().String())
		if err != nil {
			panic(err)
		}
		engine.Start(client, upstream, &relay.Options{}, relay.Early{}, results)
	}()

	c, err := net.Dial("tcp", front.Addr().String())
	if err != nil {
		panic(err)
	}
	defer c.Close()
	fmt.Fprint(c, "anyone there?")
	c.(*net.TCPConn).CloseWrite()
	reply, _ := io.ReadAll(c)
	r := <-results
	fmt.Printf("%s\n%s: %d bytes up, %d bytes down\n", reply, r.Reason, r.FromClient.Bytes, r.FromBackend.Bytes)

	stop()
	<-ended
	// Output:
	// you asked: anyone there?
	// client closed: 13 bytes up, 24 bytes down
}
