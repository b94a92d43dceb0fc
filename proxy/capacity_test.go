package proxy

import (
	"io"
	"log/slog"
	"testing"
)

func TestCapacity_IsThatOfTheConfigurationInEffect(t *testing.T) {
	cfg := Config{
		MaxTunnels: 7, Limits: Limits{MaxConnections: 9},
		Sites: []Site{{Hosts: []string{"*"}, TLS: TLS{Mode: TLSOff}, Routes: []Route{{Path: "/", App: "http://127.0.0.1:1"}}}},
	}
	s, err := New(cfg, slog.New(slog.DiscardHandler), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	want := func(tunnels, connections int64) {
		t.Helper()
		if got := s.Capacity(); got["max_tunnels"] != tunnels || got["max_connections"] != connections {
			t.Errorf("capacity %v, want %d tunnels and %d connections", got, tunnels, connections)
		}
	}
	want(7, 9)
	cfg.MaxTunnels, cfg.Limits.MaxConnections = 8, 10
	if err := s.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	want(8, 10)
	cfg.MaxTunnels, cfg.Limits.MaxConnections = 0, 0
	if err := s.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	if got := s.Capacity(); got["max_tunnels"] <= 0 || got["max_connections"] <= 0 {
		t.Errorf("capacity %v by default", got)
	}
}
