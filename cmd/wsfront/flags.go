package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"wsfront/cmd/internal/config"
	"wsfront/proxy"
	"wsfront/pusher"
)

// frontFlags are the flags of wsfront run: a configuration file, or in its
// place the few options of the common case.
type frontFlags struct {
	config string

	hosts    []string
	app      string
	push     string
	channel  string
	inbound  string
	history  string
	tunnels  []string
	tls      string
	cert     string
	key      string
	listen   []string
	plain    []string
	state    string
	access   string
	publish  publishFlags
	logLevel string
}

// siteFlags describe a site: they stand in for a file, never beside one.
var siteFlags = []string{"host", "app", "push", "channel", "inbound", "tunnel", "tls", "cert", "key"}

func (f *frontFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVarP(&f.config, "config", "c", "", "configuration `FILE` (default ./wsfront.yaml, then /etc/wsfront/wsfront.yaml)")
	flags.StringArrayVar(&f.hosts, "host", nil, "host `NAME` to serve (repeatable; without it every name, which needs --cert, --tls internal or --tls off)")
	flags.StringVar(&f.app, "app", "", "the application's `URL`: http://127.0.0.1:8080, https://HOST or unix:/run/app.sock")
	flags.StringVar(&f.push, "push", "", "`PATH` at which pages open their WebSocket: served by the built-in push service")
	flags.StringVar(&f.channel, "channel", "board", "channel `NAME` that pages at --push listen to")
	flags.StringVar(&f.inbound, "inbound", "drop", "what becomes of messages from pages: drop, echo or publish")
	flags.StringVar(&f.history, "history", "", "where the push service keeps what was published: memory, or durable, in the state folder (default memory)")
	flags.StringArrayVar(&f.tunnels, "tunnel", nil, "`PATH=URL` whose WebSockets go to ws://HOST:PORT, the path kept (repeatable)")
	flags.StringVar(&f.tls, "tls", "auto", "where certificates come from: auto (ACME), internal (a CA of its own) or off")
	flags.StringVar(&f.cert, "cert", "", "PEM `FILE` with the certificate and its chain, in place of --tls")
	flags.StringVar(&f.key, "key", "", "PEM `FILE` with the certificate's key")
	flags.StringArrayVar(&f.listen, "listen", nil, "`ADDR` for https (repeatable; default :443)")
	flags.StringArrayVar(&f.plain, "http-listen", nil, "`ADDR` for plain http, or off (repeatable; default :80)")
	flags.StringVar(&f.state, "state", "", "`DIR` for certificates and keys (default "+proxy.DefaultState()+")")
	flags.StringVar(&f.access, "access-log", "", "form of the access log, on standard output unless the file says otherwise: off, combined or json (default combined)")
	flags.StringVar(&f.logLevel, "log-level", "", "least severe event on standard error: debug, info, warn or error (default info)")
	f.publish.add(cmd)
}

// file is the configuration that the flags and the named file amount to. A
// flag that is given wins over the file.
func (f *frontFlags) file(cmd *cobra.Command) (*config.File, error) {
	file, err := f.base(cmd)
	if err != nil {
		return nil, err
	}
	if f.listen != nil {
		file.Listen = f.listen
	}
	if f.plain != nil {
		file.HTTPListen = f.plain
		if len(f.plain) == 1 && f.plain[0] == "off" {
			file.HTTPListen = proxy.Addresses{}
		}
	}
	if f.state != "" {
		file.State = f.state
	}
	if f.access != "" {
		file.AccessLog.Format = proxy.AccessFormat(f.access)
	}
	if f.history != "" {
		if err := file.Push.History.UnmarshalText([]byte(f.history)); err != nil {
			return nil, fmt.Errorf("--history: %w", err)
		}
	}
	if f.logLevel != "" {
		file.Log.Level = f.logLevel
	}
	if f.publish.listen != "" {
		file.Push.Publish.Listen = f.publish.listen
	}
	if err := file.Validate(); err != nil {
		if f.config == "" {
			return nil, inFlags(err, file, "--push")
		}
		return nil, err
	}
	return file, nil
}

// base is the file named, or found, or made of the site flags.
func (f *frontFlags) base(cmd *cobra.Command) (*config.File, error) {
	var given string
	for _, name := range siteFlags {
		if cmd.Flags().Changed(name) {
			given = name
			break
		}
	}
	switch {
	case f.config != "" && given != "":
		return nil, fmt.Errorf("--%s describes a site, and so does %s; write it into the file", given, f.config)
	case given != "":
		return f.site()
	case f.config == "":
		var err error
		if f.config, err = config.Find(); err != nil {
			return nil, fmt.Errorf("%w; or name the app: wsfront run --host NAME --app http://127.0.0.1:8080 --push /websocket", err)
		}
	}
	return config.Load(f.config)
}

