package pusher

import "time"

// History is how much of what is published is kept, for clients that come back.
type History struct {
	// Messages is how many messages of a channel are kept. Default 1000.
	Messages int `yaml:"messages"`

	// Bytes is how much the kept messages of a channel may be together, the
	// newest one aside. Default 8MiB.
	Bytes int64 `yaml:"bytes,size"`

	// Age is for how long a message is kept. Default 1h.
	Age time.Duration `yaml:"age"`

	// Total is how much the kept messages of all channels may be together; the
	// oldest give way. Default 256MiB.
	Total int64 `yaml:"total,size"`
}

const (
	defaultHistoryMessages = 1000
	defaultHistoryBytes    = 8 << 20
	defaultHistoryAge      = time.Hour
	defaultHistoryTotal    = 256 << 20
)

func (h History) withDefaults() History {
	if h.Messages == 0 {
		h.Messages = defaultHistoryMessages
	}
	if h.Bytes == 0 {
		h.Bytes = defaultHistoryBytes
	}
	if h.Age == 0 {
		h.Age = defaultHistoryAge
	}
	if h.Total == 0 {
		h.Total = defaultHistoryTotal
	}
	return h
}

// Validate reports everything that is wrong with h as FieldErrors, or nil.
func (h History) Validate() error {
	var errs FieldErrors
	if h.Messages < 0 {
		errs.add("messages", "%d is negative; write how many messages to keep, such as 1000", h.Messages)
	}
	if h.Bytes < 0 {
		errs.add("bytes", "%d is negative; write a size such as 8MiB, or leave it out", h.Bytes)
	}
	if h.Age < 0 {
		errs.add("age", "%s is negative; write how long to keep messages, such as 1h", h.Age)
	}
	if h.Total < 0 {
		errs.add("total", "%d is negative; write a size such as 256MiB, or leave it out", h.Total)
	}
	return errs.orNil()
}
