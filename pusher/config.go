package pusher

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Config holds what all clients of a Hub share. The zero value is ready for
// use: every zero field stands for the default its comment names.
type Config struct {
	// PingInterval is the time between two pings to a client, so that neither
	// a NAT nor a proxy's idle timeout cuts a silent connection. A client from
	// which nothing came for two intervals, no answer to a ping either, is
	// taken for gone, and so is one that takes longer than that to accept what
	// is written to it. Default 25s, at least 100ms.
	PingInterval time.Duration `yaml:"ping_interval"`

	// QueueBytes is how much may wait for one client before it is cut off; a
	// few bytes are counted for each message besides its text. It must hold at
	// least one message of MaxMessage. Default 1MiB, or MaxMessage where that
	// is more.
	QueueBytes int64 `yaml:"queue,size"`

	// MaxMessage is the length of the longest message that is accepted for
	// publishing. Default 1MiB, or MaxInbound where that is more, or QueueBytes
	// where that is less.
	MaxMessage int64 `yaml:"max_message,size"`

	// QueueTotal is how much all backlogs of clients may hold in memory together,
	// with what is read from the history for those who come back; beyond it the
	// slowest are cut off first, and who comes back for what is not at hand is
	// answered 503 with Retry-After. Default 256MiB, at least QueueBytes.
	QueueTotal int64 `yaml:"queue_total,size"`

	// MaxClients is how many clients there may be at a time, those included that
	// are about to join or have just left. One more is answered 503 with
	// Retry-After; an event stream, which a browser would give up for good upon
	// that, begins with retry and ends. Default 100000.
	MaxClients int `yaml:"max_clients"`

	// MaxClientsPerAddress is how many of them one client address may have; an IPv6
	// client is known by its /64 network. One more is answered 429, else as with
	// MaxClients. Loopback addresses, where another proxy or the operator is, are
	// not counted. Default 1000.
	MaxClientsPerAddress int `yaml:"max_clients_per_address"`

	// ChannelsTotal is how many channels may have clients at a time, as clients may
	// choose their names. Whoever asks for one more is answered as with MaxClients.
	// Default 250000.
	ChannelsTotal int `yaml:"channels_total"`

	// Slow says what becomes of a client for which more than QueueBytes wait:
	// cut (default) ends its connection, so that it comes back and resumes; skip
	// goes on with the newest message, which clients that get tokens are told of
	// as a gap.
	Slow Slow `yaml:"slow"`

	// ReplayMessages is how many messages a client that comes back may have
	// missed; beyond it is told of a gap. Default 10000.
	ReplayMessages int `yaml:"replay_messages"`

	// ReplayBytes is how long the messages that it has missed may be together.
	// Default 32MiB.
	ReplayBytes int64 `yaml:"replay_bytes,size"`

	// Compression offers permessage-deflate (RFC 7692) to clients that can. A
	// message is compressed once, for all of them, if it is long enough. Default
	// on.
	Compression *bool `yaml:"compression"`

	// History is how much of what is published is kept in memory, where New is
	// given no broker.
	History History `yaml:"-"`

	// Webhooks is what the application is told of clients.
	Webhooks Webhooks `yaml:"webhooks"`

	// MaxInbound is the length of the longest message that is accepted from a
	// client; a longer one closes its connection with code 1009 (RFC 6455
	// §7.4.1). At most MaxMessage. Default 64KiB, or MaxMessage where that is
	// less.
	MaxInbound int64 `yaml:"max_inbound,size"`

	// InboundRate is how many messages a client may send in a second, pings and
	// pongs included, on the average of ten; more closes its connection with code
	// 1008. Default 100.
	InboundRate int `yaml:"inbound_rate"`

	// PublishTotal is how much the requests of the publish API that are under way
	// may hold in memory together, by the lengths of their bodies; one more is
	// answered 503 with Retry-After, before its body is read. It must hold a whole
	// batch. Default 256MiB, or MaxMessage where that is more.
	PublishTotal int64 `yaml:"publish_total,size"`
}

// Slow says what becomes of a client that does not keep up.
type Slow string

const (
	// SlowCut ends its connection. The default.
	SlowCut Slow = "cut"
	// SlowSkip goes on with the newest message.
	SlowSkip Slow = "skip"
)

// Inbound says what becomes of the messages that clients send.
type Inbound string

const (
	// InboundDrop reads them and forgets them. The default.
	InboundDrop Inbound = "drop"
	// InboundEcho sends each back to its sender alone.
	InboundEcho Inbound = "echo"
	// InboundPublish publishes each to the client's own channel, to the sender
	// as well.
	InboundPublish Inbound = "publish"
	// InboundApp asks the application by a webhook, which publishes, changes or
	// drops it by its answer.
	InboundApp Inbound = "app"
)

