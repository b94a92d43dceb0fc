package pusher

import (
	"fmt"
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

// BenchmarkPublish is the time from a publish until all subscribers have the
// message, with one message under way and with 16, for which a client's frames
// are written together. The clients' reading is in it.
func BenchmarkPublish(b *testing.B) {
	for _, clients := range []int{1, 100, 1000} {
		for _, window := range []int{1, 16} {
			b.Run(fmt.Sprintf("clients=%d/window=%d", clients, window), func(b *testing.B) {
				benchmarkPublish(b, clients, window)
			})
		}
	}
}

func benchmarkPublish(b *testing.B, clients, window int) {
	hub, err := New(Config{}, nil, nil)
	if err != nil {
		b.Fatal(err)
	}
	endpoint, err := hub.Endpoint(Endpoint{Channel: "board"})
	if err != nil {
		b.Fatal(err)
	}
	server := httptest.NewServer(endpoint)
	defer server.Close()
	message := Message{Text: true, Data: []byte(strings.Repeat("x", 100))}
	const frame = 102
	arrived := make(chan struct{}, clients*window)
	for range clients {
		c, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(server.URL, "http"), nil)
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		go func() { // ends with c
			buf := make([]byte, 64*frame)
			for got := 0; ; {
				n, err := c.NetConn().Read(buf)
				if err != nil {
					return
				}
				for got += n; got >= frame; got -= frame {
					arrived <- struct{}{}
				}
			}
		}()
	}
	b.ReportAllocs()
	underWay := 0
	for b.Loop() {
		if done, err := hub.Publish(b.Context(), "board", message); done.Subscribers != clients || err != nil {
			b.Fatalf("reached %d, %v", done.Subscribers, err)
		}
		if underWay++; underWay == window {
			for range clients * window {
				<-arrived
			}
			underWay = 0
		}
	}
	for range clients * underWay {
		<-arrived
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*clients), "ns/delivery")
}

// BenchmarkPublishAPI is the handler alone, without a connection.
func BenchmarkPublishAPI(b *testing.B) {
	hub, err := New(Config{}, nil, nil)
	if err != nil {
		b.Fatal(err)
	}
	api := hub.PublishAPI(testKey)
	body := strings.NewReader(strings.Repeat("x", 100))
	request := httptest.NewRequest("POST", "/channels/board", io.NopCloser(body))
	request.ContentLength = body.Size()
	request.Header.Set("Authorization", "Bearer "+testKey)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = body.Seek(0, io.SeekStart)
		answer := httptest.NewRecorder()
		api.ServeHTTP(answer, request)
		if answer.Code != 200 {
			b.Fatal(answer.Body)
		}
	}
}
