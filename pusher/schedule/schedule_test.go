package schedule

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a running Schedule under the test's clock, which begins at midnight
// of 2000-01-01, UTC.
type bench struct {
	mu       sync.Mutex
	messages []string
	log      bytes.Buffer // read only after synctest.Wait
	// hook is called before a message is kept, which its error prevents.
	hook func(ctx context.Context, count int) error
	stop context.CancelFunc
	done chan struct{} // closed when Run has returned
}

// start runs a Schedule within a bubble of synctest; its test ends it by end.
func start(t *testing.T, cfg Config, hook func(ctx context.Context, count int) error) *bench {
	t.Helper()
	b := &bench{hook: hook, done: make(chan struct{})}
	cfg.Channel = "board"
	calls := 0
	s, err := New(cfg, func(ctx context.Context, channel string, text []byte) error {
		if channel != "board" {
			t.Errorf("published on %q", channel)
		}
		calls++
		if b.hook != nil {
			if err := b.hook(ctx, calls); err != nil {
				return err
			}
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.messages = append(b.messages, string(text))
		return nil
	}, slog.New(slog.NewTextHandler(&b.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	var ctx context.Context
	ctx, b.stop = context.WithCancel(t.Context())
	go func() { // ends by end, which waits
		defer close(b.done)
		if err := s.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	synctest.Wait()
	return b
}

func (b *bench) end() {
	b.stop()
	<-b.done
}

// after lets the clock go on and returns what was published since the last
// time.
func (b *bench) after(d time.Duration) []string {
	time.Sleep(d) // of the bubble: until everything else waits, too
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	got := b.messages
	b.messages = nil
	return got
}

func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("published %q, want %q", got, want)
	}
}

func TestSchedule_PublishesAtEachInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, Config{Every: 1500 * time.Millisecond, Zone: "UTC", Message: `{{.Count}} on {{.Channel}} at {{.Time.Format "15:04:05.0"}}`}, nil)
		defer b.end()
		expect(t, b.after(1499*time.Millisecond))
		expect(t, b.after(3002*time.Millisecond), "1 on board at 00:00:01.5", "2 on board at 00:00:03.0", "3 on board at 00:00:04.5")
	})
}

func TestSchedule_CronGoesByItsZone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, Config{Cron: "30 2 * * *", Zone: "Asia/Kolkata", Message: "{{.Time}}"}, nil)
		defer b.end()
		expect(t, b.after(48*time.Hour), "2000-01-02 02:30:00 +0530 IST", "2000-01-03 02:30:00 +0530 IST")
		if line := b.log.String(); !strings.Contains(line, `msg=schedule.start channel=board when="30 2 * * *" next=2000-01-02T02:30:00.000+05:30`) {
			t.Errorf("logged %s", line)
		}
	})
}

// An hour in which nothing could be published is what a machine that slept
// looks like.
func TestSchedule_DoesNotMakeUpForTimesThatPassed(t *testing.T) {
	for name, cfg := range map[string]Config{"every": {Every: time.Minute}, "cron": {Cron: "* * * * *"}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg.Message, cfg.Zone = `{{.Time.Format "15:04:05"}}`, "UTC"
				b := start(t, cfg, func(ctx context.Context, count int) error {
					if count == 1 {
						time.Sleep(time.Hour + time.Second) // of the bubble
					}
					return nil
				})
				defer b.end()
				got := b.after(time.Hour + 4*time.Minute)
				// At most one for all that passed, besides the one that took so long.
				if len(got) > 5 || got[0] != "00:01:00" || !slices.Equal(got[len(got)-3:], []string{"01:02:00", "01:03:00", "01:04:00"}) {
					t.Errorf("published %q", got)
				}
			})
		})
	}
}

func TestSchedule_FailureIsLoggedAndNotRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, Config{Every: time.Second, Message: `{{.Count}} {{slice "abc" 0 .Count}}`}, func(_ context.Context, count int) error {
			if count == 2 {
				return errors.New("no room")
			}
			return nil
		})
		defer b.end()
		expect(t, b.after(4*time.Second), "1 a", "3 abc") // of three letters there are no four
		for _, want := range []string{
			`level=WARN msg=schedule.failed channel=board when=1s count=2 reason="no room"`,
			`level=WARN msg=schedule.failed channel=board when=1s count=4 reason="template: message`,
		} {
			if n := strings.Count(b.log.String(), want); n != 1 {
				t.Errorf("%d lines %s in\n%s", n, want, b.log.String())
			}
		}
	})
}

func TestSchedule_EndsWhilePublishing(t *testing.T) {
	for name, cfg := range map[string]Config{"every": {Every: time.Minute}, "cron": {Cron: "* * * * *"}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg.Message = "x"
				b := start(t, cfg, func(ctx context.Context, _ int) error {
					<-ctx.Done()
					return ctx.Err()
				})
				expect(t, b.after(2*time.Minute))
				b.end()
				if strings.Contains(b.log.String(), EventFailed) {
					t.Errorf("the end is reported as a failure: %s", b.log.String())
				}
			})
		})
	}
}
