package schedule_test

import (
	"context"
	"fmt"
	"time"

	"wsfront/pusher/schedule"
)

func Example() {
	ctx, stop := context.WithCancel(context.Background())
	publish := func(_ context.Context, channel string, text []byte) error {
		fmt.Printf("%s: %s\n", channel, text)
		stop()
		return nil
	}
	s, err := schedule.New(schedule.Config{
		Channel: "board",
		Every:   100 * time.Millisecond,
		Message: "message {{.Count}}",
	}, publish, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := s.Run(ctx); err != nil {
		fmt.Println(err)
	}
	// Output: board: message 1
}
