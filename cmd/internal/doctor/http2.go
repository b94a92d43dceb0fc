package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"wsfront/proxy/diagnosis"
	"wsfront/proxy/frame"
)

// maxH2Frames is how many frames are read for one answer.
const maxH2Frames = 100

// overHTTP2 opens a WebSocket over HTTP/2 (RFC 8441), which browsers do when the
// server says that it can, on the connection on which the page came.
func (e *exam) overHTTP2(ctx context.Context) {
	if e.alpn != http2.NextProtoTLS {
		e.step("http2", Skipped, "the server speaks HTTP/1.1 only")
		return
	}
	conn, err := e.connect(ctx, http2.NextProtoTLS)
	if err != nil {
		e.step("http2", Warning, "%v", visible(reason(err).Error()))
		return
	}
	defer conn.Close()
	status, offered, err := askHTTP2(conn, e.connectFields())
	switch {
	case !offered && err != nil:
		e.step("http2", Warning, "no settings: %v", visible(err.Error()))
	case !offered:
		e.step("http2", OK, "not offered for WebSockets, so that browsers take HTTP/1.1")
	case err == nil && status == "200":
		e.step("http2", OK, "a WebSocket opens over HTTP/2 as well")
	default:
		how := "answered " + visible(status)
		if err != nil {
			how = visible(err.Error())
		}
		e.step("http2", Failed, "offered, and a WebSocket is %s", how)
		e.find(some, diagnosis.HTTP2Tunnel, "SETTINGS_ENABLE_CONNECT_PROTOCOL is 1, and an extended CONNECT is "+how, "over HTTP/1.1 the same handshake gets 101")
	}
}

// connectFields are those of an extended CONNECT.
func (e *exam) connectFields() []hpack.HeaderField {
	h := e.ordinary()
	fields := []hpack.HeaderField{
		{Name: ":method", Value: "CONNECT"}, {Name: ":protocol", Value: "websocket"}, {Name: ":scheme", Value: "https"},
		{Name: ":path", Value: h.path}, {Name: ":authority", Value: e.target.host},
		{Name: "sec-websocket-version", Value: "13"}, {Name: "origin", Value: h.origin},
		{Name: "user-agent", Value: userAgent}, {Name: "sec-websocket-extensions", Value: "permessage-deflate; client_max_window_bits"},
	}
	if h.subprotocol != "" {
		fields = append(fields, hpack.HeaderField{Name: "sec-websocket-protocol", Value: h.subprotocol})
	}
	return fields
}

// askHTTP2 begins HTTP/2 on conn and, where the server offers extended CONNECT,
// sends one. Deadlines are the caller's.
func askHTTP2(conn net.Conn, fields []hpack.HeaderField) (status string, offered bool, err error) {
	if _, err := conn.Write([]byte(http2.ClientPreface)); err != nil {
		return "", false, err
	}
	f := http2.NewFramer(conn, conn)
	f.SetMaxReadFrameSize(maxAnswer)
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	f.MaxHeaderListSize = maxAnswer
	if err := f.WriteSettings(); err != nil {
		return "", false, err
	}
	for range maxH2Frames {
		got, err := f.ReadFrame()
		if err != nil {
			return "", offered, err
		}
		switch got := got.(type) {
		case *http2.SettingsFrame:
			if got.IsAck() {
				continue
			}
			if err := f.WriteSettingsAck(); err != nil {
				return "", offered, err
			}
			if v, ok := got.Value(http2.SettingEnableConnectProtocol); !ok || v != 1 {
				if !offered {
					return "", false, nil
				}
				continue
			}
			if !offered {
				if err := sendConnect(f, fields); err != nil {
					return "", true, err
				}
			}
			offered = true
		case *http2.MetaHeadersFrame:
			if status = got.PseudoValue("status"); status == "200" {
				err = f.WriteData(1, true, frame.AppendClose(nil, frame.FromClient, 1000, ""))
			}
			return status, offered, err
		case *http2.RSTStreamFrame:
			return "", offered, fmt.Errorf("reset with %v", got.ErrCode)
		case *http2.GoAwayFrame:
			return "", offered, fmt.Errorf("ended with GOAWAY %v", got.ErrCode)
		case *http2.PingFrame:
			if err := f.WritePing(true, got.Data); err != nil {
				return "", offered, err
			}
		}
	}
	return "", offered, errors.New("left without an answer")
}

// sendConnect writes the fields on the first stream, which stays open.
func sendConnect(f *http2.Framer, fields []hpack.HeaderField) error {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, field := range fields {
		if err := encoder.WriteField(field); err != nil {
			return err
		}
	}
	return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true})
}
