package diagnosis_test

import (
	"fmt"
	"net/http"

	"wsfront/proxy/diagnosis"
)

func ExampleOfAnswer() {
	answer := http.Header{"Server": {"gunicorn"}}
	cause, evidence := diagnosis.OfAnswer(diagnosis.Answer{
		Status: 404,
		Header: answer.Get,
		Body:   []byte("<h1>Not Found</h1>"),
	})
	fmt.Println(cause, "-", evidence)
	fmt.Println(cause.Sentence())
	// Output:
	// app-answered - 404 Not Found; Server: gunicorn; body begins "Not Found"
	// The handshake reaches the application under WSGI, which cannot take a WebSocket: no server setting cures that, the socket has to be served outside it.
}
