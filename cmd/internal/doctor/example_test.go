package doctor_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"wsfront/cmd/internal/doctor"
)

// A server that answers the handshake with a page.
func Example() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "<title>Board</title>")
	}))
	defer server.Close()
	report, err := doctor.Run(context.Background(), doctor.Options{URL: strings.Replace(server.URL, "http", "ws", 1) + "/websocket"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(report.Exit, report.Cause.ID)
	fmt.Println(report.Cause.Sentence)
	// Output:
	// 4 page-answered
	// An ordinary page answers in place of a WebSocket: the handshake is routed to the pages, or to a path that is no WebSocket.
}
