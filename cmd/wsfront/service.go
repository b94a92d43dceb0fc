package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"reflect"
	"sync"
	"syscall"
	"time"

	"wsfront/cmd/internal/admin"
	"wsfront/cmd/internal/config"
	"wsfront/cmd/internal/heap"
	"wsfront/cmd/internal/metrics"
	"wsfront/cmd/internal/publishd"
	"wsfront/cmd/internal/systemd"
	"wsfront/proxy"
	"wsfront/pusher"
	"wsfront/pusher/natsbroker"
)

// The events of the command itself.
const (
	// eventReloadRefused: a new configuration has mistakes; the old one goes
	// on serving. Attributes: problem, one per line.
	eventReloadRefused = "config.reload.refused"
	// eventNoAdmin: wsfront reload and wsfront health will not find this server.
	// Attributes: reason.
	eventNoAdmin = "admin.unavailable"
	// eventPublishListen: the publish API is served. Attributes: address.
	eventPublishListen = "publish.listen"
	// eventPushCut: at shutdown, push clients did not take their goodbye in
	// time. Attributes: reason.
	eventPushCut = "push.shutdown.cut"
	// eventKeyCreated: the publish API has a new key. Attributes: key (its name),
	// file.
	eventKeyCreated = "publish.key.created"
)

// service is one running wsfront: the front, its push service with its inputs,
// and the two local doors, for publishing and for orders.
type service struct {
	log     *slog.Logger
	manager *systemd.Manager
	broker  pusher.Broker
	hub     *pusher.Hub
	front   *proxy.Server
	// reload reads the configuration again and applies it; nil when there is
	// no file.
	reload    func() error
	reloading sync.Mutex   // of file and publish, once run was called
	file      *config.File // the one in effect

	flags   publishFlags
	publish *publishd.Server // nil until a route needs it
	counts  publishd.Counts  // of publish
	inputs  *inputs
	parts   context.Context
	stop    context.CancelCauseFunc // ends the parts
	wg      sync.WaitGroup          // of the parts
}

// newService checks the configuration and binds its addresses. What is wrong
// with a value of file is a proxy.FieldError.
func newService(file *config.File, flags publishFlags, stdout, stderr io.Writer) (_ *service, err error) {
	s := &service{log: slog.New(file.Log.Handler(stderr)), file: file, flags: flags}
	s.manager = systemd.NewManager(s.log)
	if s.broker, err = openBroker(file, s.log); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.broker.Close())
		}
	}()
	if s.hub, err = pusher.New(file.Push.Config, s.broker, s.log); err != nil {
		return nil, err
	}
	cfg, err := file.Proxy(s.hub.Endpoint)
	if err != nil {
		return nil, err
	}
	if s.front, err = proxy.New(cfg, s.log, stdout); err != nil {
		return nil, err
	}
	if s.inputs, err = openInputs(file.Push, publishText(s.hub), s.log); err != nil {
		return nil, err
	}
	if file.HasPush() {
		if s.publish, err = s.openPublish(); err != nil {
			s.inputs.close()
			return nil, err
		}
	}
	s.front.Adopt(systemd.Sockets(s.log)...)
	if err := s.front.Listen(); err != nil {
		s.publish.Close()
		s.inputs.close()
		return nil, err
	}
	return s, nil
}

// run serves until ctx is done and everything has ended.
func (s *service) run(ctx context.Context) error {
	s.parts, s.stop = context.WithCancelCause(ctx)
	defer s.stop(nil)
	// Before anything is served: until then SIGHUP and SIGUSR1 end the process.
	orders := make(chan os.Signal, 1)
	signal.Notify(orders, syscall.SIGHUP, syscall.SIGUSR1)
	defer signal.Stop(orders)
	if s.publish != nil {
		s.startPublish()
	}
	// Each part ends with s.parts; all are awaited below.
	s.takeOrders(s.file.StateDir())
	s.wg.Go(func() { s.takeSignals(orders) })
	s.wg.Go(s.partFromPages)
	// The hub goes on telling the app of clients while they leave.
	telling, stopTelling := context.WithCancel(context.Background())
	defer stopTelling()
	var told sync.WaitGroup
	told.Go(func() { _ = s.hub.Run(telling) }) // it fails only if it runs already
	s.wg.Go(func() { heap.Pace(s.parts) })
	told.Go(func() { s.manager.Watch(telling, s.front.Alive) })
	s.startInputs()
	s.wg.Go(s.tellManager)
	err := s.front.Run(s.parts)
	s.stop(nil)
	s.wg.Wait()
	stopTelling()
	told.Wait()
	err = errors.Join(err, s.broker.Close())
	if cause := context.Cause(s.parts); err == nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	return err
}

// openBroker opens the history of the push service.
func openBroker(file *config.File, log *slog.Logger) (pusher.Broker, error) {
	if !file.Push.History.Durable() {
		return pusher.NewMemory(file.Push.History.Memory()), nil
	}
	b, err := natsbroker.Open(context.Background(), file.Store(), log)
	if err != nil {
		return nil, fmt.Errorf("open the history of the push service: %w", err)
	}
	return b, nil
}

// partFromPages has push clients leave, once the service ends, while open
// requests finish.
func (s *service) partFromPages() {
	<-s.parts.Done()
	ctx, cancel := context.WithTimeout(context.Background(), s.drainTimeout())
	defer cancel()
	if err := s.hub.Shutdown(ctx); err != nil {
		s.log.Warn(eventPushCut, "reason", err.Error())
	}
}

