package natsbroker

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"wsfront/pusher"
)

// MaxMessage is the length of the longest message that a store in a folder takes.
const MaxMessage = maxPayload - 4<<10 // for the headers

const (
	// maxPayload is the most that NATS recommends, and takes without a warning.
	maxPayload = 8 << 20
	// maxPending is how much may wait for this process in the embedded server. It
	// holds several answers of maxBatchBytes and what Watch has not taken yet.
	maxPending = 128 << 20
	unlimited  = 1 << 50
	// startPatience is how long the embedded server may take until it answers,
	// once it has read its store.
	startPatience = time.Minute
)

// embedded is a server inside the process, and the lock on its folder. The
// server is another one after its store could not be written: see mend.go.
type embedded struct {
	options *server.Options
	log     *slog.Logger
	lock    *os.File
	broken  chan error // holds why the store takes no more messages

	mu     sync.Mutex
	server *server.Server
	fault  error // not nil while it is broken
}

// startEmbedded runs a server on the store in o.Dir. It listens to no port,
// handles no signal and has no accounts: the way in is a pipe in memory.
func startEmbedded(o Options, log *slog.Logger) (*embedded, error) {
	lock, err := lockFolder(o.Dir)
	if err != nil {
		return nil, err
	}
	interval := time.Duration(o.Sync)
	if o.Sync == SyncAlways {
		interval = defaultSync // for what is not a message
	}
	e := &embedded{log: log, lock: lock, broken: make(chan error, 1), options: &server.Options{
		ServerName: "wsfront",
		DontListen: true,
		NoSigs:     true,
		JetStream:  true,
		StoreDir:   o.Dir,
		// Each stream has its own limit; the server's would be derived from the
		// disk that is free at the moment, and refuse to start with less.
		JetStreamMaxStore:  unlimited,
		JetStreamMaxMemory: 1, // no stream of ours is in memory
		MaxPayload:         maxPayload,
		MaxPending:         maxPending,
		SyncInterval:       interval,
		SyncAlways:         o.Sync == SyncAlways,
	}}
	if err := e.start(); err != nil {
		lock.Close()
		return nil, err
	}
	return e, nil
}

func (e *embedded) start() error {
	options := *e.options // the server adds to them
	s, err := server.NewServer(&options)
	if err != nil {
		return fmt.Errorf("embedded NATS server: %w", err)
	}
	s.SetLoggerV2(serverLog{e}, false, false, false)
	s.Start()
	if !s.ReadyForConnections(startPatience) || !s.JetStreamEnabled() {
		s.Shutdown()
		s.WaitForShutdown()
		return fmt.Errorf("embedded NATS server: the store in %s does not start; the log says why (%s)",
			e.options.StoreDir, pusher.EventStoreWarning)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.server = s
	return nil
}

// InProcessConn connects to the server that there is now.
func (e *embedded) InProcessConn() (net.Conn, error) {
	e.mu.Lock()
	s := e.server
	e.mu.Unlock()
	return s.InProcessConn()
}

// stop returns when everything is on the disk.
func (e *embedded) stop() {
	if e == nil {
		return
	}
	e.shutdown()
	e.lock.Close()
}

// lockFolder makes sure that no other process has the same store open: the
// server itself would not notice, and both would destroy it. The lock goes with
// the process, however that ends.
func lockFolder(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("store: another process has %s open; end it first, or give this one a folder of its own", dir)
		}
		return nil, fmt.Errorf("store: lock %s: %w", dir, err)
	}
	return f, nil
}

// shutdown ends the server that there is now.
func (e *embedded) shutdown() {
	e.mu.Lock()
	s := e.server
	e.mu.Unlock()
	s.Shutdown()
	s.WaitForShutdown()
}

// serverLog passes on what the embedded server warns of.
type serverLog struct{ *embedded }

func (l serverLog) Warnf(format string, v ...any) {
	l.log.Warn(pusher.EventStoreWarning, "detail", fmt.Sprintf(format, v...))
}

func (l serverLog) Errorf(format string, v ...any) {
	detail := fmt.Sprintf(format, v...)
	l.log.Error(pusher.EventStoreWarning, "detail", detail)
	l.judge(detail)
}

func (l serverLog) Fatalf(format string, v ...any) { l.Errorf(format, v...) }
func (serverLog) Noticef(string, ...any)           {}
func (serverLog) Debugf(string, ...any)            {}
func (serverLog) Tracef(string, ...any)            {}
