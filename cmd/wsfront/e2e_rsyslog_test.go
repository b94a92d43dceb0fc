//go:build e2e

package main_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

// rsyslogConfig is that of an rsyslogd of its own, which takes lines at a
// private socket and passes each on in five ways: the folder, its socket, ours,
// and the ports of UDP and of TCP.
const rsyslogConfig = `global(workDirectory="%[1]s")
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="%[2]s")
module(load="omuxsock")
$OMUxSockSocket %[3]s
*.* :omuxsock:
*.* action(type="omfwd" target="127.0.0.1" port="%[4]d" protocol="udp")
*.* action(type="omfwd" target="127.0.0.1" port="%[5]d" protocol="tcp")
*.* action(type="omfwd" target="127.0.0.1" port="%[6]d" protocol="tcp" TCP_Framing="octet-counted")
*.* action(type="omfwd" target="127.0.0.1" port="%[7]d" protocol="tcp" TCP_Framing="octet-counted" template="RSYSLOG_SyslogProtocol23Format")
`

// testRsyslog logs by logger, through Debian's rsyslog, to pages.
func (l *lab) testRsyslog(t *testing.T) {
	f := l.newFront(t)
	pem := l.pki.issue(t, f.folder, "app.test")
	private, ours := filepath.Join(f.folder, "private.sock"), filepath.Join(f.folder, "log.sock")
	udp, tcp, counted, protocol := l.port(t), l.port(t), l.port(t), l.port(t)
	f.run(t, fmt.Sprintf(`sites:
  - hosts: [app.test]
    tls: {cert: %s, key: %s}
    routes: [{path: "/logs/{channel}", push: {}}]
push:
  publish: {listen: off}
  syslog:
    - {channel: unix, listen: "unix://%s"}
    - {channel: udp, listen: "udp://%s"}
    - {channel: tcp, listen: "tcp://%s"}
    - {channel: counted, listen: "tcp://%s"}
    - {channel: protocol, listen: "tcp://%s", format: json}
`, pem.cert, pem.key, ours, loopback(udp), loopback(tcp), loopback(counted), loopback(protocol)))
	sockets := map[string]*websocket.Conn{}
	for _, channel := range []string{"unix", "udp", "tcp", "counted", "protocol"} {
		sockets[channel] = f.socket(t, "wss://"+f.site("app.test")+"/logs/"+channel)
	}
	conf := writeFile(t, filepath.Join(f.folder, "rsyslog.conf"), fmt.Sprintf(rsyslogConfig, f.folder, private, ours, udp, tcp, counted, protocol))
	rsyslog := start(t, "rsyslogd", exec.Command("rsyslogd", "-n", "-f", conf, "-i", filepath.Join(f.folder, "rsyslog.pid")))
	// rsyslog may lose lines while it starts.
	first := make(chan error, len(sockets))
	for _, c := range sockets {
		go func() { first <- waitsFor(c, "first") }() // ends when the line comes, or with its socket
	}
	arrived := 0
	rsyslog.until(t, "passes lines on in all ways", func() bool {
		_, _, _ = finish(t, exec.Command("logger", "-u", private, "--socket-errors=off", "-t", "app", "first"))
		select {
		case err := <-first:
			if err != nil {
				t.Fatal(err)
			}
			arrived++
		default:
		}
		return arrived == len(sockets)
	})

	logger(t, "-u", private, "-t", "app", "-i", "-p", "local0.warning", "grüße [1]: 50%")
	line := regexp.MustCompile(`^[A-Z][a-z]{2} [ 0-9]\d \d\d:\d\d:\d\d \S+ app\[\d+\]: grüße \[1\]: 50%$`)
	for _, channel := range []string{"unix", "udp", "tcp", "counted"} {
		t.Run(channel, func(t *testing.T) { receives(t, sockets[channel], line.MatchString) })
	}
	inJSON := regexp.MustCompile(`^\{"facility":16,"severity":4,"timestamp":"[^"]+","hostname":"[^"]+","app_name":"app","procid":"\d+","msg":"grüße \[1\]: 50%"\}$`)
	t.Run("protocol", func(t *testing.T) { receives(t, sockets["protocol"], inJSON.MatchString) })

	// logger by itself, without rsyslog.
	for channel, args := range map[string][]string{
		"unix":    {"-u", ours},
		"udp":     {"-n", "127.0.0.1", "-P", fmt.Sprint(udp), "--udp"},
		"tcp":     {"-n", "127.0.0.1", "-P", fmt.Sprint(tcp), "--tcp"},
		"counted": {"-n", "127.0.0.1", "-P", fmt.Sprint(counted), "--tcp", "--octet-count"},
	} {
		for _, form := range []string{"", "--rfc3164", "--rfc5424"} {
			t.Run("logger_"+channel+form, func(t *testing.T) {
				args := append([]string{"-t", "direct", "by " + channel + form}, args...)
				if form != "" {
					args = append([]string{form}, args...)
				}
				logger(t, args...)
				receives(t, sockets[channel], func(got string) bool { return strings.HasSuffix(got, " direct: by "+channel+form) })
			})
		}
	}
}

func logger(t *testing.T, args ...string) {
	t.Helper()
	if status, out, errs := finish(t, exec.Command("logger", args...)); status != 0 {
		t.Fatalf("logger %q ended with %d: %s%s", args, status, out, errs)
	}
}

// waitsFor reads until a message has text in it.
func waitsFor(c *websocket.Conn, text string) error {
	for {
		_, message, err := c.ReadMessage()
		if err != nil || strings.Contains(string(message), text) {
			return err
		}
	}
}
