package pusher_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/gorilla/websocket"

	"wsfront/pusher"
)

// A page listens to a channel and an application publishes to it.
func ExampleHub() {
	hub, err := pusher.New(pusher.Config{}, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer hub.Shutdown(context.Background())
	endpoint, err := hub.Endpoint(pusher.Endpoint{Channel: "board"})
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.Handle("/websocket", endpoint)
	mux.Handle("/channels/", hub.PublishAPI("secret")) // on a listener of its own, usually
	server := httptest.NewServer(mux)
	defer server.Close()

	// In a page: new WebSocket("ws://" + location.host + "/websocket")
	page, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(server.URL, "http")+"/websocket", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer page.Close()

	// In a shell: curl -H "X-API-Key: secret" -d "Hello, board" http://.../channels/board
	request, _ := http.NewRequest("POST", server.URL+"/channels/board", strings.NewReader("Hello, board"))
	request.Header.Set("X-API-Key", "secret")
	answer, err := server.Client().Do(request)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer answer.Body.Close()
	body, _ := io.ReadAll(answer.Body)
	fmt.Print(strings.SplitAfter(string(body), ",")[1], "\n") // and the message's position

	_, data, err := page.ReadMessage()
	fmt.Println(string(data), err)
	// Output:
	// "subscribers":1,
	// Hello, board <nil>
}
