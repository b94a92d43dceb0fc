//go:build e2e

package diagnosis

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestE2E_TheServersTakeTheLinesOfFixes puts the lines of each fix where its sentence
// says, or else among those of the site, and has the server's own checker judge
// them: people copy them as they stand.
func TestE2E_TheServersTakeTheLinesOfFixes(t *testing.T) {
	c := newChecker(t)
	checkers := map[string]func(lines []string) (string, []string){
		ForWsfront: c.wsfront, ForApache: c.apache, ForNginx: c.nginx, ForHAProxy: c.haproxy, ForCaddy: c.caddy,
	}
	checked := 0
	for _, known := range []map[Cause]entry{network, refusals, backends, tunnels} {
		for cause, e := range known {
			for _, fix := range e.fixes {
				check, lines := checkers[fix.For], linesOf(fix.Text)
				if check == nil || len(lines) == 0 {
					continue
				}
				checked++
				config, command := check(lines)
				name := c.write(t, fix.For+"-"+string(cause), config)
				out, err := exec.Command(command[0], append(command[1:], name)...).CombinedOutput()
				if err != nil || strings.Contains(string(out), "WARN") {
					t.Errorf("%s, %s: %v\n%s\n%s", cause, fix.For, err, strings.Join(lines, "\n"), out)
				}
			}
		}
	}
	if checked < 100 {
		t.Errorf("only %d fixes have lines", checked)
	}
}

// commands are lines for a shell, as a fix may have in place of directives.
var commands = regexp.MustCompile(`^(a2enmod|systemctl|certbot) `)

// linesOf are the lines of a fix, without their indent; none where they are
// commands.
func linesOf(text string) []string {
	_, block, _ := strings.Cut(text, "\n")
	if block == "" || commands.MatchString(strings.TrimSpace(block)) {
		return nil
	}
	lines := strings.Split(block, "\n")
	for i := range lines {
		lines[i] = strings.TrimPrefix(lines[i], "    ")
	}
	return lines
}

// blocks puts together what belongs together: a line and those within it.
func blocks(lines []string) []string {
	var list []string
	for _, line := range lines {
		if n := len(list); n > 0 && (strings.HasPrefix(line, " ") || strings.HasPrefix(line, "}") || strings.HasPrefix(line, "</")) {
			list[n-1] += "\n" + line
		} else {
			list = append(list, line)
		}
	}
	return list
}

// places sorts blocks by where their first word belongs; "" is the site.
func places(lines []string, of map[string]string) map[string]string {
	sorted := map[string]string{}
	for _, block := range blocks(lines) {
		sorted[of[strings.Fields(block)[0]]] += block + "\n"
	}
	return sorted
}

// checker has what configurations name, a certificate with its key, and a wsfront.
type checker struct {
	folder, pem, program string
	files, port          *regexp.Regexp
}

