package config

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"wsfront/proxy"
	"wsfront/pusher"
	"wsfront/pusher/natsbroker"
)

// check finds every mistake in what the file says, by field.
func (f *File) check() proxy.FieldErrors {
	var found proxy.FieldErrors
	cfg, _ := f.proxy(placeholder)
	var inProxy proxy.FieldErrors
	if errors.As(cfg.Validate(), &inProxy) {
		found = append(found, inProxy...)
	}
	found = append(found, inPusher("push", f.Push.Validate())...)
	found = append(found, f.checkHistory()...)
	for i, c := range f.Push.Syslog {
		found = append(found, inPusher(fmt.Sprintf("push.syslog[%d]", i), c.Validate())...)
	}
	for i, c := range f.Push.Schedules {
		found = append(found, inPusher(fmt.Sprintf("push.schedules[%d]", i), c.Validate())...)
	}
	for i, s := range f.Sites {
		for j, r := range s.Routes {
			if r.Push != nil {
				at := fmt.Sprintf("sites[%d].routes[%d]", i, j)
				found = append(found, checkPushRoute(at, r)...)
				if auth := r.Push.Auth; auth != nil && auth.Validate() == nil {
					if _, ok := s.appFor(auth.Path); !ok {
						found = append(found, proxy.FieldError{Field: at + ".push.auth", Message: noApp(auth.Path)})
					}
				}
			}
		}
	}
	found = append(found, f.checkKeys()...)
	found = append(found, f.checkPublish()...)
	found = append(found, f.checkAdmin()...)
	return append(found, f.Log.check()...)
}

// placeholder stands for the handlers that are made when the File is served.
func placeholder(Site, pusher.Endpoint) (http.Handler, error) { return http.NotFoundHandler(), nil }

// inPusher makes mistakes of this file from those in a part of it.
func inPusher(path string, err error) proxy.FieldErrors {
	var found proxy.FieldErrors
	var list pusher.FieldErrors
	if errors.As(err, &list) {
		for _, e := range list {
			found = append(found, proxy.FieldError{Field: join(path, e.Field), Message: e.Message})
		}
	}
	return found
}

