package natsbroker_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"wsfront/pusher"
	"wsfront/pusher/natsbroker"
)

func Example() {
	dir, err := os.MkdirTemp("", "store")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	for range 2 { // the second one finds what the first one has stored
		b, err := natsbroker.Open(ctx, natsbroker.Options{Dir: dir}, slog.Default())
		if err != nil {
			panic(err)
		}
		a, err := b.Append(ctx, "board", pusher.Draft{Text: true, Data: []byte("hello"), ID: "1"})
		if err != nil {
			panic(err)
		}
		fmt.Println(a.Seq, a.Duplicate)
		b.Close()
	}
	// Output:
	// 1 false
	// 1 true
}
