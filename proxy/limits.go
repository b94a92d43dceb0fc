package proxy

import (
	"cmp"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"wsfront/proxy/http1"
)

// Limits bound what one client, or all of them together, may take. Zero fields
// stand for the defaults. A reload takes changes of all of them; what is under
// way keeps those it began with. deploy/docs/limits.md says what becomes of who
// reaches one, and how much memory they add up to.
type Limits struct {
	// HandshakeTimeout is how long a TLS handshake may take; then the connection
	// is closed. Default 10s.
	HandshakeTimeout time.Duration `yaml:"handshake_timeout"`

	// HeaderTimeout is how long the head of a request may take from its first
	// byte to its last; then the answer is 408. Default 20s.
	HeaderTimeout time.Duration `yaml:"header_timeout"`

	// MaxHeader is the length of the longest head of a request, its first line
	// included; a longer one gets 431. At most 32KiB. Default 32KiB.
	MaxHeader int64 `yaml:"max_header,size"`

	// MaxHeaderFields is how many fields a head may have; one with more gets 431.
	// Default 100.
	MaxHeaderFields int `yaml:"max_header_fields"`

	// MaxTarget is the length of the longest target of a request, its path and
	// query; a longer one gets 414. Default 8KiB, or MaxHeader if that is less.
	MaxTarget int64 `yaml:"max_target,size"`

	// IdleTimeout is how long a connection may wait for its next request, or for
	// its first, or over HTTP/2 without one under way; then it is closed. Default
	// 75s.
	IdleTimeout time.Duration `yaml:"idle_timeout"`

	// BodyTimeout is how long a client may pause within the body of its request;
	// then the answer is 408. Default 30s.
	BodyTimeout time.Duration `yaml:"body_timeout"`

	// MinBodyRate is how many bytes of a body a client must send in a second, on
	// the average and once BodyTimeout is over; a slower one gets 408. Only the
	// time counts in which the client was waited for, none in which the backend
	// was. off asks for no rate. Default 240.
	MinBodyRate ByteRate `yaml:"min_body_rate"`

	// WriteTimeout is how long a client may take nothing of what is written to
	// it; then the connection is cut. Default 60s.
	WriteTimeout time.Duration `yaml:"write_timeout"`

	// MaxConnections is how many connections of clients may be open at a time,
	// tunnels not counted. For one beyond, that which has been idle the longest
	// is closed; where none is idle, the new one is. Default what 95 in 100 of
	// the limit of open files have room for, two for each connection; any number
	// where the system sets no limit.
	MaxConnections int `yaml:"max_connections"`

	// MaxConnectionsPerAddress is how many of them one client address may have;
	// an IPv6 client is known by its /64 network. One beyond is closed at once.
	// Loopback addresses and TrustedProxies are not counted. Default 1000.
	MaxConnectionsPerAddress int `yaml:"max_connections_per_address"`

	// MaxHandshakesPerSecond is how many TLS handshakes one client address may
	// begin in a second, those of a whole second at once; the connection of one
	// beyond is closed at once. Addresses are as with MaxConnectionsPerAddress.
	// Default 100.
	MaxHandshakesPerSecond int `yaml:"max_handshakes_per_second"`

	// MaxHandshakes is how many TLS handshakes may be under way at a time; the
	// connection of one beyond is closed at once. Default 2000.
	MaxHandshakes int `yaml:"max_handshakes"`

	// UploadBuffer is the length of the longest body that is taken whole into
	// memory before the backend is asked, so that who sends slowly holds none of
	// its workers. Memory is taken as the bytes come. At most 1MiB. Default 64KiB.
	UploadBuffer int64 `yaml:"upload_buffer,size"`

	// MaxStreams is how many requests may be under way on one connection of
	// HTTP/2 (RFC 9113 §5.1.2); one beyond is refused. Default 100.
	MaxStreams int `yaml:"max_streams"`

	// MaxResets is how many requests a client of HTTP/2 may take back within ten
	// seconds, beyond those that were answered; who takes back more is closed with
	// ENHANCE_YOUR_CALM, as is who sends ten times as many frames that ask for
	// nothing. Default 200.
	MaxResets int `yaml:"max_resets"`

	// MaxContinuations is how many CONTINUATION frames the head of a request may
	// take over HTTP/2; who sends more is closed with ENHANCE_YOUR_CALM. Default
	// 8.
	MaxContinuations int `yaml:"max_continuations"`
}

// ByteRate is a number of bytes in a second, or RateOff for no rate at all.
type ByteRate int64

// RateOff turns a rate off; 0 stands for the default.
const RateOff ByteRate = -1

// UnmarshalText reads a number, or off.
func (r *ByteRate) UnmarshalText(text []byte) error {
	if s := string(text); s == "off" || s == "0" {
		*r = RateOff
		return nil
	}
	n, err := strconv.ParseUint(string(text), 10, 31)
	if err != nil {
		return fmt.Errorf("%q is no rate; write whole bytes in a second, such as 240, or off", text)
	}
	*r = ByteRate(n)
	return nil
}

// Defaults of Limits.
const (
	DefaultHandshakeTimeout         = 10 * time.Second
	DefaultHeaderTimeout            = 20 * time.Second
	DefaultMaxHeader                = 32 << 10
	DefaultMaxHeaderFields          = 100
	DefaultMaxTarget                = 8 << 10
	DefaultClientIdleTimeout        = 75 * time.Second
	DefaultBodyTimeout              = 30 * time.Second
	DefaultMinBodyRate              = ByteRate(240)
	DefaultWriteTimeout             = 60 * time.Second
	DefaultMaxConnectionsPerAddress = 1000
	DefaultMaxHandshakesPerSecond   = 100
	DefaultMaxHandshakes            = 2000
	DefaultUploadBuffer             = 64 << 10
	DefaultMaxStreams               = 100
	DefaultMaxResets                = 200
	DefaultMaxContinuations         = 8
)

