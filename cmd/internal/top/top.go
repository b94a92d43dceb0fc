package top

import (
	"context"
	"fmt"
	"io"
	"time"

	tea "charm.land/bubbletea/v2"
)

// Options say what is watched, and where it is shown.
type Options struct {
	State    string        // state folder of the server
	Interval time.Duration // between two readings
	Sort     Order         // see ParseOrder
	Out      io.Writer
}

// framesPerSecond is how often the screen is drawn at most: keys are answered at
// once, and over a slow line no more is written than can be seen.
const framesPerSecond = 20

// Run shows the server until the user ends it or ctx is done, and leaves the
// terminal as it was, after a panic as well. The error is that of the first
// reading, such as that no server runs; later ones are shown.
func Run(ctx context.Context, o Options) error {
	first, err := read(ctx, o.State, o.Sort)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	return show(ctx, newModel(ctx, o, first), tea.WithOutput(o.Out))
}

// show runs the program of a model. Keys are read from standard input, or from the
// process's terminal where that is none. Signals are the caller's: they end ctx.
func show(ctx context.Context, m tea.Model, options ...tea.ProgramOption) error {
	p := tea.NewProgram(m, append(options, tea.WithFPS(framesPerSecond), tea.WithoutSignalHandler())...)
	stop := context.AfterFunc(ctx, p.Quit) // p.Quit returns once Run does
	defer stop()
	if _, err := p.Run(); err != nil {
		return fmt.Errorf("show the server: %w", err)
	}
	return nil
}
