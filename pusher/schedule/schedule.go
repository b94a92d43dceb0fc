package schedule

import (
	"bytes"
	"context"
	"log/slog"
	"text/template"
	"time"

	"github.com/robfig/cron/v3"
)

// Publish publishes text, which is UTF-8, on channel. It returns when the
// message is as safe as the channel promises.
type Publish func(ctx context.Context, channel string, text []byte) error

// Schedule publishes one message again and again.
type Schedule struct {
	cfg     Config
	zone    *time.Location
	cron    cron.Schedule // nil for an interval
	message *template.Template
	publish Publish
	log     *slog.Logger
	count   int
}

// New makes a Schedule, which publishes nothing yet. Its error is that of
// cfg.Validate. publish is called from one goroutine, one message after the
// other. A nil log discards.
func New(cfg Config, publish Publish, log *slog.Logger) (*Schedule, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	when := cfg.Cron
	if when == "" {
		when = cfg.Every.String()
	}
	s := &Schedule{cfg: cfg, publish: publish, log: log.With("channel", cfg.Channel, "when", when)}
	s.zone, _ = cfg.location() // all were valid above
	s.message, _ = parseMessage(cfg.Message)
	if cfg.Cron != "" {
		s.cron, _ = parseCron(cfg.Cron, s.zone)
	}
	return s, nil
}

// Run publishes until ctx is done. It returns nil. It may be called once.
func (s *Schedule) Run(ctx context.Context) error {
	if s.cron != nil {
		s.runCron(ctx)
	} else {
		s.runInterval(ctx)
	}
	return nil
}

// runInterval publishes at each tick. A tick that comes while the last one is
// still being published waits, and is one however many they were.
func (s *Schedule) runInterval(ctx context.Context) {
	s.log.Info(EventStart, "next", s.now().Add(s.cfg.Every))
	tick := time.NewTicker(s.cfg.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.send(ctx)
		}
	}
}

// maxWait is how long the clock on the wall is not looked at. Timers go by
// another one, which knows nothing of a machine that slept or of a clock that
// was set.
const maxWait = time.Minute

// runCron publishes when the clock on the wall has reached the next time.
func (s *Schedule) runCron(ctx context.Context) {
	next := s.cron.Next(s.now())
	s.log.Info(EventStart, "next", next)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if !s.now().Before(next) {
			s.send(ctx)
			next = s.cron.Next(s.now())
		} else if sooner := s.cron.Next(s.now()); sooner.Before(next) { // the clock was set back
			next = sooner
		}
		timer.Reset(min(next.Sub(s.now()), maxWait))
	}
}

// now is the clock on the wall, without the reading of the other one that times
// are otherwise compared by.
func (s *Schedule) now() time.Time { return time.Now().Round(0).In(s.zone) }

// send publishes the message of this moment.
func (s *Schedule) send(ctx context.Context) {
	s.count++
	var text bytes.Buffer
	err := s.message.Execute(&text, Tick{Time: s.now(), Count: s.count, Channel: s.cfg.Channel})
	if err == nil {
		err = s.publish(ctx, s.cfg.Channel, text.Bytes())
	}
	if err != nil && ctx.Err() == nil {
		s.log.Warn(EventFailed, "count", s.count, "reason", err.Error())
	}
}
