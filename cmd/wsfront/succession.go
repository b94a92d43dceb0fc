package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/spf13/cobra"

	"wsfront/cmd/internal/config"
	"wsfront/cmd/internal/upgrade"
)

const (
	// prepareTime is how long a new process may take to check its configuration.
	prepareTime = time.Minute
	// serveTime is how long it may then take to serve, with a history to read.
	serveTime = 2 * time.Minute
	// holdTime is how long who connects waits for the new process at most. After
	// that this one accepts again until the other serves: all but push goes on.
	holdTime = 5 * time.Second
	// goodbyeTime is how long push clients may take to leave at an upgrade. Who
	// connects meanwhile waits, so that it is short; who is cut off for it has
	// lost nothing, and resumes.
	goodbyeTime = 2 * time.Second
)

// errSucceeded is the answer to orders that are for the new process.
var errSucceeded = errors.New("another process has taken the place of this one meanwhile; give it the order again")

// serve runs a service by the configuration that load returns, in the place of
// the process that started this one for an upgrade, if one did. That one is told
// when this fails.
func serve(cmd *cobra.Command, load func() (*config.File, error), flags publishFlags, pushFlag string, reloads func() bool) (err error) {
	before, err := upgrade.Inherit()
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			before.Fail(err)
		}
	}()
	file, err := load()
	if err != nil {
		return err
	}
	s, err := newService(file, flags, before, cmd.OutOrStdout(), cmd.ErrOrStderr())
	if err != nil {
		return inFlags(file.Explain(err), file, pushFlag)
	}
	if reloads() {
		s.reload = func() error {
			file, err := load()
			if err != nil {
				return err
			}
			return s.apply(file)
		}
	}
	return s.run(cmd.Context())
}

// takeOver has this process take what only one may have, once the one before has
// given it up.
func (s *service) takeOver() error {
	if s.before == nil {
		return nil
	}
	if err := s.before.Prepared(); err != nil {
		return err
	}
	if s.parts.Err() != nil {
		return errors.New("it was told to end before it served")
	}
	return s.renewPush(s.push.socket, func(*pushPart) {})
}

// renewPush opens the push service anew, with the publish API at a socket, nil
// for none, and puts it in the place of the one there was. begin is called before
// anybody else can have it, or end it.
func (s *service) renewPush(socket net.Listener, begin func(*pushPart)) error {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	p, err := s.openPush(s.file)
	if err != nil {
		return err
	}
	if socket != nil {
		err = p.servePublish(s, s.file.PublishAPI(), socket)
	}
	if err == nil {
		err = s.leadTo(p)
	}
	if err != nil {
		p.socket, p.publish = nil, nil // the socket is the caller's still
		return errors.Join(err, p.close())
	}
	begin(p)
	s.push = p
	return nil
}

// leadTo has the push routes lead to another push service.
func (s *service) leadTo(p *pushPart) error {
	cfg, err := s.file.Proxy(p.hub.Endpoint)
	if err != nil {
		return err
	}
	return s.front.Reload(cfg)
}

// upgrade starts this program anew, with the same arguments and the sockets, and
// lets the new process take the place of this one. It returns when that one
// serves, or the reason for which this one goes on.
func (s *service) upgrade() error {
	err := s.trySucceed()
	if err != nil {
		s.log.Error(eventUpgradeFailed, "reason", err.Error())
	}
	return err
}

