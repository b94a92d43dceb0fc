package syslog

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestListen_SaysWhatIsWrongWithTheAddress(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	live, _ := open(t, Config{Listen: "unix://" + filepath.Join(folder, "live.sock")}, nil)
	defer live.Close()
	tcp, _ := open(t, Config{Listen: "tcp://127.0.0.1:0"}, nil)
	defer tcp.Close()
	udp, _ := open(t, Config{Listen: "udp://127.0.0.1:0"}, nil)
	defer udp.Close()
	for listen, want := range map[string]string{
		"tcp://" + tcp.Addr().String():          "another program has",
		"udp://" + udp.Addr().String():          "another program has",
		"unix://" + live.at.at:                  "another program has",
		"unix://" + file:                        "another program has",
		"unix://" + folder + "/none/of/it.sock": "create it",
	} {
		l, err := New(Config{Listen: listen, Channel: "board"}, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Listen(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", listen, err)
		}
	}
	if text, err := os.ReadFile(file); string(text) != "precious" {
		t.Errorf("the file has become %q, %v", text, err)
	}
}

func TestListen_SocketOfAProcessThatWasKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.sock")
	left, err := net.ListenPacket("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	_ = left.Close() // leaves the file, as Go does and as a kill does
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	in := start(t, Config{Listen: "unix://" + path})
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	write(t, in.dial(), "text")
	in.expect("text")
	in.end()
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left behind: %v", err)
	}
}

func TestRun_TellsOfASocketThatFails(t *testing.T) {
	for _, listen := range []string{"udp://127.0.0.1:0", "tcp://127.0.0.1:0"} {
		l, _ := open(t, Config{Listen: listen}, nil)
		_ = l.Close()
		if err := l.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "receive log lines at "+listen) {
			t.Errorf("%s: %v", listen, err)
		}
	}
}