func newChecker(t *testing.T) *checker {
	folder := t.TempDir()
	c := &checker{folder, filepath.Join(folder, "app.pem"), filepath.Join(folder, "wsfront"),
		regexp.MustCompile(`/etc/(ssl|haproxy|letsencrypt|wsfront)/\S*\.(pem|key)\b`), regexp.MustCompile(`([ :])443\b`)}
	out, err := exec.Command("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
		"-subj", "/CN=app.example.com", "-keyout", c.pem, "-out", filepath.Join(folder, "cert")).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cert, err := os.ReadFile(filepath.Join(folder, "cert"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(c.pem)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.pem, append(cert, key...), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("go", "build", "-o", c.program, "wsfront/cmd/wsfront").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return c
}

// write writes a configuration, in which all files are that of the checker and no
// port needs root.
func (c *checker) write(t *testing.T, name, config string) string {
	name = filepath.Join(c.folder, name)
	config = c.port.ReplaceAllString(c.files.ReplaceAllString(config, c.pem), "${1}18443")
	if err := os.WriteFile(name, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func (c *checker) wsfront(lines []string) (string, []string) {
	at := places(lines, map[string]string{
		"listen:": "file", "pools:": "file", "sites:": "file", "trusted_proxies:": "file", "max_tunnels:": "file", "max_tunnels_per_address:": "file",
		"hosts:": "site", "tls:": "site", "insecure_websocket:": "site", "upgrade_insecure:": "site", "routes:": "routes", "-": "items",
	})
	file, site, routes := at["file"], at["site"], at["routes"]
	if !strings.Contains(site, "hosts:") {
		site += "hosts: [app.example.com]\n"
	}
	if !strings.Contains(site, "tls:") {
		site += "tls: {cert: " + c.pem + ", key: " + c.pem + "}\n"
	}
	if routes == "" {
		routes = "routes:\n" + at["items"]
	}
	if !strings.Contains(routes, "path: /,") {
		routes += "- {path: /, app: \"http://127.0.0.1:8080\"}\n"
	}
	if at[""] != "" {
		route := "path: /websocket\n" + at[""]
		if !strings.Contains(route, "push:") {
			route += "tunnel: wss://127.0.0.1:9443\n"
		}
		routes += "-\n" + indent(route)
	}
	if !strings.Contains(file, "sites:") {
		file += "sites:\n-\n" + indent(site+routes)
	}
	return "state: " + c.folder + "\n" + file, []string{c.program, "check", "--config"}
}

// indent moves lines to the right.
func indent(lines string) string {
	return "  " + strings.ReplaceAll(strings.TrimSuffix(lines, "\n"), "\n", "\n  ") + "\n"
}

func (c *checker) apache(lines []string) (string, []string) {
	at := places(lines, map[string]string{"Listen": "server", "ServerLimit": "server", "MaxRequestWorkers": "server", "Timeout": "server"})
	var b strings.Builder
	for _, m := range strings.Fields("mpm_event authz_core alias headers http2 lbmethod_byrequests proxy proxy_balancer proxy_http rewrite slotmem_shm socache_shmcb ssl") {
		b.WriteString("LoadModule " + m + "_module /usr/lib/apache2/modules/mod_" + m + ".so\n")
	}
	b.WriteString("ServerName app.example.com\nListen 127.0.0.1:18080\nPidFile " + c.folder + "/pid\nErrorLog /dev/stderr\n" +
		at["server"] + "<VirtualHost *:18080>\n" + at[""])
	if strings.Contains(at[""], "SSLCertificateFile") && !strings.Contains(at[""], "SSLCertificateKeyFile") {
		b.WriteString("SSLEngine on\nSSLCertificateKeyFile " + c.pem + "\n")
	}
	b.WriteString("</VirtualHost>\n")
	return b.String(), []string{"apache2", "-t", "-f"}
}

func (c *checker) nginx(lines []string) (string, []string) {
	at := places(lines, map[string]string{
		"worker_connections": "events", "map": "http", "ip_hash;": "upstream",
		"listen": "server", "location": "server", "server_name": "server", "ssl_certificate": "server", "ssl_protocols": "server",
	})
	if !strings.Contains(at["server"], "ssl_certificate") {
		at["server"] += "ssl_certificate " + c.pem + ";\n"
	}
	return "pid " + c.folder + "/pid;\nerror_log stderr;\nevents {\n" + at["events"] + "}\nhttp {\n" + at["http"] +
		"upstream push {\n" + at["upstream"] + "server 127.0.0.1:9000;\n}\n" +
		"server {\nlisten 18080;\nssl_certificate_key " + c.pem + ";\n" + at["server"] +
		"location /other {\n" + at[""] + "}\n}\n}\n", []string{"nginx", "-t", "-c"}
}

func (c *checker) haproxy(lines []string) (string, []string) {
	at := places(lines, map[string]string{
		"h2-workaround-bogus-websocket-clients": "global", "maxconn": "global", "ssl-default-bind-options": "global",
		"acl": "frontend", "bind": "frontend", "http-request": "frontend", "http-response": "frontend",
		"frontend": "sections", "backend": "sections",
	})
	sections := strings.Replace(at["sections"], "frontend https\n", "frontend https\nbind :18081\n", 1)
	return "global\n" + at["global"] + "defaults\nmode http\ntimeout client 1s\ntimeout server 1s\ntimeout connect 1s\n" + sections +
		"frontend http\nbind :18080\n" + at["frontend"] + "default_backend app\nbackend app\n" + at[""], []string{"haproxy", "-c", "-f"}
}

func (c *checker) caddy(lines []string) (string, []string) {
	at := places(lines, map[string]string{"lb_policy": "backend"})
	return ":18080 {\n" + at[""] + "reverse_proxy 127.0.0.1:9000 {\n" + at["backend"] + "}\n}\n", []string{"caddy", "adapt", "--adapter", "caddyfile", "--config"}
}
