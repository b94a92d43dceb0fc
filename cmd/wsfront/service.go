package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"wsfront/cmd/internal/config"
	"wsfront/cmd/internal/heap"
	"wsfront/cmd/internal/logging"
	"wsfront/cmd/internal/publishd"
	"wsfront/cmd/internal/systemd"
	"wsfront/cmd/internal/upgrade"
	"wsfront/proxy"
	"wsfront/pusher"
)

// The events of the command itself.
const (
	// eventReloadRefused: a new configuration has mistakes; the old one goes
	// on serving. Attributes: problem, one per line.
	eventReloadRefused = "config.reload.refused"
	// eventNoAdmin: wsfront reload, wsfront status and the like will not find this
	// server. Attributes: reason.
	eventNoAdmin = "admin.unavailable"
	// eventAdminListen: the admin listener is served at admin.listen. Attributes:
	// address.
	eventAdminListen = "admin.listen"
	// eventPublishListen: the publish API is served. Attributes: address.
	eventPublishListen = "publish.listen"
	// eventPushCut: at shutdown, push clients did not take their goodbye in
	// time. Attributes: reason.
	eventPushCut = "push.shutdown.cut"
	// eventKeyCreated: the publish API has a new key. Attributes: key (its name),
	// file.
	eventKeyCreated = "publish.key.created"
	// eventUpgradeStart: another process of this program was started, to take
	// the place of this one. Attributes: pid.
	eventUpgradeStart = "upgrade.start"
	// eventUpgradeDone: it serves. Attributes: pid.
	eventUpgradeDone = "upgrade.done"
	// eventUpgradeFailed: it does not, and this one goes on. Attributes: reason.
	eventUpgradeFailed = "upgrade.failed"
)

// service is one running wsfront: the front, its push service with its inputs,
// and the two doors beside it, for publishing and for orders.
type service struct {
	log     *slog.Logger
	lines   *logging.Sampler // of log
	manager *systemd.Manager
	front   *proxy.Server
	// reload reads the configuration again and applies it; nil when there is
	// no file.
	reload     func() error
	started    time.Time
	life       configLife
	ordering   sync.Mutex // held while a reload or an upgrade is under way
	admin      adminPart
	stopOrders context.CancelFunc // ends both of its listeners
	ordersDone sync.WaitGroup     // them

	reloading sync.Mutex   // of what follows, once run was called
	file      *config.File // the one in effect
	push      *pushPart    // nil once it has ended
	flags     publishFlags
	counts    publishd.Counts // of the publish API

	program upgrade.Program
	before  *upgrade.Predecessor // nil for a process that takes nobody's place
	after   *upgrade.Successor   // the process that took the place of this one; of ordering
	obeying sync.WaitGroup       // it

	main    context.Context // in which this is the process that systemd knows
	notMain context.CancelFunc

	parts context.Context
	stop  context.CancelCauseFunc // ends the parts
	wg    sync.WaitGroup          // of the parts
}

// newService checks the configuration and binds its addresses, or takes those of
// before. What is wrong with a value of file is a proxy.FieldError.
func newService(file *config.File, flags publishFlags, before *upgrade.Predecessor, stdout, stderr io.Writer) (_ *service, err error) {
	burst, per := file.Log.Sampling.Limits()
	lines := logging.NewSampler(file.Log.Handler(stderr), burst, per, pusher.EventRefused)
	s := &service{log: slog.New(lines), lines: lines, file: file, flags: flags, before: before, started: time.Now()}
	s.life.begin(file)
	s.manager = systemd.NewManager(s.log)
	s.main, s.notMain = context.WithCancel(context.Background())
	if s.program, err = upgrade.Self(); err != nil {
		return nil, err
	}
	if before == nil {
		s.push, err = s.openPush(file)
	} else { // what only one process may have is not free yet
		s.push, err = s.rehearsePush(file)
	}
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.admin.close()
			err = errors.Join(err, s.push.close())
		}
	}()
	cfg, err := file.Proxy(s.push.hub.Endpoint)
	if err != nil {
		return nil, err
	}
	if s.front, err = proxy.New(cfg, s.log, stdout); err != nil {
		return nil, err
	}
	if file.HasPush() {
		if err = s.push.openPublish(s, file); err != nil {
			return nil, err
		}
	}
	if err = s.openAdmin(file); err != nil {
		return nil, err
	}
	s.front.Adopt(systemd.Sockets(s.log)...)
	s.front.Adopt(before.Sockets(frontSocket)...)
	if err := s.front.Listen(); err != nil {
		return nil, err
	}
	before.CloseUnused()
	return s, nil
}

// run serves until ctx is done, or another process has taken the place of this
// one, and everything has ended.
func (s *service) run(ctx context.Context) error {
	defer s.lines.Flush()
	s.parts, s.stop = context.WithCancelCause(ctx)
	defer s.stop(nil)
	// Before anything is served: until then these signals end the process.
	orders := make(chan os.Signal, 1)
	signal.Notify(orders, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2)
	defer signal.Stop(orders)
	if err := s.takeOver(); err != nil {
		return err
	}
	// Each part ends with s.parts; all are awaited below.
	s.push.start(s)
	endOrders := s.takeOrders(s.file)
	s.wg.Go(func() { s.takeSignals(orders) })
	var parted error
	s.wg.Go(func() { parted = s.partFromPages() })
	s.wg.Go(func() { heap.Pace(s.parts) })
	s.wg.Go(s.tellEnd)
	defer s.notMain()
	var telling sync.WaitGroup
	telling.Go(s.tellManager) // goes on while what is open ends; ended by notMain, awaited below
	err := s.front.Run(s.parts)
	s.stop(nil)
	s.wg.Wait()
	s.awaitPredecessor()
	endOrders()
	s.notMain()
	telling.Wait()
	s.ordering.Lock()
	defer s.ordering.Unlock()
	if s.after != nil {
		s.after.Release()
	}
	s.obeying.Wait()
	err = errors.Join(err, parted)
	if cause := context.Cause(s.parts); err == nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	return err
}

// partFromPages has push clients leave, once the service ends, while open
// requests finish.
func (s *service) partFromPages() error {
	<-s.parts.Done()
	s.before.Hurry()
	return s.endPush(s.drainTimeout())
}

// endPush ends the push service, unless that was done. To cut clients off who
// have not taken their goodbye in time is proxy.ErrCut.
func (s *service) endPush(within time.Duration) error {
	s.reloading.Lock()
	p := s.push
	s.push = nil
	s.reloading.Unlock()
	if p == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	return p.end(ctx, s.log)
}

// drainTimeout is that of the configuration in effect.
func (s *service) drainTimeout() time.Duration {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	return cmp.Or(s.file.DrainTimeout, proxy.DefaultDrainTimeout)
}
