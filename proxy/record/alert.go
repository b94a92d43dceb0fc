package record

import (
	"crypto/tls"
	"errors"
	"io"
)

// The alerts that are sent or looked for (RFC 8446 §6).
const (
	alertCloseNotify       = 0
	alertUnexpectedMessage = 10
	alertBadRecordMAC      = 20
	alertRecordOverflow    = 22
	alertIllegalParameter  = 47
	alertDecodeError       = 50
	alertInternalError     = 80
	alertUserCanceled      = 90

	levelWarning = 1
	levelFatal   = 2
)

// AlertError is the alert by which the peer has ended the connection.
type AlertError struct {
	Code uint8 // RFC 8446 §6
}

func (e *AlertError) Error() string { return "peer sent alert: " + tls.AlertError(e.Code).Error() }

// ProtocolError says that what the peer sent is no valid record of the
// connection: it was changed on the way, or the peer does not keep to RFC 8446.
type ProtocolError struct {
	Code   uint8 // the alert that tells the peer (RFC 8446 §6)
	Reason string
}

func (e *ProtocolError) Error() string { return "invalid TLS record: " + e.Reason }

// CloseNotify appends our end of the stream to dst (RFC 8446 §6.1). Nothing can
// be sealed after it; a second one appends nothing.
func (k *Keys) CloseNotify(dst []byte) []byte { return k.last(dst, levelWarning, alertCloseNotify) }

// Alert appends the alert that fits an error of Open: that of a
// *ProtocolError, none for io.EOF and *AlertError, with which the peer itself
// has ended the connection, and internal_error for any other. Like CloseNotify
// it is the last that can be sealed.
func (k *Keys) Alert(dst []byte, err error) []byte {
	if err == io.EOF {
		return dst
	}
	if _, ok := errors.AsType[*AlertError](err); ok {
		return dst
	}
	if p, ok := errors.AsType[*ProtocolError](err); ok {
		return k.last(dst, levelFatal, p.Code)
	}
	return k.last(dst, levelFatal, alertInternalError)
}

func (k *Keys) last(dst []byte, level, code byte) []byte {
	if k.done {
		return dst
	}
	k.done = true
	return k.out.seal(dst, typeAlert, []byte{level, code})
}
