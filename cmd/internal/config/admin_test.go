package config

import (
	"fmt"
	"strings"
	"testing"
)

func TestProbe_AdminBeyondThisMachine(t *testing.T) {
	text := `http_listen: %s
state: %s
sites: [{hosts: ["*"], tls: off, routes: [{path: /, redirect: https://example.com}]}]
admin: {listen: "%s"}
`
	for address, warned := range map[string]bool{"off": false, free(t): false, "[::1]:0": false, "localhost:0": false, ":0": true, "0.0.0.0:0": true} {
		got := probe(t, fmt.Sprintf(text, free(t), t.TempDir(), address))
		if strings.Contains(got, "admin.listen") != warned || warned && !strings.Contains(got, "the token goes there in plain text") {
			t.Errorf("%s: %s", address, got)
		}
	}
	taken := listen(t)
	if got := probe(t, fmt.Sprintf(text, free(t), t.TempDir(), taken)); !strings.Contains(got, fmt.Sprintf("admin.listen: %q is taken", taken)) {
		t.Errorf("got %q", got)
	}
}

// A token is asked for wherever others can get to.
func TestAdminToken_IsAskedForBeyondLoopback(t *testing.T) {
	for _, c := range []struct{ listen, file, want string }{
		{"", "", ""}, {"off", "", ""}, {"off", "/x", ""}, {"127.0.0.1:1", "", ""}, {"[::1]:1", "", ""}, {"localhost:1", "", ""}, {"127.0.0.1:1", "/x", "/x"},
		{":1", "", "/state/admin.token"}, {"0.0.0.0:1", "", "/state/admin.token"}, {"[::]:1", "/x", "/x"}, {"192.0.2.1:1", "", "/state/admin.token"},
		{"admin.example.com:1", "", "/state/admin.token"}, {"localhost.example.com:1", "", "/state/admin.token"},
	} {
		f := File{Admin: Admin{Listen: c.listen, TokenFile: c.file}}
		f.State = "/state"
		if got := f.AdminToken(); got != c.want {
			t.Errorf("%s with %q: %q, want %q", c.listen, c.file, got, c.want)
		}
	}
}
