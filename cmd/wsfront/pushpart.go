package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"

	"wsfront/cmd/internal/config"
	"wsfront/cmd/internal/publishd"
	"wsfront/proxy"
	"wsfront/pusher"
	"wsfront/pusher/natsbroker"
)

// pushPart is the push service as it runs: its history, the hub, the publish API
// and the inputs. It can end before the rest of the service does, since a durable
// history belongs to one process at a time: see service.upgrade.
type pushPart struct {
	broker  pusher.Broker
	hub     *pusher.Hub
	inputs  *inputs
	publish *publishd.Server // nil until a route needs it
	socket  net.Listener     // of publish
	address string           // as the configuration writes it

	ctx  context.Context // in which publish and inputs run
	stop context.CancelFunc
	wg   sync.WaitGroup

	telling context.CancelFunc // ends told
	told    sync.WaitGroup
}

// openPush opens the push service of a configuration, but for the publish API.
func (s *service) openPush(file *config.File) (*pushPart, error) {
	broker, err := openBroker(file, s.log)
	if err != nil {
		return nil, err
	}
	p := &pushPart{broker: broker, inputs: &inputs{}}
	if p.hub, err = pusher.New(file.Push.Config, broker, s.log); err == nil {
		p.inputs, err = openInputs(file.Push, publishText(p.hub), s.log)
	}
	if err != nil {
		return nil, errors.Join(err, broker.Close())
	}
	return p, nil
}

// rehearsePush makes a push service that nobody will use, by which mistakes show
// while the true one is another process's.
func (s *service) rehearsePush(file *config.File) (*pushPart, error) {
	p := &pushPart{broker: pusher.NewMemory(pusher.History{}), inputs: &inputs{}}
	var err error
	if p.hub, err = pusher.New(file.Push.Config, p.broker, s.log); err != nil {
		return nil, err
	}
	return p, nil
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

// close gives back what was opened, before start was called.
func (p *pushPart) close() error {
	p.closePublish()
	p.inputs.close()
	return p.broker.Close()
}

// start runs it. The service ends if a part of it fails.
func (p *pushPart) start(s *service) {
	p.ctx, p.stop = context.WithCancel(s.parts)
	telling, stop := context.WithCancel(context.Background())
	p.telling = stop
	// The hub goes on telling the app of clients while they leave.
	p.told.Go(func() { _ = p.hub.Run(telling) }) // it fails only if it runs already
	p.inputs.start(func(run func(context.Context) error) { p.goes(s, run) })
	if p.publish != nil {
		p.startPublish(s)
	}
}

// goes runs something until the push service ends.
func (p *pushPart) goes(s *service, run func(context.Context) error) {
	p.wg.Go(func() { // ends with p.ctx; end waits
		if err := run(p.ctx); err != nil {
			s.stop(err)
		}
	})
}

// end has clients leave, and gives everything back. What was published before is
// in the history by then.
func (p *pushPart) end(ctx context.Context, log *slog.Logger) error {
	p.stop()
	err := p.hub.Shutdown(ctx)
	if err != nil {
		log.Warn(eventPushCut, "reason", err.Error())
		err = proxy.ErrCut
	}
	p.wg.Wait()
	p.telling()
	p.told.Wait()
	return errors.Join(err, p.broker.Close())
}

// publishSocket and frontSocket are what sockets are for that are handed over.
const (
	publishSocket = "publish "
	frontSocket   = "front"
)

// openPublish binds the publish API's address and finds its keys. There is none
// when the API is off.
func (p *pushPart) openPublish(s *service, file *config.File) error {
	api := file.PublishAPI()
	if api.Listen == "off" {
		return nil
	}
	socket, err := bindPublish(api.Listen, s.before.Sockets(publishSocket+api.Listen))
	if err != nil {
		return err
	}
	if err := p.servePublish(s, api, socket); err != nil {
		socket.Close()
		return err
	}
	return nil
}

// bindPublish binds the address, unless it was handed over.
func bindPublish(address string, handed []net.Listener) (net.Listener, error) {
	if len(handed) > 0 {
		return handed[0], nil
	}
	return publishd.Listen(address)
}

// servePublish makes the API at a socket.
func (p *pushPart) servePublish(s *service, api config.Publish, socket net.Listener) error {
	secret, err := s.flags.secret()
	if err != nil {
		return err
	}
	first := pusher.Key{
		Name: firstKey, Secret: secret, Channels: []string{"*"},
		Rights: []pusher.Right{pusher.RightPublish, pusher.RightRead, pusher.RightManage},
	}
	if secret == "" {
		first.KeyFile = api.KeyFile
		if err := makeKey(first, s.log); err != nil {
			return fmt.Errorf("%w; choose another place by --state, or give --publish-key", err)
		}
	}
	for _, key := range api.Keys {
		if err := makeKey(key, s.log); err != nil {
			return err
		}
	}
	handler, err := p.hub.API(append(pusher.Keys{first}, api.Keys...))
	if err != nil {
		return err
	}
	p.publish, p.socket, p.address = publishd.New(socket, handler, api.MaxConnections, &s.counts, s.log), socket, api.Listen
	return nil
}

// firstKey is the name in the log of the key that is for everything.
const firstKey = "publish.key"

// makeKey makes the file of a key where there is none.
func makeKey(key pusher.Key, log *slog.Logger) error {
	_, created, err := pusher.LoadKey(key.KeyFile)
	if created {
		log.Info(eventKeyCreated, "key", key.Name, "file", key.KeyFile)
	}
	return err
}

// closePublish gives the publish API's address back before it was served.
func (p *pushPart) closePublish() {
	p.publish.Close()
	p.publish, p.socket = nil, nil
}

// startPublish serves the publish API until the push service ends.
func (p *pushPart) startPublish(s *service) {
	s.log.Info(eventPublishListen, "address", p.publish.Address())
	p.goes(s, p.publish.Run)
}

// hand returns a copy of the publish API's socket, for another process; nil for
// none.
func (p *pushPart) hand() (*os.File, error) {
	if p.socket == nil {
		return nil, nil
	}
	f, err := p.socket.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		return nil, fmt.Errorf("hand over the socket of the publish API: %w", err)
	}
	return f, nil
}
