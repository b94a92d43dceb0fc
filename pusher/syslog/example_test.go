package syslog_test

import (
	"context"
	"fmt"
	"net"

	"wsfront/pusher/syslog"
)

func Example() {
	ctx, stop := context.WithCancel(context.Background())
	publish := func(_ context.Context, channel string, text []byte) error {
		fmt.Printf("%s: %s\n", channel, text)
		stop()
		return nil
	}
	l, err := syslog.New(syslog.Config{
		Listen:  "udp://127.0.0.1:0",
		Channel: "board",
		Format:  "{{.AppName}} says {{.Msg}}",
	}, publish, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := l.Listen(); err != nil {
		fmt.Println(err)
		return
	}
	sender, err := net.Dial("udp", l.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer sender.Close()
	fmt.Fprint(sender, "<13>Nov 27 10:00:00 host app[123]: hello")
	if err := l.Run(ctx); err != nil {
		fmt.Println(err)
	}
	// Output: board: app says hello
}
