package apacheimport_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"wsfront/cmd/internal/apacheconf"
	"wsfront/cmd/internal/apacheimport"
)

func ExampleImport() {
	folder, err := os.MkdirTemp("", "apacheimport")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	vhost := filepath.Join(folder, "app.conf")
	err = os.WriteFile(vhost, []byte(`<VirtualHost *:443>
    ServerName app.example.org
    ProxyPreserveHost On
    RewriteEngine On
    RewriteCond %{HTTP:Upgrade} websocket [NC]
    RewriteRule ^/live/(.*) ws://127.0.0.1:9000/live/$1 [P]
    ProxyPass / http://127.0.0.1:8000/
</VirtualHost>
`), 0o600)
	if err != nil {
		log.Fatal(err)
	}
	cfg, err := apacheconf.Read([]string{vhost}, apacheconf.Options{})
	if err != nil {
		log.Fatal(err)
	}
	result := apacheimport.Import(cfg, apacheimport.Options{})
	for line := range strings.Lines(result.YAML) {
		if !strings.HasPrefix(strings.TrimSpace(line), "#") {
			fmt.Print(line)
		}
	}
	fmt.Println(result.Verdict)
	// Output:
	// sites:
	//   - hosts: [app.example.org]
	//     routes:
	//       - path: /live/
	//         tunnel: ws://127.0.0.1:9000
	//       - path: /
	//         app: http://127.0.0.1:8000
	// complete
}
