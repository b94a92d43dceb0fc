package park_test

import (
	"fmt"
	"net"
	"time"

	"wsfront/proxy/park"
)

func Example() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer listener.Close()
	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	conn, err := listener.Accept()
	if err != nil {
		fmt.Println(err)
		return
	}

	var lot park.Lot
	defer lot.Close()
	done := make(chan struct{})
	serve := func() {
		defer close(done)
		defer conn.Close()
		text := make([]byte, 5)
		_, err := conn.Read(text) // as always
		fmt.Println(string(text), err)
	}
	idleEnd := time.Now().Add(time.Minute)
	parked := lot.Park(conn, idleEnd, func(ready bool) {
		if ready {
			go serve()
			return
		}
		conn.Close()
		close(done)
	})
	if !parked {
		go serve() // which waits for itself
	}
	fmt.Fprint(client, "hello")
	<-done
	// Output: hello <nil>
}
