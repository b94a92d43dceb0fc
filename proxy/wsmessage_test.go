package proxy

import (
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

func TestMessage_Smoke(t *testing.T) {
	f := serveFront(t, Route{Path: "/websocket", Tunnel: Tunnel{Backend: "ws://" + echoBackend(t), Mode: TunnelMessage}})
	for _, c := range []bool{false, true} {
	conn, res := dialWS(t, f, websocket.Dialer{Subprotocols: []string{"chat.v1", "chat.v2"}, EnableCompression: c}, "/websocket")
	t.Log(res.Header)
	echo(t, conn, []byte("hello"))
	echo(t, conn, make([]byte, 1<<20))
	if err := conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(4000,"bye"), time.Now().Add(patience)); err != nil { t.Fatal(err) }
	_, _, err := conn.ReadMessage()
	t.Log(err)
	}
	f.stop()
	t.Log(f.log)
}