// Endpoint is one URL at which clients connect.
type Endpoint struct {
	// Channel is the channel that clients of this URL listen to: 1 to 164
	// letters, digits and any of _-=@,.;: . When it is empty, the name comes
	// from the request's path value "channel" (see http.Request.PathValue): a
	// route or mux pattern such as /push/{channel} sets it.
	Channel string `yaml:"channel"`

	// Auth has the application decide who may listen, and to what: the path at
	// which it is asked, with the browser's own cookies. Default: everybody may.
	Auth *AppAuth `yaml:"auth"`

	// Token admits clients that have a signed token (JWT, RFC 7519). With Auth
	// as well, the application is asked about those that have none.
	Token *TokenAuth `yaml:"token"`

	// App is how the application of Auth is reached, and AppURL its address.
	App    http.RoundTripper `yaml:"-"`
	AppURL *url.URL          `yaml:"-"`

	// Channels lists what clients may ask for by ?channel= in the URL, as often
	// as they like: names, or beginnings of names with a * behind them. Default
	// none where the URL has a channel, or else any. Where clients are admitted by
	// Auth or Token, these decide.
	Channels []string `yaml:"channels"`

	// MaxChannels is how many channels one connection may listen to. Default 32.
	MaxChannels int `yaml:"max_channels"`

	// Inbound says what becomes of what clients send: drop (default), echo,
	// publish or app.
	Inbound Inbound `yaml:"inbound"`

	// Origins lists the pages that may connect, as the browser names them in
	// Origin: scheme and host, such as https://app.example.com; "*" admits
	// every page. Default: pages of the same host as the request's own.
	// Requests without Origin do not come from a page and are admitted.
	Origins []string `yaml:"origins"`
}

// FieldError is one thing wrong with a Config or an Endpoint.
type FieldError struct {
	// Field is the field's key in the configuration file, with an index where
	// it is a list: "ping_interval", "origins[1]".
	Field string
	// Message says what is wrong and what to write instead.
	Message string
}

func (e FieldError) Error() string { return e.Field + ": " + e.Message }

// FieldErrors is everything wrong with a Config or an Endpoint. It is never
// empty.
type FieldErrors []FieldError