const (
	// mostHeader is what the reader of heads holds, room for a body behind the
	// head apart.
	mostHeader = 32 << 10
	// mostUploadBuffer keeps bodies that belong into a file out of memory.
	mostUploadBuffer = 1 << 20
	// shortestTimeout is the least that a limit of time may be: a shorter one is
	// a slip, and would cut everybody.
	shortestTimeout = 100 * time.Millisecond
)

// withDefaults fills in what was left out.
func (l Limits) withDefaults() Limits {
	l.HandshakeTimeout = cmp.Or(l.HandshakeTimeout, DefaultHandshakeTimeout)
	l.HeaderTimeout = cmp.Or(l.HeaderTimeout, DefaultHeaderTimeout)
	l.MaxHeader = cmp.Or(l.MaxHeader, DefaultMaxHeader)
	l.MaxHeaderFields = cmp.Or(l.MaxHeaderFields, DefaultMaxHeaderFields)
	l.MaxTarget = cmp.Or(l.MaxTarget, min(DefaultMaxTarget, l.MaxHeader))
	l.IdleTimeout = cmp.Or(l.IdleTimeout, DefaultClientIdleTimeout)
	l.BodyTimeout = cmp.Or(l.BodyTimeout, DefaultBodyTimeout)
	l.MinBodyRate = cmp.Or(l.MinBodyRate, DefaultMinBodyRate)
	l.WriteTimeout = cmp.Or(l.WriteTimeout, DefaultWriteTimeout)
	l.MaxConnections = cmp.Or(l.MaxConnections, pairsWithin(openFilesLimit()))
	l.MaxConnectionsPerAddress = cmp.Or(l.MaxConnectionsPerAddress, DefaultMaxConnectionsPerAddress)
	l.MaxHandshakesPerSecond = cmp.Or(l.MaxHandshakesPerSecond, DefaultMaxHandshakesPerSecond)
	l.MaxHandshakes = cmp.Or(l.MaxHandshakes, DefaultMaxHandshakes)
	l.UploadBuffer = cmp.Or(l.UploadBuffer, DefaultUploadBuffer)
	l.MaxStreams = cmp.Or(l.MaxStreams, DefaultMaxStreams)
	l.MaxResets = cmp.Or(l.MaxResets, DefaultMaxResets)
	l.MaxContinuations = cmp.Or(l.MaxContinuations, DefaultMaxContinuations)
	return l
}

// limits checks what holds for clients.
func (v *validator) limits() {
	l := v.Limits
	timeout := func(name string, d time.Duration) {
		switch field := "limits." + name; {
		case d < 0:
			v.duration(field, d)
		case d < shortestTimeout:
			v.failf(field, "%s is too short for any client; write at least %s, such as 30s", d, shortestTimeout)
		}
	}
	timeout("handshake_timeout", l.HandshakeTimeout)
	timeout("header_timeout", l.HeaderTimeout)
	if l.MaxHeader < 1<<10 || l.MaxHeader > mostHeader {
		v.failf("limits.max_header", "%d bytes is not between 1KiB and 32KiB; write such a size, or leave it out for 32KiB", l.MaxHeader)
	}
	v.count("limits.max_header_fields", l.MaxHeaderFields)
	if v.size("limits.max_target", l.MaxTarget); l.MaxTarget > l.MaxHeader {
		v.failf("limits.max_target", "%d bytes is more than max_header, which the target is a part of; write %d or less", l.MaxTarget, min(l.MaxHeader, mostHeader))
	}
	timeout("idle_timeout", l.IdleTimeout)
	timeout("body_timeout", l.BodyTimeout)
	if l.MinBodyRate < RateOff {
		v.failf("limits.min_body_rate", "%d is negative; write bytes in a second, such as 240, or off", l.MinBodyRate)
	}
	timeout("write_timeout", l.WriteTimeout)
	v.count("limits.max_connections", l.MaxConnections)
	v.count("limits.max_connections_per_address", l.MaxConnectionsPerAddress)
	v.count("limits.max_handshakes_per_second", l.MaxHandshakesPerSecond)
	v.count("limits.max_handshakes", l.MaxHandshakes)
	if v.size("limits.upload_buffer", l.UploadBuffer); l.UploadBuffer > mostUploadBuffer {
		v.failf("limits.upload_buffer", "%d bytes is more than 1MiB, and each upload under way may hold as much memory; write less, such as 256KiB", l.UploadBuffer)
	}
	v.count("limits.max_streams", l.MaxStreams)
	v.count("limits.max_resets", l.MaxResets)
	v.count("limits.max_continuations", l.MaxContinuations)
}

// limits are those of the configuration in effect, in the form in which they are
// asked for. They never change once they are made.
type limits struct {
	Limits
	head                             http1.Limits // of a request
	maxTunnels, maxTunnelsPerAddress int
	trusted                          []netip.Prefix
}

// newLimits wants a Config with its defaults.
func newLimits(c Config) *limits {
	return &limits{
		Limits:     c.Limits,
		head:       http1.Limits{Head: int(c.Limits.MaxHeader), Fields: c.Limits.MaxHeaderFields, Target: int(c.Limits.MaxTarget)},
		maxTunnels: c.MaxTunnels, maxTunnelsPerAddress: c.MaxTunnelsPerAddress,
		trusted: c.TrustedProxies,
	}
}
