package proxy

import (
	"io"
	"net/http"
)

// accessLog writes one line for each exchange.
type accessLog struct{ out io.Writer }

func newAccessLog(format AccessFormat, out io.Writer) *accessLog { return &accessLog{out} }

func (a *accessLog) write(x *exchange, r *http.Request) {}
