package pusher

import (
	"maps"
	"testing"
)

func TestCapacity_IsThatOfTheConfigurationOrItsDefault(t *testing.T) {
	hub, err := New(Config{MaxClients: 7}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int64{"max_clients": 7, "channels_total": 250_000, "queue_total": 256 << 20}
	if got := hub.Capacity(); !maps.Equal(got, want) {
		t.Errorf("capacity %v, want %v", got, want)
	}
}
