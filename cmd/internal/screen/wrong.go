package screen

import (
	"strings"
	"time"

	"wsfront/cmd/internal/admin"
	"wsfront/proxy"
)

// Wrong is something that is not as it should be.
type Wrong struct {
	What string // in a word or two
	Text string // what it is
	Fix  string // what to do, or ""
}

// WrongIn says what is wrong with a server, the worst first.
func WrongIn(s admin.Status) []Wrong {
	var all []Wrong
	for _, reason := range s.NotReady {
		all = append(all, Wrong{What: "not ready", Text: reason})
	}
	for _, site := range s.Sites {
		for _, r := range site.Routes {
			if w, bad := wrongRoute(s.Time, site, r); bad {
				all = append(all, w)
			}
		}
	}
	for _, c := range s.Certificates {
		if w, bad := wrongCertificate(s.Time, c); bad {
			all = append(all, w)
		}
	}
	if s.Config.Refused != "" {
		all = append(all, Wrong{
			What: "reload refused",
			Text: ago(s.Time, s.Config.RefusedAt) + ": " + s.Config.Refused,
			Fix:  "mend the file, then: wsfront check, wsfront reload; the old configuration serves meanwhile",
		})
	}
	return all
}

func wrongRoute(now time.Time, site proxy.SiteState, r proxy.RouteState) (Wrong, bool) {
	if r.Health != "down" && r.Health != "degraded" {
		return Wrong{}, false
	}
	w := Wrong{What: "route " + r.Health, Text: site.Name + " " + r.Route, Fix: "start what should answer there, or correct its address; wsfront check tries each"}
	for _, b := range r.Backends {
		if b.Up {
			continue
		}
		switch {
		case b.Reason == "":
			w.Text += ": " + b.Backend + " cannot be reached"
		case strings.Contains(b.Reason, b.Backend):
			w.Text += ": " + b.Reason
		default:
			w.Text += ": " + b.Backend + ": " + b.Reason
		}
		if !b.Failed.IsZero() {
			w.Text += " (" + ago(now, b.Failed) + ")"
		}
	}
	return w, true
}

// wrongCertificate goes by the problem that the server tells. One that is not
// there is none where it is made for the first client that asks.
func wrongCertificate(now time.Time, c proxy.CertificateState) (Wrong, bool) {
	if c.Problem == "" {
		return Wrong{}, false
	}
	names := strings.Join(c.Names, " ")
	if c.NotAfter.After(now) {
		names += " (ends " + c.NotAfter.Local().Format(time.DateOnly) + ")"
	}
	return Wrong{What: "certificate", Text: names + ": " + c.Problem, Fix: c.Hint}, true
}