// drainTimeout is that of the configuration in effect.
func (s *service) drainTimeout() time.Duration {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	return cmp.Or(s.file.DrainTimeout, proxy.DefaultDrainTimeout)
}

// apply puts a new configuration into effect, or returns why not.
func (s *service) apply(file *config.File) error {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	switch {
	case !reflect.DeepEqual(file.Push, s.file.Push):
		return fmt.Errorf("config reload not supported for push: old=%+v, new=%+v; restart instead", s.file.Push, file.Push)
	case file.Log != s.file.Log:
		return fmt.Errorf("config reload not supported for log: old=%+v, new=%+v; restart instead", s.file.Log, file.Log)
	}
	cfg, err := file.Proxy(s.hub.Endpoint)
	if err != nil {
		return err
	}
	// The first push route brings the publish API along. It is bound before and
	// served after the front has taken the configuration, so that a refusal of
	// either leaves everything as it was.
	var api *publishd.Server
	if file.HasPush() && s.publish == nil {
		if api, err = s.openPublish(); err != nil {
			return err
		}
	}
	if err := s.front.Reload(cfg); err != nil {
		api.Close()
		return file.Explain(err)
	}
	if s.file = file; api != nil {
		s.publish = api
		s.startPublish()
	}
	return nil
}

// reloadLogged is reload, with a refusal in the log: SIGHUP gives no other
// answer.
func (s *service) reloadLogged() error {
	s.manager.Reloading()
	err := errors.New("this server runs by flags; restart it to change them")
	if s.reload != nil {
		err = s.reload()
	}
	// After a refusal as well: whoever rotates the log does not know of it.
	s.front.ReopenAccessLog()
	if err != nil {
		s.log.Error(eventReloadRefused, "problem", err.Error())
		s.manager.Ready("the last reload was refused: " + err.Error())
		return err
	}
	s.manager.Ready(s.serving())
	return nil
}

// takeSignals reloads at each SIGHUP, and opens the access log anew at each
// SIGUSR1.
func (s *service) takeSignals(orders <-chan os.Signal) {
	for {
		select {
		case <-s.parts.Done():
			return
		case order := <-orders:
			if order == syscall.SIGUSR1 {
				s.front.ReopenAccessLog()
			} else {
				_ = s.reloadLogged() // the log has it
			}
		}
	}
}

// takeOrders serves wsfront reload, wsfront health and metrics until the service
// ends. A server that cannot have its socket serves all the same.
func (s *service) takeOrders(state string) {
	orders, err := admin.Listen(state, s.reloadLogged, metrics.Handler(s.sources()))
	if err != nil {
		s.log.Warn(eventNoAdmin, "reason", err.Error())
		return
	}
	s.wg.Go(func() { // ends with s.parts; run waits
		if err := orders.Run(s.parts); err != nil {
			s.log.Warn(eventNoAdmin, "reason", err.Error())
		}
	})
}

// sources are the parts that metrics tell of.
func (s *service) sources() metrics.Sources {
	return metrics.Sources{
		Version: version(),
		Limits:  map[string]func() map[string]uint64{"front": s.front.LimitHits, "push": s.pushLimits},
		Panics:  map[string]func() uint64{"front": s.front.Panics, "push": s.hub.Panics, "publish": s.counts.Panics.Load},
	}
}

// pushLimits are those of the file's section push.
func (s *service) pushLimits() map[string]uint64 {
	all := s.hub.LimitHits()
	all["publish.max_connections"] = s.counts.Refused.Load()
	return all
}

// openPublish binds the publish API's address and finds its keys. It returns nil
// when the API is off.
func (s *service) openPublish() (*publishd.Server, error) {
	api := s.file.PublishAPI()
	if api.Listen == "off" {
		return nil, nil
	}
	secret, err := s.flags.secret()
	if err != nil {
		return nil, err
	}
	first := pusher.Key{
		Name: firstKey, Secret: secret, Channels: []string{"*"},
		Rights: []pusher.Right{pusher.RightPublish, pusher.RightRead, pusher.RightManage},
	}
	if secret == "" {
		first.KeyFile = api.KeyFile
		if err := s.makeKey(first); err != nil {
			return nil, fmt.Errorf("%w; choose another place by --state, or give --publish-key", err)
		}
	}
	for _, key := range api.Keys {
		if err := s.makeKey(key); err != nil {
			return nil, err
		}
	}
	handler, err := s.hub.API(append(pusher.Keys{first}, api.Keys...))
	if err != nil {
		return nil, err
	}
	return publishd.Listen(api.Listen, handler, api.MaxConnections, &s.counts, s.log)
}

// firstKey is the name in the log of the key that is for everything.
const firstKey = "publish.key"

// makeKey makes the file of a key where there is none.
func (s *service) makeKey(key pusher.Key) error {
	_, created, err := pusher.LoadKey(key.KeyFile)
	if created {
		s.log.Info(eventKeyCreated, "key", key.Name, "file", key.KeyFile)
	}
	return err
}

// startPublish serves the publish API until the service ends, which it also
// brings about should it fail.
func (s *service) startPublish() {
	s.log.Info(eventPublishListen, "address", s.publish.Address())
	s.wg.Go(func() { // ends with s.parts; run waits
		if err := s.publish.Run(s.parts); err != nil {
			s.stop(err)
		}
	})
}
