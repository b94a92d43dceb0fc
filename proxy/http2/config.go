package http2

import (
	"sync"
	"time"
)

// Config is what the connections of a Server have in common. A zero value
// stands for the default.
type Config struct {
	// Handler answers a stream. It is called in a goroutine of its own, and must
	// not use the Stream after it has returned. A stream that it has not ended
	// is reset.
	Handler func(*Stream)
	// Hit is told the name of each limit when it is reached, and the owner of the
	// connection. It is called while the connection is locked: it must not wait,
	// nor call back. Default: nobody is told.
	Hit func(owner any, limit Limit)
	// Panic is told of a panic of a connection's Write, which has ended that
	// connection. Default: nobody is told.
	Panic func(owner, cause any, stack []byte)

	MaxStreams       int           // open at a time; a reset one is open until its Handler has returned; default 100
	MaxHeader        int           // bytes of a decoded header block, as SETTINGS_MAX_HEADER_LIST_SIZE counts; default 32 KiB
	MaxHeaderFields  int           // of a header block; default 100
	MaxContinuations int           // CONTINUATION frames of a header block; default 8
	MaxResets        int           // resets by the client within 10 s, beyond the streams that were answered; default 200
	MaxControlFrames int           // frames that ask for nothing within 10 s, beyond those that the data explains; default 2000
	HeaderTimeout    time.Duration // for the preface, and for a frame or a header block that has begun; default 20 s
	IdleTimeout      time.Duration // of a connection without a stream; default 75 s
	RestAfter        time.Duration // without a stream before Serve returns, if it may; default 2 s
	WriteTimeout     time.Duration // for the client to take what is written, at a time 64 KiB or little more; default 60 s
}

// A Limit is the name of a limit, as an operator knows it.
type Limit string

// The limits of which Config.Hit is told.
const (
	HitStreams       Limit = "max_streams"        // a stream was refused
	HitHeader        Limit = "max_header"         // Head.TooLarge, or the connection ended by an encoded block
	HitHeaderFields  Limit = "max_header_fields"  // Head.TooLarge
	HitContinuations Limit = "max_continuations"  // the connection ended
	HitResets        Limit = "max_resets"         // the connection ended
	HitControlFrames Limit = "max_control_frames" // the connection ended
	HitHeaderTimeout Limit = "header_timeout"     // the connection ended
	HitIdleTimeout   Limit = "idle_timeout"       // the connection ended
	HitWriteTimeout  Limit = "write_timeout"      // the stream or the connection ended
)

// What a connection holds at most, and what is not for operators to choose.
const (
	// streamWindow is how much of a request's body may wait for its Handler.
	streamWindow = 256 << 10
	// connWindow is the same of all streams of a connection.
	connWindow = 1 << 20
	// outLimit is from how much on whoever writes waits until the client has
	// taken something. A header block may go beyond it.
	outLimit = 64 << 10
	// flushFrom is how much is written without waiting for a Flush.
	flushFrom = 32 << 10
	// controlLimit is how many bytes of answers to control frames may wait for
	// a client that does not read them.
	controlLimit = 16 << 10
	// rateTime is the time that MaxResets and MaxControlFrames are about.
	rateTime = 10 * time.Second
	// goAwayGrace is how long a client that is told to go may take to say that it
	// has heard, so that no request of its is lost (RFC 9113 §6.8).
	goAwayGrace = time.Second
	// deadlineSlack is how much later than they say writes may be given up: so
	// often only is their deadline moved.
	deadlineSlack = time.Second
	// lingerTime is how long the last bytes have to arrive after a fault, and how
	// long a client is waited for that says nothing meanwhile.
	lingerTime = time.Second
	// maxKeptText keeps the memory of one very long head from staying.
	maxKeptText = 16 << 10
)

// A Server makes connections. It may be used concurrently.
type Server struct {
	cfg     Config
	streams sync.Pool // of *Stream
}

// NewServer makes a Server.
func NewServer(cfg Config) *Server {
	if cfg.Hit == nil {
		cfg.Hit = func(any, Limit) {}
	}
	if cfg.Panic == nil {
		cfg.Panic = func(any, any, []byte) {}
	}
	defaultTo(&cfg.MaxStreams, 100)
	defaultTo(&cfg.MaxHeader, 32<<10)
	defaultTo(&cfg.MaxHeaderFields, 100)
	defaultTo(&cfg.MaxContinuations, 8)
	defaultTo(&cfg.MaxResets, 200)
	defaultTo(&cfg.MaxControlFrames, 2000)
	defaultTo(&cfg.HeaderTimeout, 20*time.Second)
	defaultTo(&cfg.IdleTimeout, 75*time.Second)
	defaultTo(&cfg.RestAfter, 2*time.Second)
	defaultTo(&cfg.WriteTimeout, 60*time.Second)
	s := &Server{cfg: cfg}
	s.streams.New = func() any { return newStream() }
	return s
}

func defaultTo[T int | time.Duration](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}
