package syslog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// acceptPause is how long no connection is accepted after one could not be, such
// as for want of file descriptors.
const acceptPause = 100 * time.Millisecond

// accept serves connections until the socket is closed and they have all ended.
func (l *Listener) accept(ctx context.Context) error {
	var connections sync.WaitGroup // each ends with ctx
	defer connections.Wait()
	slots := make(chan struct{}, l.cfg.MaxConnections)
	for {
		conn, err := l.streams.Accept()
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		if err != nil {
			l.tally.add(EventRefused, err.Error())
			pause(ctx, acceptPause)
			continue
		}
		ip := addressOf(conn.RemoteAddr().(*net.TCPAddr).AddrPort())
		if !l.cfg.allows(ip) {
			l.tally.add(EventRefused, ip.String()+" is not in allow")
			conn.Close()
			continue
		}
		select {
		case slots <- struct{}{}:
		default:
			l.tally.add(EventRefused, fmt.Sprintf("%s came when max_connections (%d) were open", ip, l.cfg.MaxConnections))
			conn.Close()
			continue
		}
		connections.Go(func() {
			defer func() { <-slots }()
			l.serve(ctx, conn, ip.String())
		})
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// serve takes the lines of one connection until it ends or ctx is done. While
// the queue is full nothing is read, which slows the sender down.
func (l *Listener) serve(ctx context.Context, conn net.Conn, source string) {
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() }) // makes reading fail
	defer stop()
	began, lines := time.Now(), 0
	err := l.readStream(ctx, conn, source, &lines)
	reason := ""
	switch {
	case ctx.Err() != nil:
		reason = "shutdown"
	case errors.Is(err, io.EOF):
		reason = "client closed"
	case errors.Is(err, os.ErrDeadlineExceeded):
		reason = "idle timeout"
	default:
		reason = err.Error()
	}
	l.log.Debug(EventClose, "remote", conn.RemoteAddr().String(), "lines", lines, "duration", time.Since(began), "reason", reason)
}

func (l *Listener) readStream(ctx context.Context, conn net.Conn, source string, lines *int) error {
	stream := newFrames(conn, int(l.cfg.MaxMessage))
	for {
		if l.cfg.IdleTimeout > 0 {
			if err := conn.SetReadDeadline(time.Now().Add(l.cfg.IdleTimeout)); err != nil {
				return err
			}
		}
		text, cut, err := stream.next()
		if cut {
			l.tally.add(EventCut, "a line from "+source+" is longer than max_message")
		}
		if len(text) > 0 {
			*lines++
			if !l.wait(ctx, line{text, source, time.Now()}) {
				return ctx.Err()
			}
		}
		if err != nil {
			return err
		}
	}
}
