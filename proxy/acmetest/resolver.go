package acmetest

import (
	"net"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// Nowhere is a domain below which no name has an address.
const Nowhere = "nowhere.test"

// startResolver begins a name server, over TCP as pebble asks it, that ends
// with the test. Every name is at 127.0.0.1, but for those below Nowhere.
func startResolver(t testing.TB) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("start the test's name server: %v", err)
	}
	started := make(chan struct{})
	server := &dns.Server{Listener: l, Handler: dns.HandlerFunc(answer), NotifyStartedFunc: func() { close(started) }}
	ended := make(chan struct{})
	go func() { // ended by Shutdown, awaited in the same cleanup
		defer close(ended)
		server.ActivateAndServe()
	}()
	<-started
	t.Cleanup(func() {
		server.Shutdown()
		<-ended
	})
	return l.Addr().String()
}

func answer(w dns.ResponseWriter, question *dns.Msg) {
	reply := new(dns.Msg).SetReply(question)
	for _, q := range question.Question {
		if q.Qtype == dns.TypeA && !strings.HasSuffix(strings.ToLower(q.Name), "."+Nowhere+".") {
			reply.Answer = append(reply.Answer, &dns.A{
				Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeA, Class: dns.ClassINET},
				A:   net.IPv4(127, 0, 0, 1),
			})
		}
	}
	w.WriteMsg(reply)
}
