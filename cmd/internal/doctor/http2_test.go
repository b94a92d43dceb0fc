package doctor

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"wsfront/proxy/diagnosis"
)

// TestRun_HTTP2 has servers that take WebSockets by HTTP/1.1, and do with them
// over HTTP/2 what each case says.
func TestRun_HTTP2(t *testing.T) {
	root := newAuthority(t, "Test Root", nil)
	ca := root.file(t)
	pair := root.issue(t, "app.test", time.Now().Add(500*time.Hour))
	for name, c := range map[string]struct {
		offer  bool
		answer func(f *http2.Framer)
		want   diagnosis.Cause
		exit   int
		step   Status
	}{
		"opens":       {true, answerStatus("200"), "", 0, OK},
		"not offered": {false, nil, "", 0, OK},
		"502":         {true, answerStatus("502"), diagnosis.HTTP2Tunnel, 4, Failed},
		"reset":       {true, func(f *http2.Framer) { _ = f.WriteRSTStream(1, http2.ErrCodeProtocol) }, diagnosis.HTTP2Tunnel, 4, Failed},
		"goodbye":     {true, func(f *http2.Framer) { _ = f.WriteGoAway(1, http2.ErrCodeInternal, nil) }, diagnosis.HTTP2Tunnel, 4, Failed},
		"cut":         {true, func(*http2.Framer) {}, diagnosis.HTTP2Tunnel, 4, Failed},
		"endless pings": {true, func(f *http2.Framer) {
			for f.WritePing(false, [8]byte{}) == nil {
			}
		}, diagnosis.HTTP2Tunnel, 4, Failed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serveBoth(t, &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2", "http/1.1"}}, c.offer, c.answer)
			r := examine(t, Options{URL: s.url("wss", "/websocket"), CA: ca})
			expect(t, r, c.want, c.exit)
			if got := stepOf(r, "http2"); got.Status != c.step {
				t.Errorf("%+v", got)
			}
		})
	}
}

// serveBoth speaks HTTP/2 on connections that chose it, one request each.
func serveBoth(t *testing.T, cfg *tls.Config, offer bool, answer func(f *http2.Framer)) *site {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", cfg)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{addr: l.Addr().String()}
	s.wg.Go(func() { // ended by l.Close, awaited by Cleanup
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.wg.Go(func() { // ends with the doctor's connection
				defer c.Close()
				if c.(*tls.Conn).Handshake() != nil {
					return
				}
				if c.(*tls.Conn).ConnectionState().NegotiatedProtocol == "h2" {
					speakHTTP2(c, offer, answer)
					return
				}
				behind := bufio.NewReader(c)
				if r, err := http.ReadRequest(behind); err == nil && isHandshake(r) {
					accept(c, r, behind)
				} else if err == nil {
					write(c, status(200, "hi"))
				}
			})
		}
	})
	t.Cleanup(func() { l.Close(); s.wg.Wait() })
	return s
}

func speakHTTP2(c net.Conn, offer bool, answer func(f *http2.Framer)) {
	if _, err := io.CopyN(io.Discard, c, int64(len(http2.ClientPreface))); err != nil {
		return
	}
	f := http2.NewFramer(c, c)
	var settings []http2.Setting
	if offer {
		settings = append(settings, http2.Setting{ID: http2.SettingEnableConnectProtocol, Val: 1})
	}
	if f.WriteSettings(settings...) != nil {
		return
	}
	for {
		got, err := f.ReadFrame()
		if err != nil {
			return
		}
		if _, ok := got.(*http2.HeadersFrame); ok {
			answer(f)
			return
		}
	}
}

func answerStatus(code string) func(f *http2.Framer) {
	return func(f *http2.Framer) {
		var block bytes.Buffer
		_ = hpack.NewEncoder(&block).WriteField(hpack.HeaderField{Name: ":status", Value: code})
		_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true})
	}
}
