package main

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"syscall"

	"wsfront/cmd/internal/config"
)

// apply puts a new configuration into effect, or returns why not.
func (s *service) apply(file *config.File) error {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	switch {
	case !reflect.DeepEqual(file.Push, s.file.Push):
		return fmt.Errorf("config reload not supported for push: old=%s, new=%s; restart instead", s.file.RedactedPush(), file.RedactedPush())
	case file.Admin != s.file.Admin:
		return fmt.Errorf("config reload not supported for admin: old=%+v, new=%+v; restart instead", s.file.Admin, file.Admin)
	case file.Log != s.file.Log:
		return fmt.Errorf("config reload not supported for log: old=%+v, new=%+v; restart instead", s.file.Log, file.Log)
	}
	if s.push == nil {
		return errors.New("the push service has ended: this server is shutting down")
	}
	cfg, err := file.Proxy(s.push.hub.Endpoint)
	if err != nil {
		return err
	}
	// The first push route brings the publish API along. It is bound before and
	// served after the front has taken the configuration, so that a refusal of
	// either leaves everything as it was.
	first := file.HasPush() && s.push.publish == nil
	if first {
		if err := s.push.openPublish(s, file); err != nil {
			return err
		}
	}
	if err := s.front.Reload(cfg); err != nil {
		if first {
			s.push.closePublish()
		}
		return file.Explain(err)
	}
	s.life.apply(file)
	if s.file = file; first {
		s.push.startPublish(s)
	}
	return nil
}

// reloadLogged is reload, with a refusal in the log: SIGHUP gives no other
// answer.
func (s *service) reloadLogged() error {
	s.ordering.Lock()
	defer s.ordering.Unlock()
	if s.after != nil {
		return errSucceeded
	}
	s.manager.Reloading()
	err := errors.New("this server runs by flags; restart it to change them")
	if s.reload != nil {
		err = s.reload()
	}
	// After a refusal as well: whoever rotates the log does not know of it.
	s.reopen()
	if err != nil {
		s.life.refuse(err)
		s.log.Error(eventReloadRefused, "problem", err.Error())
		s.manager.Ready("the last reload was refused: " + err.Error())
		return err
	}
	s.manager.Ready(s.serving())
	return nil
}

// reopen opens the access log anew, here and where the process before this one
// still writes to it.
func (s *service) reopen() {
	s.front.ReopenAccessLog()
	s.before.Reopen()
}

// takeSignals reloads at each SIGHUP, opens the access log anew at each SIGUSR1,
// and has another process take the place of this one at SIGUSR2.
func (s *service) takeSignals(orders <-chan os.Signal) {
	for {
		select {
		case <-s.parts.Done():
			return
		case order := <-orders: // the log has how it went
			switch order {
			case syscall.SIGUSR1:
				s.reopen()
			case syscall.SIGUSR2:
				_ = s.upgrade()
			default:
				_ = s.reloadLogged()
			}
		}
	}
}
