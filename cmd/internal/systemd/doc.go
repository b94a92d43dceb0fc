// Package systemd is how wsfront speaks with the service manager that started
// it. Everything goes by the environment, and where systemd did not start the
// process, nothing happens.
//
//	sockets.go   takes the sockets that systemd opened (LISTEN_FDS,
//	             sd_listen_fds(3)); the rest of their way is proxy.Server.Adopt
//	manager.go   tells how the service is: ready, reloading, succeeded, stopping
//	             (NOTIFY_SOCKET, sd_notify(3))
//	watchdog.go  tells that it is alive, as long as it is (WATCHDOG_USEC,
//	             sd_watchdog_enabled(3))
package systemd
