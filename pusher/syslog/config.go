package syslog

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"path"
	"strconv"
	"strings"
	"time"

	"wsfront/pusher"
)

// Config is one socket at which log lines are received. Listen and Channel are
// required; every other zero field stands for the default its comment names.
type Config struct {
	// Listen is the address: udp://127.0.0.1:5514, tcp://127.0.0.1:5514, or
	// unix:///run/wsfront/log.sock, a datagram socket as rsyslog's omuxsock and
	// logger -u write to. Its mode is 0660: who is to write belongs to the group
	// of the user that this program runs as.
	Listen string `yaml:"listen"`

	// Channel is where the lines are published.
	Channel string `yaml:"channel"`

	// Format is what a message on the channel looks like: line, as
	// /var/log/syslog has it; json, an object with facility, severity,
	// timestamp, hostname, app_name, procid, msgid, structured_data and msg (RFC
	// 5424 §6); or a text/template over the fields of Message, such as
	// "{{.Hostname}} {{.Msg}}". Default line.
	Format string `yaml:"format"`

	// Allow lists the addresses that may send, by UDP or TCP. Required unless
	// Listen is an address of this machine alone; there the default is all.
	Allow []netip.Prefix `yaml:"allow"`

	// MaxMessage is the length of the longest line; of a longer one the end is
	// cut off (RFC 5424 §6.1). 480 bytes to 1MiB. Default 8KiB.
	MaxMessage int64 `yaml:"max_message,size"`

	// Queue is how many lines may wait to be published. When it is full, what
	// comes by UDP is dropped, and other senders are slowed down. At most
	// 100,000. Default 1000.
	Queue int `yaml:"queue"`

	// MaxConnections is how many TCP connections may be open; one beyond is
	// closed at once. Default 100.
	MaxConnections int `yaml:"max_connections"`

	// IdleTimeout closes a TCP connection that brings no whole line for so long.
	// Senders such as rsyslog keep theirs for days and lose a line when it is
	// closed; those that are gone are found by TCP keep-alive in any case.
	// Default never, at least 1s.
	IdleTimeout time.Duration `yaml:"idle_timeout"`
}

const (
	defaultMaxMessage     = 8 << 10
	minMaxMessage         = 480 // what every receiver must take (RFC 5424 §6.1)
	maxMaxMessage         = 1 << 20
	defaultQueue          = 1000
	maxQueue              = 100_000
	defaultMaxConnections = 100
	minIdleTimeout        = time.Second
	maxSocketPath         = 107 // of struct sockaddr_un
)

// address is a Listen that was understood.
type address struct {
	network string // udp, tcp or unixgram
	at      string // host:port or the socket's path
	local   bool   // nobody beyond this machine reaches it
}

