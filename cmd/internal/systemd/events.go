package systemd

// The events that this package logs.
const (
	// eventSocketUnusable: systemd handed over a socket at which no connections
	// are accepted. Attributes: name (FileDescriptorName=), error, hint.
	eventSocketUnusable = "systemd.socket.unusable"
	// eventNotifyFailed: systemd could not be told how the service is.
	// Attributes: state, error.
	eventNotifyFailed = "systemd.notify.failed"
	// eventWatchdogWithheld: the service does not do its work, and so systemd is
	// not told that it is alive; it ends the process unless that changes.
	// Attributes: reason.
	eventWatchdogWithheld = "systemd.watchdog.withheld"
)
