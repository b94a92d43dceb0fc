package schedule

import (
	"fmt"
	"io"
	"strings"
	"text/template"
	"time"

	"github.com/robfig/cron/v3"

	"wsfront/pusher"
)

// Config is one message that is published again and again. Channel, Message and
// one of Every and Cron are required.
type Config struct {
	// Channel is where it is published.
	Channel string `yaml:"channel"`

	// Every is the time between two messages, of which the first comes after
	// that time. At least 100ms.
	Every time.Duration `yaml:"every"`

	// Cron is a line of five fields as in a crontab: minute, hour, day of the
	// month, month, day of the week (0 is Sunday). "*/5 8-17 * * mon-fri" is
	// every five minutes of the working day. When the clocks change, a time
	// that is skipped does not come on that day, and one that is there twice
	// comes twice.
	Cron string `yaml:"cron"`

	// Zone is the time zone of Cron and of the template's .Time, such as
	// Europe/Berlin. Default that of this machine.
	Zone string `yaml:"zone"`

	// Message is the text, as a text/template over the fields of Tick:
	// "It is {{.Time.Format \"15:04:05\"}}".
	Message string `yaml:"message"`
}

// Tick is what the template of a message is executed on.
type Tick struct {
	// Time is when the message was made, in the schedule's zone.
	Time time.Time
	// Count is the number of the message since the program started, from 1.
	Count int
	// Channel is where it is published.
	Channel string
}

// minEvery keeps a mistyped interval from making thousands of messages.
const minEvery = 100 * time.Millisecond

// Validate reports everything that is wrong with c as pusher.FieldErrors, or
// nil.
func (c Config) Validate() error {
	var errs pusher.FieldErrors
	fail := func(field, format string, args ...any) {
		errs = append(errs, pusher.FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
	}
	var invalid pusher.FieldErrors
	if c.Channel == "" {
		fail("channel", "missing; write the channel on which the message is published, such as board")
	} else if invalid, _ = (pusher.Endpoint{Channel: c.Channel}).Validate().(pusher.FieldErrors); invalid != nil {
		fail("channel", "%s", invalid[0].Message)
	}
	zone, err := c.location()
	if err != nil {
		fail("zone", "%s", err)
		zone = time.UTC
	}
	switch {
	case c.Every == 0 && c.Cron == "":
		fail("every", `missing; write every: 1.5s, or cron: "*/5 * * * *"`)
	case c.Every != 0 && c.Cron != "":
		fail("cron", "given beside every; remove one of the two")
	case c.Cron != "":
		if _, err := parseCron(c.Cron, zone); err != nil {
			fail("cron", "%s", err)
		}
	case c.Every < minEvery:
		fail("every", "%s is too short; write at least %s, such as 1.5s (a number needs its unit)", c.Every, minEvery)
	}
	if _, err := parseMessage(c.Message); err != nil {
		fail("message", "%s", err)
	}
	if len(errs) == 0 {
		return nil
	}
	return errs
}

func (c Config) location() (*time.Location, error) {
	if c.Zone == "" {
		return time.Local, nil
	}
	zone, err := time.LoadLocation(c.Zone)
	if err != nil {
		return nil, fmt.Errorf("%q is no time zone that is known here; write one such as Europe/Berlin (Debian has them in the package tzdata)", c.Zone)
	}
	return zone, nil
}

// cronForm has neither seconds nor names such as @daily, as few would expect
// the one and everybody can write the other.
const cronForm = cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow

// parseCron reads a crontab line.
func parseCron(text string, zone *time.Location) (cron.Schedule, error) {
	const remedy = `write minute, hour, day, month and weekday (0 is Sunday), such as "*/5 * * * *"`
	if strings.Contains(text, "=") { // TZ=, which the parser would take
		return nil, fmt.Errorf("%q has a variable in it; write five fields, and the time zone in the key zone", text)
	}
	parsed, err := cron.NewParser(cronForm).Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%q is no line of a crontab: %w; %s", text, err, remedy)
	}
	times := parsed.(*cron.SpecSchedule)
	times.Location = zone
	for _, moments := range []uint64{times.Minute, times.Hour, times.Dom, times.Month, times.Dow} {
		if moments == 0 { // "," passes the parser, and is long looked for
			return nil, fmt.Errorf("%q has a field without a number; %s", text, remedy)
		}
	}
	if times.Next(time.Now()).IsZero() {
		return nil, fmt.Errorf("%q never comes; %s", text, remedy)
	}
	return times, nil
}

// parseMessage reads the template, and tries it.
func parseMessage(text string) (*template.Template, error) {
	if text == "" {
		return nil, fmt.Errorf(`missing; write a text such as "It is {{.Time.Format \"15:04:05\"}}"`)
	}
	t, err := template.New("message").Parse(text)
	if err == nil {
		err = t.Execute(io.Discard, Tick{Time: time.Unix(0, 0).UTC(), Count: 1, Channel: "board"}) // finds fields that are not there
	}
	if err != nil {
		return nil, fmt.Errorf("%w; write a template over .Time, .Count and .Channel", err)
	}
	return t, nil
}
