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
		w.Text += "; " + b.Backend + " cannot be reached"
		if b.Reason != "" {
			w.Text += ": " + b.Reason
		}
		if !b.Failed.IsZero() {
			w.Text += " (" + ago(now, b.Failed) + ")"
		}
	}
	return w, true
}

func wrongCertificate(now time.Time, c proxy.CertificateState) (Wrong, bool) {
	w := Wrong{What: "certificate", Text: strings.Join(c.Names, " "), Fix: c.Hint}
	switch {
	case c.NotAfter.IsZero():
		w.Text += ": there is none yet"
	case !c.NotAfter.After(now):
		w.Text += ": expired " + ago(now, c.NotAfter)
	case c.Problem != "":
		w.Text += ": ends " + c.NotAfter.Local().Format(time.DateOnly)
	default:
		return Wrong{}, false
	}
	if c.Problem != "" {
		w.Text += ": " + c.Problem
	}
	return w, true
}
