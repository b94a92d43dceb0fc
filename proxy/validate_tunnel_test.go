package proxy

import (
	"math"
	"testing"
	"time"
)

// everyLimit sets all options that limit tunnels.
func everyLimit(r *Route) {
	r.IdleTimeout, r.MaxLifetime, r.Ping = time.Hour, 24*time.Hour, 30*time.Second
	r.MaxMessage, r.MaxFragments, r.MessageRate, r.MaxTunnels = 1<<20, 16, 50, 100
	r.Validate = true
}

func TestValidate_AcceptsTunnelOptions(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"all of them, on a tunnel": func(c *Config) { everyLimit(&c.Sites[0].Routes[1]) },
		"all of them, on an app":   func(c *Config) { everyLimit(&c.Sites[0].Routes[3]) },
		"mode raw, written out":    func(c *Config) { c.Sites[0].Routes[1].Tunnel.Mode = TunnelRaw },
		"mode message with its limits": func(c *Config) {
			r := &c.Sites[0].Routes[1]
			everyLimit(r)
			r.Tunnel.Mode, r.Validate, r.MaxFragments = TunnelMessage, false, 0
		},
		"pings every second":                    func(c *Config) { c.Sites[0].Routes[1].Ping = time.Second },
		"pings rarer than the idle timeout":     func(c *Config) { c.Sites[0].Routes[1].Ping, c.Sites[0].Routes[1].IdleTimeout = time.Hour, time.Minute },
		"fewer in all than for each address":    func(c *Config) { c.MaxTunnels = DefaultMaxTunnelsPerAddress / 2 },
		"more for a route than the server has":  func(c *Config) { c.MaxTunnels, c.Sites[0].Routes[1].MaxTunnels = 10, 20 },
		"one tunnel in all, one for an address": func(c *Config) { c.MaxTunnels, c.MaxTunnelsPerAddress = 1, 1 },
	} {
		t.Run(name, func(t *testing.T) {
			c := validConfig()
			change(&c)
			if err := c.Validate(); err != nil {
				t.Errorf("refused:\n%v", err)
			}
		})
	}
}

func TestValidate_NamesTheTunnelOptionAndTheRemedy(t *testing.T) {
	for _, tc := range []struct {
		name   string
		route  int // see validConfig
		change func(*Route)
		option string
		remedy string
	}{
		{"unknown mode", 1, func(r *Route) { r.Tunnel.Mode = "frames" }, "tunnel.mode", "write raw or message"},
		{"mode without backend", 1, func(r *Route) { r.Tunnel = Tunnel{Mode: TunnelMessage} }, "tunnel.backend", "backend: ws://"},
		{"backend without scheme", 1, func(r *Route) { r.Tunnel.Backend = "10.0.0.7:9000" }, "tunnel.backend", "write ws://10.0.0.7:9000"},
		{"backend of another kind", 1, func(r *Route) { r.Tunnel.Backend = "http://10.0.0.7" }, "tunnel.backend", "write ws://10.0.0.7"},
		{"backend_tls by ws", 1, func(r *Route) { r.BackendTLS.CA = "ca.pem" }, "backend_tls", "wss://"},
		{"validate in mode message", 1, func(r *Route) { r.Tunnel.Mode, r.Validate = TunnelMessage, true }, "validate", "every frame is checked; remove it"},
		{"max_fragments in mode message", 1, func(r *Route) { r.Tunnel.Mode, r.MaxFragments = TunnelMessage, 2 }, "max_fragments", "max_message"},
		{"pings too often", 1, func(r *Route) { r.Ping = time.Second - 1 }, "ping", "write 1s or more"},
		{"pings behind the end", 3, func(r *Route) { r.Ping, r.MaxLifetime = time.Hour, time.Hour }, "ping", "max_lifetime of 1h0m0s"},
		{"idle behind the end", 3, func(r *Route) { r.IdleTimeout, r.MaxLifetime = time.Hour, time.Hour }, "idle_timeout", "max_lifetime of 1h0m0s"},
		{"negative idle_timeout", 1, func(r *Route) { r.IdleTimeout = -1 }, "idle_timeout", "negative"},
		{"negative max_lifetime", 1, func(r *Route) { r.MaxLifetime = -1 }, "max_lifetime", "negative"},
		{"negative ping", 1, func(r *Route) { r.Ping = -1 }, "ping", "negative"},
		{"negative max_message", 1, func(r *Route) { r.MaxMessage = -1 }, "max_message", "such as 100MiB"},
		{"negative max_fragments", 1, func(r *Route) { r.MaxFragments = -1 }, "max_fragments", "such as 100,"},
		{"negative message_rate", 1, func(r *Route) { r.MessageRate = -1 }, "message_rate", "negative"},
		{"negative max_tunnels", 1, func(r *Route) { r.MaxTunnels = -1 }, "max_tunnels", "negative"},
		{"max_lifetime on push", 0, func(r *Route) { r.MaxLifetime = time.Hour }, "max_lifetime", "push route"},
		{"ping on push", 0, func(r *Route) { r.Ping = time.Hour }, "ping", "push route"},
		{"max_message on push", 0, func(r *Route) { r.MaxMessage = 1 }, "max_message", "push route"},
		{"max_fragments on files", 2, func(r *Route) { r.MaxFragments = 1 }, "max_fragments", "files route"},
		{"message_rate on files", 2, func(r *Route) { r.MessageRate = 1 }, "message_rate", "files route"},
		{"validate on files", 2, func(r *Route) { r.Validate = true }, "validate", "files route"},
		{"max_tunnels on files", 2, func(r *Route) { r.MaxTunnels = 1 }, "max_tunnels", "files route"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := validConfig()
			c.Sites[0].Routes = c.Sites[0].Routes[tc.route : tc.route+1]
			tc.change(&c.Sites[0].Routes[0])
			oneMistake(t, c, "sites[0].routes[0]."+tc.option, tc.remedy)
		})
	}
	for field, c := range map[string]Config{
		"max_tunnels":             {MaxTunnels: -1, Sites: validConfig().Sites},
		"max_tunnels_per_address": {MaxTunnelsPerAddress: -1, Sites: validConfig().Sites},
	} {
		oneMistake(t, c, field, "negative")
	}
}

func TestTunnelsWithin_LeavesRoomBesideThem(t *testing.T) {
	for files, want := range map[uint64]int{
		0:                 0,
		1024:              486,
		1 << 20:           498073,
		math.MaxInt32:     1020054732,
		math.MaxInt32 + 1: 0,
		math.MaxInt64:     0, // "unlimited", signed
		math.MaxUint64:    0,
	} {
		if got := pairsWithin(files); got != want {
			t.Errorf("%d files: %d tunnels, want %d", files, got, want)
		}
	}
}

func TestDefaults_OfTunnels(t *testing.T) {
	c := validConfig().withDefaults()
	if c.MaxTunnels != pairsWithin(openFilesLimit()) || c.MaxTunnelsPerAddress != DefaultMaxTunnelsPerAddress {
		t.Errorf("%d in all, %d for each address", c.MaxTunnels, c.MaxTunnelsPerAddress)
	}
	c = Config{MaxTunnels: 10, MaxTunnelsPerAddress: 2}.withDefaults()
	if c.MaxTunnels != 10 || c.MaxTunnelsPerAddress != 2 {
		t.Errorf("%d in all, %d for each address: not what was written", c.MaxTunnels, c.MaxTunnelsPerAddress)
	}
}
