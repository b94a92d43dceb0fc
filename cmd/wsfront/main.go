// Command wsfront is a front door for an old web application: TLS by itself,
// plain forwarding, WebSocket tunnels, and live push to the browser.
package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"

	"wsfront/cmd/internal/config"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is the whole command: it returns the exit status. SIGINT and SIGTERM end
// what it does in good order; a second one ends the process at once.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)

	root := newRoot()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	if err := root.ExecuteContext(ctx); err != nil {
		var status exitStatus
		if errors.As(err, &status) {
			return int(status)
		}
		var mistakes config.Problems
		if !errors.As(err, &mistakes) { // those begin with their place, as editors want it
			io.WriteString(stderr, "wsfront: ")
		}
		io.WriteString(stderr, err.Error()+"\n")
		return statusOf(err)
	}
	return 0
}
