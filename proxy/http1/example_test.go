package http1_test

import (
	"fmt"
	"io"
	"log"
	"strings"

	"wsfront/proxy/http1"
)

// A request is read from a connection, here a string: its head, its body, and
// what lies behind it.
func Example() {
	var reader http1.Reader
	reader.Reset(strings.NewReader("POST /chat?room=7 HTTP/1.1\r\nHost: www.example.com\r\n" +
		"Transfer-Encoding: chunked\r\n\r\n5\r\nHello\r\n7\r\n, world\r\n0\r\n\r\nGET / HTTP/1.1\r\n"))
	defer reader.Reset(nil)

	var request http1.Request
	for {
		n, err := request.Parse(reader.Buffered(), http1.Limits{})
		if err != nil {
			log.Fatal(err)
		}
		if n > 0 {
			reader.Discard(n)
			break
		}
		if err := reader.Fill(); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Printf("%s %s from %s\n", request.Method, request.Path, request.HostValue)

	var body http1.Body
	body.Reset(&reader, request.Framing(), request.ContentLength, http1.Limits{})
	for {
		piece, err := body.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%q\n", piece)
	}
	fmt.Printf("next: %q\n", reader.Buffered())
	// Output:
	// POST /chat from www.example.com
	// "Hello"
	// ", world"
	// next: "GET / HTTP/1.1\r\n"
}