// checkPushRoute checks that the channel has its name from the option or from
// the path.
func checkPushRoute(at string, r Route) proxy.FieldErrors {
	found := inPusher(at+".push", r.Push.Validate())
	failf := func(field, format string, args ...any) {
		found = append(found, proxy.FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
	}
	stem, variable, varies := strings.Cut(r.Path, "{")
	switch {
	case varies && variable != "channel}":
		failf(at+".path", "a push route's variable segment is the channel; write %s{channel}", stem)
	case varies && r.Push.Channel != "":
		failf(at+".push.channel", "the channel is named by {channel} in the path already; remove channel, or write path: %s", stem)
	case !varies && r.Push.Channel == "" && r.Path != "" && r.Push.Channels == nil && r.Push.Auth == nil && r.Push.Token == nil:
		failf(at+".push.channel", "missing; write push: {channel: board}, or path: %s/{channel}", strings.TrimSuffix(r.Path, "/"))
	}
	return found
}

// checkHistory checks the store of what was published.
func (f *File) checkHistory() proxy.FieldErrors {
	const at = "push.history"
	h := f.Push.History
	if h.Durable() {
		found := inPusher(at, f.Store().Validate())
		if most := int64(natsbroker.MaxMessage); f.Push.MaxMessage > most {
			found = append(found, proxy.FieldError{Field: "push.max_message", Message: fmt.Sprintf("%d bytes is more than a durable history takes; write at most %d", f.Push.MaxMessage, most)})
		}
		return found
	}
	var found proxy.FieldErrors
	if h.Mode != "" && h.Mode != HistoryMemory {
		found = append(found, proxy.FieldError{Field: at + ".mode", Message: fmt.Sprintf("%q is no kind of history; write memory or durable", h.Mode)})
	}
	kept := natsbroker.Options{Messages: h.Messages, Bytes: h.Bytes, Age: h.Age, Total: h.Total}
	for _, o := range []struct {
		key   string
		given bool
	}{
		{"dir", h.Dir != kept.Dir}, {"url", h.URL != kept.URL}, {"name", h.Name != kept.Name}, {"channels", h.Channels != kept.Channels},
		{"duplicates", h.Duplicates != kept.Duplicates}, {"sync", h.Sync != kept.Sync},
	} {
		if o.given {
			found = append(found, proxy.FieldError{Field: at + "." + o.key, Message: "has no effect on a history in memory; remove it, or write mode: durable"})
		}
	}
	return append(found, inPusher(at, h.Memory().Validate())...)
}

// checkKeys checks the further keys of the publish API, and its limit.
func (f *File) checkKeys() proxy.FieldErrors {
	api := f.PublishAPI()
	found := inPusher("push.publish", api.Keys.Validate())
	if api.MaxConnections < 0 {
		found = append(found, proxy.FieldError{Field: "push.publish.max_connections", Message: fmt.Sprintf(
			"%d is negative; write how many connections the publish API may have, such as %d, or leave it out", api.MaxConnections, DefaultPublishConnections)})
	}
	for i, key := range api.Keys {
		if key.KeyFile != "" && key.KeyFile == api.KeyFile {
			found = append(found, proxy.FieldError{Field: fmt.Sprintf("push.publish.keys[%d].key_file", i), Message: fmt.Sprintf(
				"%q is that of push.publish.key_file, whose keys are for everything; write another file", key.KeyFile)})
		}
	}
	return found
}

// checkPublish checks the address of the publish API.
func (f *File) checkPublish() proxy.FieldErrors {
	const field = "push.publish.listen"
	listen := f.PublishAPI().Listen
	fail := func(format string, args ...any) proxy.FieldErrors {
		return proxy.FieldErrors{{Field: field, Message: fmt.Sprintf(format, args...)}}
	}
	if listen == "off" {
		return nil
	}
	if socket, ok := strings.CutPrefix(listen, "unix:"); ok {
		if !strings.HasPrefix(socket, "/") {
			return fail("%q names no absolute path; write one such as unix:/run/wsfront/publish.sock", listen)
		}
		return nil
	}
	if err := proxy.CheckAddress(listen, "7070"); err != nil {
		return fail("%s", err)
	}
	if !f.HasPush() {
		return nil // nothing listens
	}
	for _, own := range f.siteAddresses() {
		if proxy.AddressesCollide(listen, own) {
			return fail("the publish API cannot have %q beside %q of the sites; write another port, such as 127.0.0.1:7071", listen, own)
		}
	}
	return nil
}

// siteAddresses are all the addresses at which sites are served.
func (f *File) siteAddresses() []string {
	return slices.Concat(f.ListenAddresses())
}

func (l Log) check() proxy.FieldErrors {
	var found proxy.FieldErrors
	word := func(field, value string, words ...string) {
		if value != "" && !slices.Contains(words, value) {
			last := len(words) - 1
			found = append(found, proxy.FieldError{Field: field, Message: fmt.Sprintf("%q is not known; write %s or %s", value, strings.Join(words[:last], ", "), words[last])})
		}
	}
	word("log.level", l.Level, "debug", "info", "warn", "error")
	word("log.format", l.Format, "text", "json")
	if l.Sampling.Burst < 0 {
		found = append(found, proxy.FieldError{Field: "log.sampling.burst", Message: fmt.Sprintf("%d is negative; write how many lines of one event are written, such as 20, or sampling: off for all", l.Sampling.Burst)})
	}
	if per := l.Sampling.Per; per < 0 || per > 0 && per < time.Second {
		found = append(found, proxy.FieldError{Field: "log.sampling.per", Message: fmt.Sprintf("%s is too short; write at least 1s, such as 10s", per)})
	}
	return found
}
