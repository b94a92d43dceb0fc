package natsbroker

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"wsfront/pusher"
)

// Options says where the store is and how much it keeps. One of Dir and URL must
// be given; every other zero field stands for the default its comment names.
type Options struct {
	// Dir is the folder of a store that this process alone keeps, with a server
	// inside the process that no other one can reach. It is made if need be.
	Dir string `yaml:"dir"`

	// URL is the address of NATS servers with JetStream that keep the store
	// instead, such as nats://user:password@10.0.0.7:4222; several are separated
	// by commas. Their max_payload must be 1KiB above the longest message. What
	// the address holds of secrets is not logged.
	URL string `yaml:"url"`

	// Name is what the streams and subjects on these servers begin with: 1 to 32
	// letters, digits, - and _. Processes with the same name share one store.
	// Default wsfront.
	Name string `yaml:"name"`

	// Messages is how many messages of a channel are kept. Default 1000.
	Messages int `yaml:"messages"`

	// Bytes is how much the kept messages of a channel may be together, the
	// newest one aside; each counts 256 bytes besides its data. When it is
	// exceeded the oldest go until seven eighths are left. Default 8MiB.
	Bytes int64 `yaml:"bytes,size"`

	// Age is for how long a message is kept; at least 1s. Default 24h.
	Age time.Duration `yaml:"age"`

	// Total is how much disk the kept messages of all channels may take; the
	// oldest give way. Default 1GiB.
	Total int64 `yaml:"total,size"`

	// Channels is how many channels may have stored messages, since each costs
	// memory for as long as it has any; a message for one more is refused with
	// pusher.ErrStoreFull. A purge counts as a channel until Age has gone by. In a
	// store at a URL set all processes to the same limit. Default 100000.
	Channels int `yaml:"channels"`

	// Duplicates is for how long a message's ID is remembered; at least 100ms
	// and at most Age. Each remembered ID costs about 120 bytes of memory: 36 MB
	// at 1,000 messages with an ID per second and five minutes. Default 5m, or Age
	// where that is less.
	Duplicates time.Duration `yaml:"duplicates"`

	// Sync is how often what was stored is forced to the disk (fsync), for the
	// case that the machine fails; the end of this process alone loses nothing.
	// SyncAlways does it before each Append returns. Servers at URL have their own
	// setting. Default 1s, at least 10ms.
	Sync Sync `yaml:"sync"`
}

// Sync is a time, or SyncAlways.
type Sync time.Duration

// SyncAlways is written "always".
const SyncAlways Sync = -1

// UnmarshalText reads a time such as 2s, or the word always.
func (s *Sync) UnmarshalText(text []byte) error {
	if string(text) == "always" {
		*s = SyncAlways
		return nil
	}
	d, err := time.ParseDuration(string(text))
	if err != nil || d < 0 {
		return fmt.Errorf("%q is no time; write one such as 1s, or always", text)
	}
	*s = Sync(d)
	return nil
}

const (
	defaultName       = "wsfront"
	maxName           = 32
	defaultMessages   = 1000
	defaultBytes      = 8 << 20
	defaultAge        = 24 * time.Hour
	defaultTotal      = 1 << 30
	defaultChannels   = 100_000
	defaultDuplicates = 5 * time.Minute
	minDuplicates     = 100 * time.Millisecond
	defaultSync       = time.Second
	minSync           = 10 * time.Millisecond
	minAge            = time.Second
)

// Validate reports everything that is wrong with o as pusher.FieldErrors, or
// nil. It does not look at the folder or for the server.
func (o Options) Validate() error {
	var errs pusher.FieldErrors
	add := func(field, format string, args ...any) {
		errs = append(errs, pusher.FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
	}
	switch {
	case o.Dir == "" && o.URL == "":
		add("dir", "is missing; write the folder of the store, such as /var/lib/wsfront/push, or the url of a NATS server")
	case o.Dir != "" && o.URL != "":
		add("url", "a store is either in dir or at a url; leave one of them out")
	case o.URL != "" && !validURL(o.URL):
		add("url", "is no address of a NATS server; write nats://HOST:4222, or tls://HOST:4222, several with commas between")
	}
	if o.Name != "" && !validName(o.Name) {
		add("name", "%.80q is no name for a store; write 1 to %d letters (a-z), digits, - or _", o.Name, maxName)
	}
	for _, n := range []struct {
		field string
		value int64
		write string
	}{
		{"messages", int64(o.Messages), "a number such as 1000"}, {"bytes", o.Bytes, "a size such as 8MiB"},
		{"total", o.Total, "a size such as 1GiB"}, {"channels", int64(o.Channels), "a number such as 100000"},
	} {
		if n.value < 0 {
			add(n.field, "%d is negative; write %s, or leave it out", n.value, n.write)
		}
	}
	full := o.withDefaults()
	if full.Age < minAge {
		add("age", "%s is too short; write at least %s, such as 24h", full.Age, minAge)
	}
	if o.Duplicates != 0 && (o.Duplicates < minDuplicates || o.Duplicates > full.Age) {
		add("duplicates", "%s is not within %s and age (%s); write a time such as 5m", full.Duplicates, minDuplicates, full.Age)
	}
	if full.Sync != SyncAlways && time.Duration(full.Sync) < minSync {
		add("sync", "%s is too short; write at least %s, or always", time.Duration(full.Sync), minSync)
	}
	if len(errs) > 0 {
		return errs
	}
	return nil
}

func (o Options) withDefaults() Options {
	fill(&o.Name, defaultName)
	fill(&o.Messages, defaultMessages)
	fill(&o.Bytes, defaultBytes)
	fill(&o.Age, defaultAge)
	fill(&o.Total, defaultTotal)
	fill(&o.Channels, defaultChannels)
	fill(&o.Duplicates, min(defaultDuplicates, o.Age))
	fill(&o.Sync, Sync(defaultSync))
	return o
}

func fill[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func validURL(list string) bool {
	for one := range strings.SplitSeq(list, ",") {
		u, err := url.Parse(strings.TrimSpace(one))
		if err != nil || u.Host == "" || u.Scheme != "nats" && u.Scheme != "tls" && u.Scheme != "ws" && u.Scheme != "wss" {
			return false
		}
	}
	return true
}

func validName(name string) bool {
	if len(name) > maxName {
		return false
	}
	for i := range len(name) {
		switch b := name[i]; {
		case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9', b == '-', b == '_':
		default:
			return false
		}
	}
	return true
}
