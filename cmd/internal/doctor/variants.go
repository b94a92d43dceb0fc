package doctor

import (
	"context"
	"crypto/tls"
	"fmt"

	"wsfront/proxy/diagnosis"
)

// foreignOrigin is an Origin that no server can know (RFC 6761 §6.4).
const foreignOrigin = "https://wsfront-doctor.invalid"

// asFirefox sends the handshake that got through with Firefox's Connection field.
func (e *exam) asFirefox(ctx context.Context) {
	h := e.ordinary()
	h.connection = firefox
	a := e.try(ctx, h)
	defer a.leave()
	if a.switched() {
		e.step("firefox", OK, "101 with Connection: %s as well", firefox)
		return
	}
	e.step("firefox", Failed, "%s with Connection: %s", a.brief(), firefox)
	if a.answer == nil {
		return // a failing network is no finding about the field
	}
	e.find(some, diagnosis.ConnectionExact, fmt.Sprintf("with Connection: %s 101; with Connection: %s %s", chrome, firefox, a.brief()))
}

// origins tells what the server makes of other Origins. Neither answer is wrong:
// a public feed may be open to every page.
func (e *exam) origins(ctx context.Context) {
	h := e.ordinary()
	h.origin = foreignOrigin
	foreign := e.try(ctx, h)
	foreign.leave()
	h.origin = ""
	none := e.try(ctx, h)
	none.leave()
	words := func(a *attempt, yes string) string {
		if a.switched() {
			return yes
		}
		return "is answered " + a.brief()
	}
	e.step("origin", OK, "a page of another site %s; no Origin %s", words(foreign, "may connect, too"), words(none, "is accepted"))
}

// withoutSubprotocol tells whether the server insists on the one that the page
// offers.
func (e *exam) withoutSubprotocol(ctx context.Context) {
	h := e.ordinary()
	if h.subprotocol == "" {
		e.step("subprotocol", Skipped, "none to offer; name one by --subprotocol if the page does")
		return
	}
	h.subprotocol = ""
	a := e.try(ctx, h)
	defer a.leave()
	if a.switched() {
		e.step("subprotocol", OK, "%s is chosen; without one it is 101, too", e.o.Subprotocol)
		return
	}
	e.step("subprotocol", OK, "%s is chosen; without one it is %s", e.o.Subprotocol, a.brief())
}

// speaksTLS reports whether the port answers a TLS hello.
func (e *exam) speaksTLS(ctx context.Context) bool {
	conn, err := dial(ctx, e.addrs[0])
	if err != nil {
		return false
	}
	defer conn.Close()
	_ = conn.SetDeadline(deadline(ctx, stepTimeout))
	// Who answers does not matter: nothing is sent.
	return tls.Client(conn, &tls.Config{ServerName: e.target.hostname, InsecureSkipVerify: true}).HandshakeContext(ctx) == nil
}
