package pusher

import "time"

// Config holds what all clients of a Hub share. The zero value is ready for
// use: every zero field stands for the default its comment names.
type Config struct {
	// PingInterval is the time between two pings to a client, so that neither
	// a NAT nor a proxy's idle timeout cuts a silent connection. A client that
	// has answered none for two intervals is taken for gone. Default 25s.
	PingInterval time.Duration `yaml:"ping_interval"`

	// QueueBytes is how much may wait for one client before it is cut off.
	// Default 1MiB.
	QueueBytes int64 `yaml:"queue,size"`

	// MaxMessage is the length of the longest message that is accepted for
	// publishing. Default 1MiB.
	MaxMessage int64 `yaml:"max_message,size"`

	// MaxInbound is the length of the longest message that is accepted from a
	// client; a longer one closes its connection with code 1009 (RFC 6455
	// §7.4.1). Default 64KiB.
	MaxInbound int64 `yaml:"max_inbound,size"`
}

// Inbound says what becomes of the messages that clients send.
type Inbound string

const (
	// InboundDrop reads them and forgets them. The default.
	InboundDrop Inbound = "drop"
	// InboundEcho sends each back to its sender alone.
	InboundEcho Inbound = "echo"
	// InboundPublish publishes each to the client's own channel.
	InboundPublish Inbound = "publish"
)

// Endpoint is one URL at which clients connect.
type Endpoint struct {
	// Channel is the channel that clients of this URL listen to. When it is
	// empty, the name comes from the request's path value "channel" (see
	// http.Request.PathValue): a route or mux pattern such as /push/{channel}
	// sets it.
	Channel string `yaml:"channel"`

	// Inbound says what becomes of what clients send: drop (default), echo or
	// publish.
	Inbound Inbound `yaml:"inbound"`

	// Origins lists the pages that may connect, as the browser names them in
	// Origin: scheme and host, such as https://app.example.com; "*" admits
	// every page. Default: pages of the same host as the request's own.
	// Requests without Origin do not come from a page and are admitted.
	Origins []string `yaml:"origins"`
}