func (s *service) trySucceed() error {
	if !s.ordering.TryLock() {
		return errors.New("a reload or an upgrade is under way; try again when it is done")
	}
	defer s.ordering.Unlock()
	switch {
	case s.after != nil:
		return errSucceeded
	case s.parts.Err() != nil:
		return errors.New("this server is shutting down")
	case os.Getpid() == 1:
		return errors.New("this is process 1, with which its container ends; start a new container instead")
	}
	sockets, publish, err := s.sockets()
	defer closeSockets(sockets)
	if err != nil {
		return err
	}
	next, err := s.program.Start(sockets)
	if err != nil {
		return err
	}
	s.log.Info(eventUpgradeStart, "pid", next.PID())
	if err := next.Prepared(s.parts, prepareTime); err != nil {
		next.Abandon()
		return fmt.Errorf("the new process is not ready: %w", err)
	}
	// Who connects from here on waits for one of the two.
	s.front.Hold()
	defer time.AfterFunc(holdTime, s.front.Resume).Stop()
	s.keepFiles(true)
	_ = s.endPush(goodbyeTime) // the log has whom it cut off
	if err := next.Proceed(s.parts, serveTime); err != nil {
		next.Abandon()
		s.goOn(publish)
		return fmt.Errorf("the new process does not serve: %w", err)
	}
	s.succeededBy(next)
	return nil
}

// sockets are all that is handed over; publish is the one of the publish API, or
// nil.
func (s *service) sockets() (all []upgrade.Socket, publish *os.File, err error) {
	files, err := s.front.Sockets()
	for _, f := range files {
		all = append(all, upgrade.Socket{Name: frontSocket, File: f})
	}
	if err != nil {
		return all, nil, err
	}
	local, err := s.admin.hand()
	if local != nil {
		all = append(all, upgrade.Socket{Name: adminSocket + s.file.AdminListen(), File: local})
	}
	if err != nil {
		return all, nil, err
	}
	s.reloading.Lock()
	defer s.reloading.Unlock()
	if s.push == nil {
		return all, nil, errors.New("this server is shutting down")
	}
	if publish, err = s.push.hand(); publish != nil {
		all = append(all, upgrade.Socket{Name: publishSocket + s.push.address, File: publish})
	}
	return all, publish, err
}

func closeSockets(sockets []upgrade.Socket) {
	for _, one := range sockets {
		one.File.Close()
	}
}

// keepFiles says whether the file of the publish API's unix socket stays when this
// process closes it.
func (s *service) keepFiles(keep bool) {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	if s.push == nil {
		return
	}
	if u, ok := s.push.socket.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(!keep)
	}
}

// goOn has this process serve as before, after the new one failed when the push
// service had ended here already.
func (s *service) goOn(publish *os.File) {
	defer s.front.Resume()
	s.keepSocket()
	if s.parts.Err() != nil {
		return
	}
	var socket net.Listener
	var err error
	if publish != nil {
		if socket, err = net.FileListener(publish); err != nil {
			s.stop(fmt.Errorf("take the publish API's socket back: %w", err))
			return
		}
	}
	if err := s.renewPush(socket, func(p *pushPart) { p.start(s) }); err != nil {
		s.stop(fmt.Errorf("begin the push service again: %w", err))
		return
	}
	s.keepFiles(false)
	if s.parts.Err() != nil { // whoever ends the parts may have found none
		_ = s.endPush(s.drainTimeout()) // the log has whom it cut off
	}
}

// succeededBy leaves the place to a new process that serves. What is left to do
// is to end what is open.
func (s *service) succeededBy(next *upgrade.Successor) {
	s.after = next
	s.before.Hurry() // there are never more than two that drain
	s.notMain()
	s.manager.Succeed(next.PID())
	next.Lead()
	s.front.GiveWay()
	s.obeying.Go(func() { // ends with the new process or by Release; run waits
		next.Obey(func() { s.stop(nil) }, s.front.ReopenAccessLog)
	})
	s.stopOrders()
	s.log.Info(eventUpgradeDone, "pid", next.PID())
}

// awaitPredecessor waits for the end of the process before this one, as its
// tunnels would else be cut: systemd kills what is left when this one ends.
func (s *service) awaitPredecessor() {
	ctx, cancel := context.WithTimeout(context.Background(), s.drainTimeout()+cutTime)
	defer cancel()
	if s.before == nil {
		return
	}
	select {
	case <-s.before.Gone():
	case <-ctx.Done():
	}
}