func (f *frontFlags) site() (*config.File, error) {
	if f.app == "" && f.push == "" && f.tunnels == nil {
		return nil, errors.New("nothing to serve; give --app URL, --push PATH or --tunnel PATH=URL")
	}
	site := config.Site{Site: proxy.Site{Hosts: f.hosts, TLS: proxy.TLS{Cert: f.cert, Key: f.key}}}
	if len(f.hosts) == 0 {
		site.Hosts = []string{"*"}
	}
	if f.cert == "" && f.key == "" {
		if err := site.TLS.UnmarshalText([]byte(f.tls)); err != nil {
			return nil, fmt.Errorf("--tls: %w", err)
		}
	}
	for _, t := range f.tunnels {
		path, url, ok := strings.Cut(t, "=")
		if !ok {
			return nil, fmt.Errorf("--tunnel %s: no backend; write --tunnel %s=ws://127.0.0.1:9000", t, t)
		}
		site.Routes = append(site.Routes, config.Route{Route: proxy.Route{Path: path, Tunnel: proxy.Tunnel{Backend: url}}})
	}
	if f.push != "" {
		endpoint := &pusher.Endpoint{Channel: f.channel, Inbound: pusher.Inbound(f.inbound)}
		if strings.HasSuffix(f.push, "/{channel}") {
			endpoint.Channel = ""
		}
		site.Routes = append(site.Routes, config.Route{Route: proxy.Route{Path: f.push}, Push: endpoint})
	}
	if f.app != "" {
		site.Routes = append(site.Routes, config.Route{Route: proxy.Route{Path: "/", App: f.app}})
	}
	return &config.File{Sites: []config.Site{site}}, nil
}

// publishFlags say where the publish API is and by which key it is used.
type publishFlags struct {
	listen string
	key    string
}

func (p *publishFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&p.listen, "publish-listen", "", "`ADDR` of the publish API, or off (default "+config.DefaultPublishListen+")")
	cmd.Flags().StringVar(&p.key, "publish-key", "", "`KEY` of the publish API, or @FILE that holds it (default the file publish.key in the state folder, made at the first start)")
}

// secret is the key itself, or "" when the flag was not given.
func (p *publishFlags) secret() (string, error) {
	path, ok := strings.CutPrefix(p.key, "@")
	if !ok {
		return p.key, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("--publish-key: %w", err)
	}
	key := strings.TrimSpace(string(b))
	if key == "" {
		return "", fmt.Errorf("--publish-key: %s is empty; write the key into it", path)
	}
	return key, nil
}

// flagOf are the flags by which fields of the file are set.
var flagOf = []struct{ field, flag string }{
	{"sites[0].hosts", "--host"},
	{"sites[0].tls.cert", "--cert"},
	{"sites[0].tls.key", "--key"},
	{"sites[0].tls", "--tls"},
	{"listen", "--listen"},
	{"http_listen", "--http-listen"},
	{"state", "--state"},
	{"access_log", "--access-log"},
	{"log.level", "--log-level"},
	{"push.publish.listen", "--publish-listen"},
	{"push.history", "--history"},
}

// inFlags says mistakes in the words of the flags that made the file; pushFlag
// is the one that gave the path of a push route. A mistake that has its place in
// a file stays as it is.
func inFlags(err error, file *config.File, pushFlag string) error {
	var found proxy.FieldErrors
	var one proxy.FieldError
	switch {
	case errors.As(err, &found):
	case errors.As(err, &one):
		found = proxy.FieldErrors{one}
	default:
		return err
	}
	lines := make([]string, len(found))
	for i, f := range found {
		lines[i] = flagName(f.Field, file, pushFlag) + ": " + fileWords.Replace(f.Message)
	}
	return errors.New(strings.Join(lines, "\n"))
}

// fileWords are those in a mistake's advice that read otherwise as flags, or
// for which there is no flag.
var fileWords = strings.NewReplacer(
	"tls: auto", "--tls auto", "tls: internal", "--tls internal", "tls: off", "--tls off",
	"write acme: ", "write a configuration file with acme: ", "set acme.", "write a configuration file with acme.",
)

func flagName(field string, file *config.File, pushFlag string) string {
	if field == "sites[0].tls" && file.Sites[0].TLS.Cert != "" {
		return "--cert"
	}
	for _, f := range flagOf {
		if strings.HasPrefix(field, f.field) {
			return f.flag
		}
	}
	var i int
	if _, err := fmt.Sscanf(field, "sites[0].routes[%d]", &i); err != nil || i >= len(file.Sites[0].Routes) {
		return field
	}
	switch r := file.Sites[0].Routes[i]; {
	case strings.HasSuffix(field, ".channel"):
		return "--channel"
	case strings.HasSuffix(field, ".inbound"):
		return "--inbound"
	case r.Tunnel.Backend != "":
		return "--tunnel"
	case r.Push != nil:
		return pushFlag
	}
	return "--app"
}
