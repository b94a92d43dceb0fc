package natsbroker

import (
	"context"
	"log/slog"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"go.uber.org/goleak"

	"wsfront/pusher"
	"wsfront/pusher/brokertest"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if channels, err := strconv.Atoi(os.Getenv(childChannels)); err == nil {
			os.Exit(childMeasures(dir, channels))
		}
		os.Exit(child(dir))
	}
	goleak.VerifyTestMain(m)
}

// testPatience is how long a test waits for what must happen.
const testPatience = 20 * time.Second

func limited(o Options, limits pusher.History) Options {
	o.Messages, o.Bytes, o.Age = limits.Messages, limits.Bytes, limits.Age
	return o
}

// open opens a broker that ends with the test, if not before.
func open(t testing.TB, o Options) *Broker {
	t.Helper()
	return openLogging(t, o, slog.DiscardHandler)
}

func openLogging(t testing.TB, o Options, log slog.Handler) *Broker {
	t.Helper()
	b, err := Open(t.Context(), o, slog.New(log))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(testPatience); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", testPatience, what)
		}
	}
}

// external is a NATS server as anybody would run one: its address.
func external(t testing.TB) string {
	t.Helper()
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, JetStream: true, StoreDir: t.TempDir(),
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(testPatience) {
		t.Fatal("the NATS server does not start")
	}
	return s.ClientURL()
}

func TestBroker_Embedded(t *testing.T) {
	brokertest.Run(t, func(t *testing.T, limits pusher.History) pusher.Broker {
		return open(t, limited(Options{Dir: t.TempDir()}, limits))
	})
}

func TestBroker_External(t *testing.T) {
	brokertest.Run(t, func(t *testing.T, limits pusher.History) pusher.Broker {
		return open(t, limited(Options{URL: external(t)}, limits))
	})
}

func draft(data string) pusher.Draft { return pusher.Draft{Text: true, Data: []byte(data)} }

func mustAppend(t testing.TB, b *Broker, channel string, d pusher.Draft) uint64 {
	t.Helper()
	a, err := b.Append(context.Background(), channel, d)
	if err != nil {
		t.Fatal(err)
	}
	return a.Seq
}