// Validate reports everything that is wrong with c as pusher.FieldErrors, or
// nil.
func (c Config) Validate() error {
	var errs pusher.FieldErrors
	fail := func(field, format string, args ...any) {
		errs = append(errs, pusher.FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
	}
	at, err := parseListen(c.Listen)
	if err != nil {
		fail("listen", "%s", err)
	}
	if problem := channelProblem(c.Channel); problem != "" {
		fail("channel", "%s", problem)
	}
	if _, err := newFormat(c.Format); err != nil {
		fail("format", "%s", err)
	}
	if err == nil {
		c.checkReach(at, fail)
	}
	if n := c.MaxMessage; n != 0 && (n < minMaxMessage || n > maxMaxMessage) {
		fail("max_message", "%d bytes are out of range; write %d to %d bytes, such as 8KiB", n, minMaxMessage, maxMaxMessage)
	}
	if c.Queue < 0 || c.Queue > maxQueue {
		fail("queue", "%d lines are out of range; write at most %d, such as %d", c.Queue, maxQueue, defaultQueue)
	}
	if c.MaxConnections < 0 {
		fail("max_connections", "%d is negative; write how many connections may be open, such as %d", c.MaxConnections, defaultMaxConnections)
	}
	if c.IdleTimeout != 0 && c.IdleTimeout < minIdleTimeout {
		fail("idle_timeout", "%s is too short; write at least %s, such as 1h, or leave it out for none", c.IdleTimeout, minIdleTimeout)
	}
	if len(errs) == 0 {
		return nil
	}
	return errs
}

// checkReach checks the options that say who may send.
func (c Config) checkReach(at address, fail func(field, format string, args ...any)) {
	switch {
	case at.network == "unixgram" && len(c.Allow) > 0:
		fail("allow", "has no effect on a unix socket, whose folder and group say who may write; remove it")
	case !at.local && len(c.Allow) == 0:
		fail("allow", "missing, and whoever reaches %s could write on the channel; "+
			"write the senders' addresses, such as allow: [10.0.0.0/8], or listen at 127.0.0.1", c.Listen)
	}
	if at.network != "tcp" {
		if c.MaxConnections != 0 {
			fail("max_connections", "has no effect but on tcp; remove it")
		}
		if c.IdleTimeout != 0 {
			fail("idle_timeout", "has no effect but on tcp; remove it")
		}
	}
}

// channelProblem says what is wrong with a channel's name. The hub knows best;
// that a path names the channel is only for endpoints.
func channelProblem(name string) string {
	if name == "" {
		return "missing; write the channel on which the lines are published, such as board"
	}
	if err, ok := (pusher.Endpoint{Channel: name}).Validate().(pusher.FieldErrors); ok {
		return err[0].Message
	}
	return ""
}

// parseListen understands Config.Listen.
func parseListen(listen string) (address, error) {
	const examples = "udp://127.0.0.1:5514, tcp://127.0.0.1:5514 or unix:///run/wsfront/log.sock"
	if listen == "" {
		return address{}, fmt.Errorf("missing; write %s", examples)
	}
	scheme, rest, ok := strings.Cut(listen, "://")
	if !ok || scheme != "udp" && scheme != "tcp" && scheme != "unix" {
		return address{}, fmt.Errorf("%q begins with neither udp://, tcp:// nor unix://; write %s", listen, examples)
	}
	if scheme == "unix" {
		switch {
		case !path.IsAbs(rest) || path.Clean(rest) != rest:
			return address{}, fmt.Errorf("%q names no absolute path; write one such as unix:///run/wsfront/log.sock", listen)
		case len(rest) > maxSocketPath:
			return address{}, fmt.Errorf("%q is longer than the %d bytes that a socket's path may have; write a shorter one", rest, maxSocketPath)
		}
		return address{"unixgram", rest, true}, nil
	}
	host, port, err := net.SplitHostPort(rest)
	if err != nil {
		return address{}, fmt.Errorf("%q is no host:port; write %s://127.0.0.1:5514 (an IPv6 address stands in brackets)", rest, scheme)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		return address{}, fmt.Errorf("%q is no port; write a number from 1 to 65535, as in %s://%s", port, scheme, net.JoinHostPort(host, "5514"))
	}
	ip, err := netip.ParseAddr(host)
	if err != nil && host != "" && host != "localhost" {
		return address{}, fmt.Errorf("%q is no address; write one of this machine, such as %s://127.0.0.1:%s, or none for all of them", host, scheme, port)
	}
	return address{scheme, rest, host == "localhost" || ip.IsLoopback()}, nil
}

func (c Config) withDefaults() Config {
	c.MaxMessage = cmp.Or(c.MaxMessage, defaultMaxMessage)
	c.Queue = cmp.Or(c.Queue, defaultQueue)
	c.MaxConnections = cmp.Or(c.MaxConnections, defaultMaxConnections)
	return c
}

// allows reports whether a line from ip may be taken.
func (c Config) allows(ip netip.Addr) bool {
	for _, p := range c.Allow {
		if p.Contains(ip) {
			return true
		}
	}
	return len(c.Allow) == 0
}
