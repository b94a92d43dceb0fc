package relay_test

import (
	"io"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"wsfront/proxy/relay"
)

// What the front has read too much of: with the head, in a record that it read
// in part, and in records that it has not opened.
func TestEngine_WhatWasReadTooMuchArrivesInOrder(t *testing.T) {
	onBoth(t, func(t *testing.T, e *relay.Engine) {
		for _, backend := range []string{"tcp", "tls"} {
			b := connectBoth(t, "tls", backend)
			for _, s := range []string{"2 in a record, ", "3 not opened, ", "4 neither, "} {
				write(t, b.client, s)
			}
			wantRead(t, b.near[0], "2 in ")
			want := "1 with the head, a record, 3 not opened, 4 neither, "
			b.start(e, relay.Options{}, relay.Early{FromClient: []byte("1 with the head, ")})
			wantRead(t, b.backend, want)
			write(t, b.client, "5 after")
			wantRead(t, b.backend, "5 after")
			closeWrite(t, b.client)
			wantEOF(t, b.backend)
			b.backend.Close()
			if r := b.wait(); r.FromClient.Bytes != int64(len(want)+7) {
				t.Errorf("counted %d bytes, want %d", r.FromClient.Bytes, len(want)+7)
			}
		}
	})
}

// More than the sockets take at once may have arrived early, on TLS as well as
// in plain, and from a side that has ended since.
func TestEngine_EarlyBytesMayBeMany(t *testing.T) {
	many := strings.Repeat("early ", 300<<10)
	eachPair(t, func(t *testing.T, e *relay.Engine, client, backend string) {
		b := connectBoth(t, client, backend)
		write(t, b.client, "late")
		closeWrite(t, b.client)
		b.start(e, relay.Options{}, relay.Early{FromClient: []byte(many)})
		got, err := io.ReadAll(b.backend)
		if err != nil || string(got) != many+"late" {
			t.Errorf("the backend got %d bytes, %v; want %d", len(got), err, len(many)+4)
		}
		b.backend.Close()
		b.wantReason(relay.ClientClosed)
	})
}

func TestEngine_ForgedRecordIsAnsweredByAnAlert(t *testing.T) {
	e := loops(t)
	b := open(t, e, "tls", "tcp", relay.Options{})
	write(t, raw(b.client), "\x17\x03\x03\x00\x20 thirty-two bytes nobody sealed.")
	_, err := b.client.Read(make([]byte, 1))
	if err == nil || !strings.Contains(err.Error(), "bad record MAC") {
		t.Errorf("the client read %v, want the alert bad_record_mac", err)
	}
	wantReset(t, b.backend)
	b.wait()
}

// One tunnel that is flooded must not keep another one's messages waiting: on
// one loop, both get their turns.
func TestEngine_FloodLeavesTurnsToOthers(t *testing.T) {
	e := loops(t)
	var floods []*bed
	var flooded atomic.Int64
	ended := make(chan struct{})
	const writers = 6 // on each loop some
	for range writers {
		b := open(t, e, "tcp", "tcp", relay.Options{})
		floods = append(floods, b)
		go func() { // ends with the tunnel; waited for below
			for chunk := make([]byte, 256<<10); ; {
				if _, err := b.client.Write(chunk); err != nil {
					ended <- struct{}{}
					return
				}
			}
		}()
		go func() { // likewise
			n, _ := io.Copy(io.Discard, b.backend)
			flooded.Add(n)
			ended <- struct{}{}
		}()
	}
	quiet := open(t, e, "tls", "tcp", relay.Options{})
	for range 200 {
		write(t, quiet.client, "ping")
		wantRead(t, quiet.backend, "ping")
		write(t, quiet.backend, "pong")
		wantRead(t, quiet.client, "pong")
	}
	for _, b := range floods {
		if b.tunnel.Stats().FromClient.Bytes == 0 {
			t.Error("a tunnel that floods has moved nothing meanwhile")
		}
		b.tunnel.Cut()
	}
	for range 2 * writers {
		<-ended
	}
}

func TestEngine_TunnelsAreListedWhileTheyLive(t *testing.T) {
	onBoth(t, func(t *testing.T, e *relay.Engine) {
		began := time.Now()
		open := []*bed{open(t, e, "tcp", "tcp", relay.Options{}), open(t, e, "tls", "unix", relay.Options{})}
		listed := map[*relay.Tunnel]bool{}
		for tunnel := range e.All() {
			listed[tunnel] = true
			if tunnel.Owner() == nil {
				t.Error("a tunnel without its owner")
			}
			if s := tunnel.Stats(); s.Opened.Before(began) || s.Opened.After(time.Now()) || s.Moved.Before(s.Opened) {
				t.Errorf("opened at %v, moved at %v; it is between %v and %v", s.Opened, s.Moved, began, time.Now())
			}
		}
		if e.Tunnels() != 2 || !listed[open[0].tunnel] || !listed[open[1].tunnel] {
			t.Errorf("%d tunnels, listed %v; want the 2 that live", e.Tunnels(), listed)
		}
		for range e.All() {
			break
		}
		open[0].tunnel.Cut()
		open[0].wait()
		for deadline := time.Now().Add(patience); e.Tunnels() != 1; runtime.Gosched() {
			if time.Now().After(deadline) {
				t.Fatalf("%d tunnels, want the 1 that lives", e.Tunnels())
			}
		}
	})
}

// A wrapper may change what passes; its socket must be left to it.
func TestEngine_WrappedConnectionIsUsedAsItIs(t *testing.T) {
	b := connectBoth(t, "tcp", "tcp")
	b.near[0] = shouting{b.near[0]}
	b.start(loops(t), relay.Options{}, relay.Early{})
	write(t, b.client, "hello")
	wantRead(t, b.backend, "HELLO")
}

type shouting struct{ net.Conn }

func (s shouting) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	copy(p, strings.ToUpper(string(p[:n])))
	return n, err
}

func TestEngine_IdleTunnelsHaveNoGoroutines(t *testing.T) {
	e := loops(t)
	one := open(t, e, "tls", "tcp", relay.Options{})
	write(t, one.client, "so that all loops run")
	wantRead(t, one.backend, "so that all loops run")
	before := runtime.NumGoroutine()
	for range 50 {
		o := relay.Options{IdleTimeout: time.Hour, Ping: time.Hour, Frames: &relay.Frames{}}
		b := open(t, e, "tls", "tcp", o)
		write(t, b.client, "hello")
		wantRead(t, b.backend, "hello")
	}
	// A few may just be ending that belong to nobody's tunnel.
	if after := runtime.NumGoroutine(); after >= before+25 {
		t.Errorf("%d goroutines with 50 idle tunnels more, %d before", after, before)
	}
}

// slow writes byte by byte.
type slow struct{ net.Conn }

func (s slow) Write(p []byte) (int, error) {
	for i := range p {
		if _, err := s.Conn.Write(p[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(p), nil
}

func TestEngine_RecordsMayComeByteByByte(t *testing.T) {
	onBoth(t, func(t *testing.T, e *relay.Engine) {
		b := connectBoth(t, "tcp", "tls")
		client, near := secure(t, slow{b.client}, b.near[0], "tls", true)
		b.near[0] = near
		b.start(e, relay.Options{Frames: &relay.Frames{}}, relay.Early{})
		m := wsPeer{mask: true}.frame(opText, strings.Repeat("0123456789", 500))
		for range 2 {
			write(t, client, string(m))
			wantRead(t, b.backend, string(m))
		}
		write(t, b.backend, "and back")
		wantRead(t, client, "and back")
	})
}
