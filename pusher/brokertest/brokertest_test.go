package brokertest

import (
	"testing"

	"go.uber.org/goleak"

	"wsfront/pusher"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRun_Memory(t *testing.T) {
	Run(t, func(_ *testing.T, limits pusher.History) pusher.Broker { return pusher.NewMemory(limits) })
}
