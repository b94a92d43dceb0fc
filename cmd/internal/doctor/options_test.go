package doctor

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestRun_WrongOptionsSayWhatToWrite(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	const url = "wss://app.test/websocket"
	for want, o := range map[string]Options{
		"name a URL such as wss://app.example.com/websocket": {},
		"write wss://app.test":                               {URL: "app.test"},
		"write HOST:ADDRESS":                                 {URL: url, Resolve: []string{"app.test"}},
		"a page is at https:// or http://":                   {URL: url, Page: "wss://app.test/"},
		"such as https://app.example.com/":                   {URL: url, Page: "/"},
		"--idle needs the URL of a WebSocket":                {URL: "https://app.test/events", Idle: time.Second},
		"read the CA: ":                                      {URL: url, CA: empty + ".missing"},
		"holds no certificate; name a PEM file":              {URL: url, CA: empty},
	} {
		if r, err := Run(context.Background(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, %v; want %q", o, r, err, want)
		}
	}
}
