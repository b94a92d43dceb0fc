package main

import (
	"context"
	"fmt"
	"net"
	"os"

	"wsfront/cmd/internal/admin"
	"wsfront/cmd/internal/config"
	"wsfront/cmd/internal/statuspage"
)

// adminSocket is what the socket of admin.listen is for that is handed over.
const adminSocket = "admin "

// adminPart is where this service is looked at and given orders: at the socket in
// the state folder, and at admin.listen, where the file has one.
type adminPart struct {
	socket net.Listener // of admin.listen, or nil
	access admin.Access // to it

	ctx     context.Context // in which both are served
	sources admin.Sources
	local   *admin.Server // at the socket in the state folder, nil where there is none
}

// openAdmin binds admin.listen, unless it was handed over, and finds its token.
func (s *service) openAdmin(file *config.File) error {
	address := file.AdminListen()
	if address == "" {
		return nil
	}
	a := &s.admin
	if path := file.AdminToken(); path != "" {
		token, err := admin.OpenToken(path, s.log)
		if err != nil {
			return err
		}
		a.access.Token = token
	}
	a.access.Host, _, _ = net.SplitHostPort(address) // it was checked
	if handed := s.before.Sockets(adminSocket + address); len(handed) > 0 {
		a.socket = handed[0]
		return nil
	}
	var err error
	a.socket, err = admin.ListenTCP(address)
	return err
}

// close gives the address back before it was served.
func (a *adminPart) close() {
	if a.socket != nil {
		a.socket.Close()
	}
}

// hand returns a copy of the socket of admin.listen, for another process; nil for
// none.
func (a *adminPart) hand() (*os.File, error) {
	if a.socket == nil {
		return nil, nil
	}
	f, err := a.socket.(*net.TCPListener).File()
	if err != nil {
		return nil, fmt.Errorf("hand over the socket of the admin listener: %w", err)
	}
	return f, nil
}

// takeOrders serves the admin listener: at its address until the service ends or
// has a successor, and at the socket in the state folder until all that was open
// has ended, too, so that one sees what a shutdown waits for. A server that cannot
// have its socket serves all the same. Call end when nothing is open any more.
func (s *service) takeOrders(file *config.File) (end func()) {
	orders, stop := context.WithCancel(context.Background())
	s.stopOrders = stop
	page, err := statuspage.New(statuspage.Sources{Status: s.status, Tunnels: s.front.Tunnels})
	if err != nil {
		s.log.Warn(eventNoAdmin, "reason", err.Error())
		return stop
	}
	s.ordersDone.Go(func() { // ends with orders; end waits
		if err := page.Run(orders); err != nil {
			s.log.Warn(eventNoAdmin, "reason", err.Error())
		}
	})
	s.admin.ctx, s.admin.sources = orders, s.observed(file, page.Handler())
	s.serveSocket(s.before != nil)
	if s.admin.socket != nil {
		local, stopLocal := context.WithCancel(orders)
		context.AfterFunc(s.parts, stopLocal) // at the latest when run returns
		s.log.Info(eventAdminListen, "address", s.admin.socket.Addr().String())
		s.serveOrders(local, admin.New(s.admin.socket, admin.Handler(s.admin.sources, s.admin.access)))
	}
	return func() {
		stop()
		s.ordersDone.Wait()
	}
}

// serveSocket serves the socket in the state folder.
func (s *service) serveSocket(successor bool) {
	socket, err := admin.Listen(s.file.StateDir(), successor)
	if err != nil {
		s.log.Warn(eventNoAdmin, "reason", err.Error())
		return
	}
	s.admin.local = admin.New(socket, admin.Handler(s.admin.sources, admin.Access{Host: admin.SocketHost}))
	s.serveOrders(s.admin.ctx, s.admin.local)
}

// keepSocket makes the socket in the state folder anew, if a process that was to
// take the place of this one has replaced it.
func (s *service) keepSocket() {
	if s.admin.local != nil && !s.admin.local.Found() {
		s.serveSocket(true)
	}
}

// serveOrders serves one listener until ctx is done.
func (s *service) serveOrders(ctx context.Context, server *admin.Server) {
	s.ordersDone.Go(func() { // ends with ctx; end of takeOrders waits
		if err := server.Run(ctx); err != nil {
			s.log.Warn(eventNoAdmin, "reason", err.Error())
		}
	})
}
