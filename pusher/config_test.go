package pusher

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestConfig_DefaultsGiveWayToWhatIsWritten(t *testing.T) {
	const KiB, MiB = 1 << 10, 1 << 20
	full := func(ping time.Duration, queue, message, inbound int64) Config {
		return Config{
			PingInterval: ping, QueueBytes: queue, MaxMessage: message, MaxInbound: inbound,
			MaxClients: 100_000, MaxClientsPerAddress: 1000, ChannelsTotal: 250_000, InboundRate: 100, PublishTotal: 256 * MiB,
			QueueTotal: 256 * MiB, ReplayMessages: 10_000, ReplayBytes: 32 * MiB,
			History: History{Messages: 1000, Bytes: 8 * MiB, Age: time.Hour, Total: 256 * MiB},
		}
	}
	for _, c := range []struct{ given, want Config }{
		{Config{}, full(25*time.Second, MiB, MiB, 64*KiB)},
		{Config{QueueBytes: 100}, full(25*time.Second, 100, 100, 100)},
		{Config{QueueBytes: 4 * MiB}, full(25*time.Second, 4*MiB, MiB, 64*KiB)},
		{Config{MaxMessage: 4 * MiB}, full(25*time.Second, 4*MiB, 4*MiB, 64*KiB)},
		{Config{MaxMessage: KiB}, full(25*time.Second, MiB, KiB, KiB)},
		{Config{MaxInbound: 2 * MiB}, full(25*time.Second, 2*MiB, 2*MiB, 2*MiB)},
		{Config{PingInterval: time.Minute, QueueBytes: 3, MaxMessage: 2, MaxInbound: 1}, full(time.Minute, 3, 2, 1)},
	} {
		if err := c.given.Validate(); err != nil {
			t.Errorf("%+v: %v", c.given, err)
		}
		if got := c.given.withDefaults(); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%+v becomes %+v, want %+v", c.given, got, c.want)
		}
	}
}

func TestValidate_SaysWhatIsWrongAndWhatToWrite(t *testing.T) {
	for _, c := range []struct {
		given interface{ Validate() error }
		want  string
	}{
		{Config{PingInterval: -time.Second, QueueBytes: -1, MaxMessage: -2, MaxInbound: -3},
			`ping_interval: -1s is negative; write how often to ping, such as 25s
queue: -1 is negative; write a size such as 1MiB, or leave it out
max_message: -2 is negative; write a size such as 1MiB, or leave it out
max_inbound: -3 is negative; write a size such as 1MiB, or leave it out`},
		{Config{PingInterval: 25}, `ping_interval: 25ns is too short; write at least 100ms, such as 25s (a number needs its unit)`},
		{Config{QueueBytes: 100, MaxMessage: 200},
			`queue: 100 bytes hold no message of max_message (200 bytes), which would cut off whoever is sent one; write at least 200, or a smaller max_message`},
		{Config{MaxMessage: 100, MaxInbound: 200},
			`max_inbound: 200 bytes is more than max_message (100 bytes); write at most 100, or a larger max_message`},
		{Config{QueueBytes: 100, MaxInbound: 200},
			`max_inbound: 200 bytes is more than max_message (100 bytes); write at most 100, or a larger max_message`},
		{Config{MaxClients: -1, MaxClientsPerAddress: -2, ChannelsTotal: -3, InboundRate: -4, PublishTotal: -5, ReplayMessages: -6},
			`publish_total: -5 is negative; write a size such as 1MiB, or leave it out
replay_messages: -6 is negative; write a number such as 10000, or leave it out
max_clients: -1 is negative; write a number such as 100000, or leave it out
max_clients_per_address: -2 is negative; write a number such as 1000, or leave it out
channels_total: -3 is negative; write a number such as 250000, or leave it out
inbound_rate: -4 is negative; write a number such as 100, or leave it out`},
		{Config{PublishTotal: 1 << 20},
			`publish_total: 1048576 bytes hold no whole batch, of up to 16777216 bytes; write at least that, or leave it out`},
		{Endpoint{}, ``},
		{Endpoint{Channel: "board", Inbound: InboundEcho, Origins: []string{"*", "https://app.test", "chrome-extension://abc"}}, ``},
		{Endpoint{Channel: "the board", Inbound: "Echo", Origins: []string{
			"https://app.test", "app.test", "", "https://*.app.test", "https://app.test/", "https://app.test/page",
			"wss://app.test", "https://", "app.test/", "https://u@app.test"}},
			`channel: "the board" is no channel name; write 1 to 164 letters (a-z), digits or any of _-=@,.;:
inbound: "Echo" is none of drop, echo, publish and app; write one of them, or leave it out for drop
origins[1]: "app.test" has no scheme; write "https://app.test"
origins[2]: is empty; write an origin such as "https://app.example.com", or "*" for every page
origins[3]: "https://*.app.test": a "*" stands only alone, for every page; list each origin, such as "https://app.example.com"
origins[4]: "https://app.test/" is more than an origin, which is scheme and host alone; write "https://app.test"
origins[5]: "https://app.test/page" is more than an origin, which is scheme and host alone; write "https://app.test"
origins[6]: "wss://app.test" is the address of a socket; write that of the page: "https://app.test"
origins[7]: "https://" is no origin; write scheme and host, such as "https://app.example.com"
origins[8]: "app.test/" has no scheme; write "https://app.test"
origins[9]: "https://u@app.test" is more than an origin, which is scheme and host alone; write "https://app.test"`},
	} {
		err := c.given.Validate()
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%+v:\ngot  %s\nwant %s", c.given, got, c.want)
		}
	}
}

func TestValidate_GivesFieldErrors(t *testing.T) {
	err := Endpoint{Channel: "?", Origins: []string{"*", "x"}}.Validate()
	var all FieldErrors
	if !errors.As(err, &all) || len(all) != 2 || all[0].Field != "channel" || all[1].Field != "origins[1]" {
		t.Errorf("got %#v", err)
	}
	var first FieldError
	if !errors.As(err, &first) || first.Field != "channel" {
		t.Errorf("first is %#v", first)
	}
	if _, err := New(Config{QueueBytes: -1}, nil, nil); !errors.As(err, &all) {
		t.Errorf("New says %v", err)
	}
	hub, err := New(Config{}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := hub.Endpoint(Endpoint{Inbound: "?"}); err == nil || !strings.HasPrefix(err.Error(), "inbound: ") {
		t.Errorf("Endpoint says %v", err)
	}
}
