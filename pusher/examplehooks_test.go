package pusher_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

	"wsfront/pusher"
)

// The app hears who comes and goes, and decides about what clients send.
func ExampleHooks() {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // a real app checks X-Push-Signature first
		event := r.Header.Get("X-Push-Event")
		fmt.Println("app:", event, r.Header.Get("X-Push-ID")[:26])
		if event != pusher.HookMessage {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		w.Header().Set("Content-Type", "text/plain")
		fmt.Fprintf(w, "%s says: %s", r.Header.Get("X-Push-User"), body)
	}))
	defer app.Close()
	dir, err := os.MkdirTemp("", "hooks")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	hooks, err := pusher.NewHooks(pusher.Webhooks{
		URL:        app.URL + "/push/events",
		SecretFile: filepath.Join(dir, "webhook.secret"),
	}, pusher.NewMemory(pusher.History{}).KV(), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	go hooks.Run(context.Background()) // ended by Shutdown, which waits for it

	client := pusher.ClientInfo{ID: "AAAAAAAAAAAAAAAAAAAAAAAAAA", Channels: []string{"board"}, User: "ann", Transport: "websocket"}
	hooks.Connect(client)
	verdict, err := hooks.Message(context.Background(), client, true, []byte("hello"))
	fmt.Printf("publish %t: %s (%v)\n", verdict.Publish, verdict.Data, err)
	hooks.Disconnect(client, 1001, "going away")
	if err := hooks.Shutdown(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output:
	// app: connect AAAAAAAAAAAAAAAAAAAAAAAAAA
	// app: message AAAAAAAAAAAAAAAAAAAAAAAAAA
	// publish true: ann says: hello (<nil>)
	// app: disconnect AAAAAAAAAAAAAAAAAAAAAAAAAA
}
