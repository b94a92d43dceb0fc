package proxy

// The events that this package logs. Operators search for them: a name, once
// released, stays.
const (
	// eventListen: an address is served. Attributes: address, protocol.
	eventListen = "listen"
	// eventListenUnused: an adopted socket fits no address of the configuration.
	// Attributes: address, hint.
	eventListenUnused = "listen.unused"
	// eventAcceptFailed: there was no room for another connection; one line in 10 s
	// at most. Attributes: address, error, count (of failures since the last line).
	eventAcceptFailed = "accept.failed"
	// eventRequestFailed: a request was answered with an error of our own, or cut.
	// Attributes: id, client, site (its first host), host (as the client wrote it),
	// route, backend, method, path, status, reason, and where there is one
	// request_id (which a trusted proxy gave) and trace (its id).
	eventRequestFailed = "request.failed"
	// eventHandshakeFailed: a WebSocket handshake did not become a tunnel.
	// Attributes as request.failed, and cause, one of package diagnosis's.
	eventHandshakeFailed = "handshake.failed"
	// eventBackendDown: a backend of a pool could not be reached, and is left out.
	// Attributes: pool, backend, reason, for (how long).
	eventBackendDown = "backend.down"
	// eventBackendUp: a backend that was left out can be reached again.
	// Attributes: pool, backend.
	eventBackendUp = "backend.up"
	// eventPanic: a request, a connection or a tunnel ended by a panic, which
	// ended nothing else. Attributes: id ("" for a connection without a request),
	// panic, stack, and where there is one request_id and trace.
	eventPanic = "request.panic"
	// eventTunnelOpen: a backend answered 101. Attributes: id, client, site,
	// route, backend, and where there is one request_id and trace.
	eventTunnelOpen = "tunnel.open"
	// eventTunnelClose: a tunnel ended. Attributes: those of tunnel.open,
	// bytes_in, bytes_out, messages_in, messages_out, duration, reason, closed_by
	// (who ended it first: client, backend, or front for us, where reason says why),
	// and of the first WebSocket Close, where there was one, close_code and, if it
	// gave one, close_reason.
	eventTunnelClose = "tunnel.close"
	// eventLimitReached: a client has reached a limit. It is told at most once in
	// ten seconds for each limit. Attributes: limit, client (the last one, which
	// may be others than before), hits (since it was told last), hint (what to
	// raise).
	eventLimitReached = "limit.reached"
	// eventShutdown: the server stops. Attributes: drain_timeout.
	eventShutdown = "shutdown"
	// eventUpgradeDrain: another process serves the addresses; this one has only to
	// end what is open. Attributes: upgrade_drain.
	eventUpgradeDrain = "upgrade.drain"
	// eventReload: a new configuration is in effect. Attributes: sites, routes.
	eventReload = "config.reload"
	// eventHTTPServer: a TLS handshake that came to nothing. Attributes:
	// message.
	eventHTTPServer = "http.server"
	// eventCertObtained: a CA issued the first certificate for a name.
	// Attributes: name, issuer.
	eventCertObtained = "cert.obtained"
	// eventCertRenewed: a CA issued a certificate that takes the place of another
	// one. Attributes: name, issuer.
	eventCertRenewed = "cert.renewed"
	// eventCertFailed: a certificate could not be had. Attributes: name, error,
	// hint (what to do), retry_in (where the next try is ours to time).
	eventCertFailed = "cert.failed"
	// eventCertReload: changed PEM files were read and are in use. Attributes:
	// cert, not_after.
	eventCertReload = "cert.reload"
	// eventCertReloadFailed: changed PEM files cannot be used; the old pair
	// goes on serving. Attributes: cert, key, error, hint.
	eventCertReloadFailed = "cert.reload.failed"
	// eventCertUnfit: clients will not accept the certificate of a PEM file.
	// Attributes: cert, problem, hint.
	eventCertUnfit = "cert.unfit"
	// eventPasswordsReload: a changed password file was read and is in use.
	// Attributes: file, users.
	eventPasswordsReload = "passwords.reload"
	// eventPasswordsReloadFailed: a changed password file cannot be used; the
	// passwords read before go on to count. Attributes: file, error, hint.
	eventPasswordsReloadFailed = "passwords.reload.failed"
	// eventAccessReopen: the access log's file was opened anew. Attributes: file.
	eventAccessReopen = "access.reopen"
	// eventAccessReopenFailed: the access log's file could not be opened anew; the
	// one that was open is written on. Attributes: file, error, hint.
	eventAccessReopenFailed = "access.reopen.failed"
	// eventAccessWriteFailed: lines of the access log are being lost, as they cannot
	// be written. Attributes: file ("" for the standard output), error, hint.
	eventAccessWriteFailed = "access.write.failed"
	// eventAccessWrite: they can be written again. Attributes: file, lost (how many
	// lines).
	eventAccessWrite = "access.write"
	// eventCertRefused: a TLS handshake was refused for want of a certificate.
	// Attributes: name, client, reason.
	eventCertRefused = "cert.refused"
	// eventCertStorage: certificates cannot be stored, so that none can be
	// obtained. Attributes: folder, error, hint.
	eventCertStorage = "cert.storage"
	// eventCertAskFailed: the service that guards certificates on demand did not
	// answer. Attributes: name, error, hint.
	eventCertAskFailed = "cert.ask.failed"
	// eventCertLibrary: a message of the library that speaks ACME. Attributes:
	// logger, message, and those of the message in the group detail.
	eventCertLibrary = "cert.library"
)
