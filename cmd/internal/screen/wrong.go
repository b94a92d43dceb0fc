package screen

import (
	"slices"
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

	subjects []string // by which GET /readyz tells of it
	routes   []string
}

const notReady = "not ready"

// WrongIn says what is wrong with a server, the worst first.
func WrongIn(s admin.Status) []Wrong {
	all := wrongRoutes(s)
	for _, c := range s.Certificates {
		if w, bad := wrongCertificate(s.Time, c); bad {
			all = append(all, w)
		}
	}
	// What stands in the way of being ready is mostly one of these.
	var unready []Wrong
	for _, reason := range s.NotReady {
		if i := slices.IndexFunc(all, func(w Wrong) bool { return w.is(reason) }); i < 0 {
			unready = append(unready, Wrong{What: notReady, Text: reason})
		} else if !strings.HasPrefix(all[i].What, notReady) {
			all[i].What = notReady + ", " + all[i].What
		}
	}
	all = append(unready, all...)
	if s.Config.Refused != "" {
		all = append(all, Wrong{
			What: "reload refused",
			Text: ago(s.Time, s.Config.RefusedAt) + ": " + s.Config.Refused,
			Fix:  "mend the file, then: wsfront check, wsfront reload; the old configuration serves meanwhile",
		})
	}
	return all
}

// is says that a reason for not being ready is this, told otherwise: it names the
// route or the certificate in front of a colon.
func (w *Wrong) is(reason string) bool {
	return slices.ContainsFunc(w.subjects, func(subject string) bool { return strings.HasPrefix(reason, subject+": ") })
}

// wrongRoutes are the routes whose backends cannot be reached. Those of which the
// same is to be said are one.
func wrongRoutes(s admin.Status) []Wrong {
	var all []Wrong
	at := map[string]int{} // by what is to be said
	for _, site := range s.Sites {
		for _, r := range site.Routes {
			if r.Health != "down" && r.Health != "degraded" {
				continue
			}
			why := outOf(s.Time, r)
			i, told := at[r.Health+why]
			if !told {
				i = len(all)
				at[r.Health+why] = i
				all = append(all, Wrong{What: "route " + r.Health, Fix: "start what should answer there, or correct its address; wsfront check tries each"})
			}
			all[i].subjects = append(all[i].subjects, "route "+site.Name+r.Route)
			all[i].routes = append(all[i].routes, site.Name+" "+r.Route)
			all[i].Text = strings.Join(all[i].routes, ", ") + why
		}
	}
	return all
}

// outOf says which backends of a route cannot be reached, and why.
func outOf(now time.Time, r proxy.RouteState) (why string) {
	for _, b := range r.Backends {
		if b.Up {
			continue
		}
		switch {
		case b.Reason == "":
			why += ": " + b.Backend + " cannot be reached"
		case strings.Contains(b.Reason, b.Backend):
			why += ": " + b.Reason
		default:
			why += ": " + b.Backend + ": " + b.Reason
		}
		if !b.Failed.IsZero() {
			why += " (" + ago(now, b.Failed) + ")"
		}
	}
	return why
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
	return Wrong{What: "certificate", Text: names + ": " + c.Problem, Fix: c.Hint, subjects: []string{"the certificate of " + c.Names[0]}}, true
}