func (e FieldErrors) Error() string {
	lines := make([]string, len(e))
	for i, f := range e {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives errors.As each FieldError.
func (e FieldErrors) Unwrap() []error {
	errs := make([]error, len(e))
	for i, f := range e {
		errs[i] = f
	}
	return errs
}

// orNil keeps an empty list from becoming an error that is not nil.
func (e FieldErrors) orNil() error {
	if len(e) == 0 {
		return nil
	}
	return e
}

// include adds what is wrong with a part, under its key.
func (e *FieldErrors) include(key string, err error) {
	var list FieldErrors
	if errors.As(err, &list) {
		for _, f := range list {
			e.add(key+"."+f.Field, "%s", f.Message)
		}
	}
}

func (e *FieldErrors) add(field, format string, args ...any) {
	*e = append(*e, FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
}

const (
	defaultPingInterval = 25 * time.Second
	minPingInterval     = 100 * time.Millisecond
	defaultMaxMessage   = 1 << 20
	defaultQueueBytes   = 1 << 20
	defaultMaxInbound   = 64 << 10
	defaultQueueTotal   = 256 << 20
	defaultReplayCount  = 10_000
	defaultReplayBytes  = 32 << 20
	defaultMaxChannels  = 32
	defaultMaxClients   = 100_000
	defaultMaxPerAddr   = 1000
	defaultChannels     = 250_000
	defaultInboundRate  = 100
	defaultPublishTotal = 256 << 20
)

// Validate reports everything that is wrong with c as FieldErrors, or nil.
func (c Config) Validate() error {
	var errs FieldErrors
	switch {
	case c.PingInterval < 0:
		errs.add("ping_interval", "%s is negative; write how often to ping, such as 25s", c.PingInterval)
	case c.PingInterval > 0 && c.PingInterval < minPingInterval:
		errs.add("ping_interval", "%s is too short; write at least %s, such as 25s (a number needs its unit)", c.PingInterval, minPingInterval)
	}
	for _, size := range []struct {
		field string
		value int64
	}{{"queue", c.QueueBytes}, {"max_message", c.MaxMessage}, {"max_inbound", c.MaxInbound}, {"queue_total", c.QueueTotal}, {"replay_bytes", c.ReplayBytes}, {"publish_total", c.PublishTotal}} {
		if size.value < 0 {
			errs.add(size.field, "%d is negative; write a size such as 1MiB, or leave it out", size.value)
		}
	}
	for _, count := range []struct {
		field string
		value int
		usual int
	}{
		{"replay_messages", c.ReplayMessages, defaultReplayCount}, {"max_clients", c.MaxClients, defaultMaxClients},
		{"max_clients_per_address", c.MaxClientsPerAddress, defaultMaxPerAddr}, {"channels_total", c.ChannelsTotal, defaultChannels},
		{"inbound_rate", c.InboundRate, defaultInboundRate},
	} {
		if count.value < 0 {
			errs.add(count.field, "%d is negative; write a number such as %d, or leave it out", count.value, count.usual)
		}
	}
	switch c.Slow {
	case "", SlowCut, SlowSkip:
	default:
		errs.add("slow", "%q is neither cut nor skip; write one of them, or leave it out for cut", string(c.Slow))
	}
	errs.include("history", c.History.Validate())
	errs.include("webhooks", c.Webhooks.Validate())
	if len(errs) > 0 {
		return errs
	}
	full := c.withDefaults()
	if full.QueueTotal < full.QueueBytes {
		errs.add("queue_total", "%d bytes is less than queue, %d bytes, which one client may use alone; write more, or a smaller queue", full.QueueTotal, full.QueueBytes)
	}
	if full.QueueBytes < full.MaxMessage {
		errs.add("queue", "%d bytes hold no message of max_message (%d bytes), which would cut off whoever is sent one; "+
			"write at least %[2]d, or a smaller max_message", full.QueueBytes, full.MaxMessage)
	}
	if least := max(maxBatchBytes, full.maxLine()); full.PublishTotal < least {
		errs.add("publish_total", "%d bytes hold no whole batch, of up to %d bytes; write at least that, or leave it out", full.PublishTotal, least)
	}
	if full.MaxInbound > full.MaxMessage {
		errs.add("max_inbound", "%d bytes is more than max_message (%d bytes); write at most %[2]d, or a larger max_message",
			full.MaxInbound, full.MaxMessage)
	}
	return errs.orNil()
}

// withDefaults fills what is zero. A size that is left out gives way to one
// that is written, so that setting one of them alone is never a contradiction.
func (c Config) withDefaults() Config {
	if c.PingInterval == 0 {
		c.PingInterval = defaultPingInterval
	}
	if c.MaxMessage == 0 {
		c.MaxMessage = max(defaultMaxMessage, c.MaxInbound)
		if c.QueueBytes > 0 {
			c.MaxMessage = min(c.MaxMessage, c.QueueBytes)
		}
	}
	if c.QueueBytes == 0 {
		c.QueueBytes = max(defaultQueueBytes, c.MaxMessage)
	}
	if c.MaxInbound == 0 {
		c.MaxInbound = min(defaultMaxInbound, c.MaxMessage)
	}
	if c.QueueTotal == 0 {
		c.QueueTotal = max(defaultQueueTotal, c.QueueBytes)
	}
	if c.ReplayMessages == 0 {
		c.ReplayMessages = defaultReplayCount
	}
	if c.ReplayBytes == 0 {
		c.ReplayBytes = defaultReplayBytes
	}
	if c.PublishTotal == 0 {
		c.PublishTotal = max(defaultPublishTotal, c.maxLine())
	}
	c.MaxClients = cmp.Or(c.MaxClients, defaultMaxClients)
	c.MaxClientsPerAddress = cmp.Or(c.MaxClientsPerAddress, defaultMaxPerAddr)
	c.ChannelsTotal = cmp.Or(c.ChannelsTotal, defaultChannels)
	c.InboundRate = cmp.Or(c.InboundRate, defaultInboundRate)
	c.History = c.History.withDefaults()
	return c
}

// compresses says whether permessage-deflate is offered.
func (c *Config) compresses() bool { return c.Compression == nil || *c.Compression }

// Validate reports everything that is wrong with e as FieldErrors, or nil.
func (e Endpoint) Validate() error {
	var errs FieldErrors
	if e.Channel != "" && !validChannel(e.Channel) {
		errs.add("channel", "%s", channelProblem(e.Channel))
	}
	for i, pattern := range e.Channels {
		if p := channelPattern(pattern); !p.valid() {
			errs.add(fmt.Sprintf("channels[%d]", i), "%s", p.problem())
		}
	}
	if e.Auth != nil {
		errs.include("auth", e.Auth.Validate())
	}
	if e.Token != nil {
		errs.include("token", e.Token.Validate())
	}
	if e.MaxChannels < 0 {
		errs.add("max_channels", "%d is negative; write how many channels a connection may have, such as 32", e.MaxChannels)
	}
	switch e.Inbound {
	case "", InboundDrop, InboundEcho, InboundPublish, InboundApp:
	default:
		errs.add("inbound", "%q is none of drop, echo, publish and app; write one of them, or leave it out for drop", string(e.Inbound))
	}
	for i, origin := range e.Origins {
		if problem := originProblem(origin); problem != "" {
			errs.add(fmt.Sprintf("origins[%d]", i), "%s", problem)
		}
	}
	return errs.orNil()
}
