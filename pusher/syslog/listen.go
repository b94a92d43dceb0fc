package syslog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// Publish publishes text, which is UTF-8, on channel. It returns when the
// message is as safe as the channel promises.
type Publish func(ctx context.Context, channel string, text []byte) error

// drainTimeout is how long lines that were received may take to be published
// once Run is told to end: their senders take them for delivered.
const drainTimeout = 2 * time.Second

// Listener receives log lines at one socket and publishes them.
type Listener struct {
	cfg     Config
	at      address
	format  format
	publish Publish
	log     *slog.Logger
	tally   *tally
	queue   chan line

	packets net.PacketConn // one of the two, once Listen was called
	streams net.Listener
}

// New makes a Listener, which receives nothing yet. Its error is that of
// cfg.Validate. publish is called from one goroutine, a line after the other. A
// nil log discards.
func New(cfg Config, publish Publish, log *slog.Logger) (*Listener, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	log = log.With("listen", cfg.Listen, "channel", cfg.Channel)
	l := &Listener{cfg: cfg.withDefaults(), publish: publish, log: log, tally: newTally(log)}
	l.at, _ = parseListen(cfg.Listen) // both were valid above
	l.format, _ = newFormat(cfg.Format)
	l.queue = make(chan line, l.cfg.Queue)
	return l, nil
}

// Listen binds the address, so that Run cannot fail for it. A socket file that
// an earlier process left behind is replaced. What is wrong with the address is
// said in words that fit behind the option's name. Call Run or Close next.
func (l *Listener) Listen() error {
	var err error
	switch l.at.network {
	case "tcp":
		l.streams, err = net.Listen("tcp", l.at.at)
	case "udp":
		l.packets, err = net.ListenPacket("udp", l.at.at)
	default:
		l.packets, err = listenUnix(l.at.at)
	}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("another program has %q; stop it, or choose another address", l.cfg.Listen)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("no permission to listen at %q; choose a port above 1023, or a folder that this user may write in", l.cfg.Listen)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("the folder of %q is not there; create it", l.cfg.Listen)
	case err != nil:
		return fmt.Errorf("cannot listen at %q: %w", l.cfg.Listen, err)
	}
	return nil
}

// socketMode lets the group write: to write to a socket is to connect to it.
const socketMode = 0o660

func listenUnix(path string) (net.PacketConn, error) {
	conn, err := net.ListenPacket("unixgram", path)
	if errors.Is(err, syscall.EADDRINUSE) && abandoned(path) {
		if err := os.Remove(path); err != nil {
			return nil, err
		}
		conn, err = net.ListenPacket("unixgram", path)
	}
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, socketMode); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// abandoned reports whether path is a socket at which nobody listens: the file
// outlives a process that was killed. Other files refuse connections, too.
func abandoned(path string) bool {
	if info, err := os.Lstat(path); err != nil || info.Mode().Type() != fs.ModeSocket {
		return false
	}
	conn, err := net.Dial("unixgram", path)
	if err == nil {
		conn.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

// Addr is the address after Listen.
func (l *Listener) Addr() net.Addr {
	if l.streams != nil {
		return l.streams.Addr()
	}
	return l.packets.LocalAddr()
}

// Close gives the address back, and removes the socket file. It is for a
// Listener whose Run is not called.
func (l *Listener) Close() error {
	if l.streams != nil {
		return l.streams.Close()
	}
	err := l.packets.Close()
	if l.at.network == "unixgram" {
		err = errors.Join(err, os.Remove(l.at.at))
	}
	return err
}

// Run receives and publishes until ctx is done, and gives the address back. What
// was received by then is still published, for up to two seconds. It returns an
// error only when the socket fails. Listen comes before it.
func (l *Listener) Run(ctx context.Context) error {
	l.log.Info(EventListen, "address", l.Addr().String())
	// All are awaited below: telling ends with telling's context, forwarding
	// when the queue is closed behind its last line.
	var forwarding, telling sync.WaitGroup
	tellingCtx, stopTelling := context.WithCancel(context.WithoutCancel(ctx))
	publishCtx, stopPublishing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopPublishing()
	telling.Go(func() { l.tally.run(tellingCtx) })
	forwarding.Go(func() { l.forward(publishCtx) })

	err := l.receive(ctx)
	close(l.queue) // nobody receives any more
	drain := time.AfterFunc(drainTimeout, stopPublishing)
	forwarding.Wait()
	drain.Stop()
	stopTelling()
	telling.Wait()
	l.tally.tell()
	return err
}

// receive reads from the socket until ctx is done and everything that reads has
// ended.
func (l *Listener) receive(ctx context.Context) error {
	closed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { // makes reading fail; awaited by <-closed
		defer close(closed)
		_ = l.Close()
	})
	var err error
	if l.streams != nil {
		err = l.accept(ctx)
	} else {
		err = l.readPackets(ctx)
	}
	if stop() { // the socket failed by itself
		_ = l.Close()
		return fmt.Errorf("receive log lines at %s: %w", l.cfg.Listen, err)
	}
	<-closed
	return nil
}

// forward publishes what is in the queue until that is closed and empty.
func (l *Listener) forward(ctx context.Context) {
	p := newParser()
	for received := range l.queue {
		m, ok := p.parse(received)
		if !ok {
			continue
		}
		text, err := l.format(m)
		if err == nil {
			err = l.publish(ctx, l.cfg.Channel, text)
		}
		if err != nil {
			l.tally.add(EventFailed, err.Error())
		}
	}
}

// wait queues a line as soon as there is room. False: ctx is done.
func (l *Listener) wait(ctx context.Context, received line) bool {
	select {
	case l.queue <- received:
		return true
	case <-ctx.Done():
		return false
	}
}
