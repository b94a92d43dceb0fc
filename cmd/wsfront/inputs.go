package main

import (
	"context"
	"fmt"
	"log/slog"

	"wsfront/cmd/internal/config"
	"wsfront/proxy"
	"wsfront/pusher"
	"wsfront/pusher/schedule"
	"wsfront/pusher/syslog"
)

// inputs are what publishes without an application: log lines, and the clock.
// Their channels need no push route here, since another process may have it.
type inputs struct {
	logs      []*syslog.Listener
	schedules []*schedule.Schedule
}

// publishText is the one place where the inputs meet the hub.
func publishText(hub *pusher.Hub) func(ctx context.Context, channel string, text []byte) error {
	return func(ctx context.Context, channel string, text []byte) error {
		_, err := hub.Publish(ctx, channel, pusher.Message{Text: true, Data: text})
		return err
	}
}

// openInputs binds the inputs' addresses. What is wrong with one is a
// proxy.FieldError.
func openInputs(push config.Push, publish func(ctx context.Context, channel string, text []byte) error, log *slog.Logger) (*inputs, error) {
	in := &inputs{}
	for _, cfg := range push.Schedules {
		s, err := schedule.New(cfg, publish, log)
		if err != nil {
			return nil, err
		}
		in.schedules = append(in.schedules, s)
	}
	for i, cfg := range push.Syslog {
		l, err := syslog.New(cfg, publish, log)
		if err != nil {
			in.close()
			return nil, err
		}
		if err := l.Listen(); err != nil {
			in.close()
			return nil, proxy.FieldError{Field: fmt.Sprintf("push.syslog[%d].listen", i), Message: err.Error()}
		}
		in.logs = append(in.logs, l)
	}
	return in, nil
}

// close gives the addresses back before the inputs were started.
func (in *inputs) close() {
	for _, l := range in.logs {
		_ = l.Close() // the service does not start: why is said elsewhere
	}
}

// start has goes run the inputs, until they are told to end; one that fails ends
// the service.
func (in *inputs) start(goes func(run func(context.Context) error)) {
	for _, l := range in.logs {
		goes(l.Run)
	}
	for _, timed := range in.schedules {
		goes(timed.Run)
	}
}
