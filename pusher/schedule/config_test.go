package schedule

import (
	"errors"
	"strings"
	"testing"
	"time"

	"wsfront/pusher"
)

func TestValidate_SaysWhatToWrite(t *testing.T) {
	valid := Config{Channel: "board", Every: time.Second, Message: "x"}
	for _, c := range []struct {
		name   string
		change func(*Config)
		field  string // "" for a valid one
		says   string
	}{
		{"valid", func(*Config) {}, "", ""},
		{"names of days", func(c *Config) { c.Every, c.Cron, c.Zone = 0, "0,30 8-17/2 1 jan mon-fri", "Europe/Berlin" }, "", ""},
		{"a day of leap years", func(c *Config) { c.Every, c.Cron = 0, "0 0 29 2 *" }, "", ""},
		{"no channel", func(c *Config) { c.Channel = "" }, "channel", "write the channel"},
		{"bad channel", func(c *Config) { c.Channel = "a b" }, "channel", "no channel name; write"},
		{"neither", func(c *Config) { c.Every = 0 }, "every", "write every: 1.5s, or cron:"},
		{"both", func(c *Config) { c.Cron = "* * * * *" }, "cron", "remove one"},
		{"too often", func(c *Config) { c.Every = time.Millisecond }, "every", "write at least 100ms"},
		{"negative", func(c *Config) { c.Every = -time.Second }, "every", "write at least 100ms"},
		{"four fields", func(c *Config) { c.Every, c.Cron = 0, "* * * *" }, "cron", "found 4"},
		{"six fields", func(c *Config) { c.Every, c.Cron = 0, "0 * * * * *" }, "cron", "write minute, hour"},
		{"a name", func(c *Config) { c.Every, c.Cron = 0, "@daily" }, "cron", "write minute, hour"},
		{"a zone in the line", func(c *Config) { c.Every, c.Cron = 0, "TZ=UTC" }, "cron", "key zone"},
		{"minute 60", func(c *Config) { c.Every, c.Cron = 0, "60 * * * *" }, "cron", "above maximum (59)"},
		{"never", func(c *Config) { c.Every, c.Cron = 0, "0 0 30 2 *" }, "cron", "never comes"},
		{"nothing", func(c *Config) { c.Every, c.Cron = 0, ", * * * *" }, "cron", "without a number"},
		{"zone", func(c *Config) { c.Zone = "Berlin" }, "zone", "write one such as Europe/Berlin"},
		{"zone outside", func(c *Config) { c.Zone = "../../etc/passwd" }, "zone", "write one such as Europe/Berlin"},
		{"no message", func(c *Config) { c.Message = "" }, "message", "write a text"},
		{"not closed", func(c *Config) { c.Message = "{{.Time" }, "message", "unclosed action; write a template"},
		{"no such field", func(c *Config) { c.Message = "{{.Host}}" }, "message", "write a template over .Time, .Count and .Channel"},
		{"environment", func(c *Config) { c.Message = `{{env "HOME"}}` }, "message", `function "env" not defined`},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := valid
			c.change(&cfg)
			err := cfg.Validate()
			if c.field == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var found pusher.FieldErrors
			if !errors.As(err, &found) || len(found) != 1 || found[0].Field != c.field || !strings.Contains(found[0].Message, c.says) {
				t.Errorf("got %v, want %s: … %s", err, c.field, c.says)
			}
			if _, err := New(cfg, nil, nil); err == nil {
				t.Error("New accepts it")
			}
		})
	}
}

func TestValidate_FindsEverything(t *testing.T) {
	var found pusher.FieldErrors
	if err := (Config{Zone: "x"}).Validate(); !errors.As(err, &found) || len(found) != 4 {
		t.Errorf("got %v", err)
	}
}

func TestParseCron_WhenClocksChange(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	times, err := parseCron("*/30 2 * * *", berlin)
	if err != nil {
		t.Fatal(err)
	}
	for after, want := range map[string][]string{
		"2026-03-28T20:00:00+01:00": {"03-30 02:00 CEST", "03-30 02:30 CEST", "03-31 02:00 CEST"}, // there is no two o'clock on the 29th
		"2026-10-24T20:00:00+02:00": {"10-25 02:00 CEST", "10-25 02:30 CEST", "10-25 02:00 CET", "10-25 02:30 CET", "10-26 02:00 CET"},
	} {
		next, err := time.Parse(time.RFC3339, after)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range want {
			next = times.Next(next)
			if got := next.In(berlin).Format("01-02 15:04 MST"); got != want {
				t.Errorf("after %s, number %d is %s, want %s", after, i+1, got, want)
			}
		}
	}
}

func FuzzCron(f *testing.F) {
	for _, s := range []string{"*/5 * * * *", "0 0 29 2 *", "0,30 8-17/2 1 jan mon-fri", "? ? ? ? ?", "@every 1s", "TZ=x * * * * *", ", , , , ,", "*/0 * * * *", "1-5/9999999999 * * * *"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		now := time.Date(2026, 11, 27, 10, 0, 0, 0, time.UTC)
		times, err := parseCron(text, time.UTC)
		if err != nil {
			if !strings.Contains(err.Error(), "write ") {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		if next := times.Next(now); !next.After(now) || next.Second() != 0 {
			t.Errorf("%q: %v comes after %v", text, next, now)
		}
	})
}
