package syslog

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"wsfront/pusher"
)

func TestValidate_SaysWhatToWrite(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Config)
		field  string // "" for a valid one
		says   string
	}{
		{"valid", func(*Config) {}, "", ""},
		{"IPv6", func(c *Config) { c.Listen = "udp://[::1]:514" }, "", ""},
		{"a name", func(c *Config) { c.Listen = "tcp://localhost:514" }, "", ""},
		{"unix", func(c *Config) { c.Listen = "unix:///run/log.sock" }, "", ""},
		{"all addresses, some allowed", func(c *Config) {
			c.Listen, c.Allow = "udp://:514", []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		}, "", ""},
		{"tcp with all", func(c *Config) { c.Listen, c.MaxConnections, c.IdleTimeout = "tcp://127.0.0.1:514", 5, time.Hour }, "", ""},
		{"no listen", func(c *Config) { c.Listen = "" }, "listen", "missing; write udp://"},
		{"no scheme", func(c *Config) { c.Listen = "127.0.0.1:514" }, "listen", "begins with neither"},
		{"another scheme", func(c *Config) { c.Listen = "tls://127.0.0.1:514" }, "listen", "begins with neither"},
		{"no port", func(c *Config) { c.Listen = "udp://127.0.0.1" }, "listen", "write udp://127.0.0.1:5514"},
		{"port too high", func(c *Config) { c.Listen = "udp://127.0.0.1:65536" }, "listen", "is no port"},
		{"a service's name", func(c *Config) { c.Listen = "udp://127.0.0.1:syslog" }, "listen", "is no port"},
		{"a host elsewhere", func(c *Config) { c.Listen = "udp://log.example.com:514" }, "listen", "is no address"},
		{"relative", func(c *Config) { c.Listen = "unix://log.sock" }, "listen", "no absolute path"},
		{"climbs", func(c *Config) { c.Listen = "unix:///run/../log.sock" }, "listen", "no absolute path"},
		{"long path", func(c *Config) { c.Listen = "unix:///" + strings.Repeat("x", 107) }, "listen", "107 bytes"},
		{"no channel", func(c *Config) { c.Channel = "" }, "channel", "write the channel"},
		{"bad channel", func(c *Config) { c.Channel = "a b" }, "channel", "no channel name; write"},
		{"format", func(c *Config) { c.Format = "xml" }, "format", "write one of them"},
		{"template not closed", func(c *Config) { c.Format = "{{.Msg" }, "format", "unclosed action; write a template"},
		{"no such field", func(c *Config) { c.Format = "{{.Message}}" }, "format", "write a template over .Facility"},
		{"open to all", func(c *Config) { c.Listen = "udp://0.0.0.0:514" }, "allow", "write the senders' addresses"},
		{"allow for unix", func(c *Config) {
			c.Listen, c.Allow = "unix:///run/log.sock", []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		}, "allow", "remove it"},
		{"short max_message", func(c *Config) { c.MaxMessage = 479 }, "max_message", "write 480 to 1048576 bytes"},
		{"long max_message", func(c *Config) { c.MaxMessage = 1<<20 + 1 }, "max_message", "write 480 to 1048576 bytes"},
		{"queue", func(c *Config) { c.Queue = 100_001 }, "queue", "write at most 100000"},
		{"connections for udp", func(c *Config) { c.MaxConnections = 1 }, "max_connections", "remove it"},
		{"negative connections", func(c *Config) { c.Listen, c.MaxConnections = "tcp://127.0.0.1:514", -1 }, "max_connections", "is negative; write"},
		{"idle_timeout for udp", func(c *Config) { c.IdleTimeout = time.Hour }, "idle_timeout", "remove it"},
		{"short idle_timeout", func(c *Config) { c.Listen, c.IdleTimeout = "tcp://127.0.0.1:514", time.Millisecond }, "idle_timeout", "write at least 1s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := Config{Listen: "udp://127.0.0.1:5514", Channel: "board"}
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
	if err := (Config{Format: "x", Queue: -1}).Validate(); !errors.As(err, &found) || len(found) != 4 {
		t.Errorf("got %v", err)
	}
}
