package systemd

import (
	"log/slog"
	"net"

	"github.com/coreos/go-systemd/v22/activation"
)

// Sockets returns the sockets that systemd opened for this process, in the order
// of its units. One at which no connections can be accepted, such as that of a
// ListenDatagram=, is named in the log and closed. The first call has them all.
func Sockets(log *slog.Logger) []net.Listener {
	var sockets []net.Listener
	for _, f := range activation.Files(true) {
		l, err := net.FileListener(f) // with a descriptor of its own
		f.Close()
		if err != nil {
			log.Warn(eventSocketUnusable, "name", f.Name(), "error", err.Error(), "hint", "write ListenStream=PORT in the socket unit")
			continue
		}
		sockets = append(sockets, l)
	}
	return sockets
}
