package natsbroker

import (
	"errors"
	"strings"
	"testing"
	"time"

	"wsfront/pusher"
)

func TestOptions_ErrorsNameTheField(t *testing.T) {
	for _, test := range []struct {
		options Options
		want    string // empty: none
	}{
		{Options{Dir: "/x"}, ""},
		{Options{URL: "nats://127.0.0.1:4222, tls://user:secret@host"}, ""},
		{Options{Dir: "/x", Age: time.Minute}, ""},
		{Options{Dir: "/x", Sync: SyncAlways, Name: "other-1", Duplicates: time.Minute}, ""},
		{Options{}, "dir: is missing; write"},
		{Options{Dir: "/x", URL: "nats://host"}, "url: a store is either"},
		{Options{URL: "127.0.0.1:4222"}, "url: is no address"},
		{Options{URL: "http://user:secret@host"}, "url: is no address"},
		{Options{URL: "nats://host,"}, "url: is no address"},
		{Options{Dir: "/x", Name: "a.b"}, `name: "a.b" is no name`},
		{Options{Dir: "/x", Messages: -1}, "messages: -1 is negative; write a number"},
		{Options{Dir: "/x", Bytes: -1}, "bytes: -1 is negative; write a size"},
		{Options{Dir: "/x", Total: -1}, "total: -1 is negative"},
		{Options{Dir: "/x", Channels: -1}, "channels: -1 is negative"},
		{Options{Dir: "/x", Age: time.Millisecond}, "age: 1ms is too short"},
		{Options{Dir: "/x", Age: -time.Hour}, "age: -1h0m0s is too short"},
		{Options{Dir: "/x", Duplicates: 25 * time.Hour}, "duplicates: 25h0m0s is not within"},
		{Options{Dir: "/x", Duplicates: time.Millisecond}, "duplicates: 1ms is not within"},
		{Options{Dir: "/x", Sync: Sync(time.Millisecond)}, "sync: 1ms is too short"},
	} {
		err := test.options.Validate()
		if test.want == "" {
			if err != nil {
				t.Errorf("%+v: %v", test.options, err)
			}
			continue
		}
		var fields pusher.FieldErrors
		if !errors.As(err, &fields) || len(fields) != 1 || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%+v: %v, want %s", test.options, err, test.want)
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("the error tells the password: %v", err)
		}
	}
	if n := len(new(Options).Validate().(pusher.FieldErrors)); n != 1 {
		t.Errorf("%d errors of no options", n)
	}
}
