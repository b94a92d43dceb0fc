package screen

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"wsfront/proxy"
)

// Certificates tells when each ends, and what is wrong with it.
func (s Style) Certificates(now time.Time, all []proxy.CertificateState) string {
	if len(all) == 0 {
		return "There is no certificate, and none is needed.\n"
	}
	var b strings.Builder
	b.WriteString(s.certificates(now, all))
	for _, c := range all {
		if w, bad := wrongCertificate(now, c); bad {
			b.WriteString("\n" + s.Paragraph("problem  ", w.Text))
			if w.Fix != "" {
				b.WriteString(s.Paragraph("fix      ", w.Fix))
			}
		}
	}
	return b.String()
}

// someCertificates is the table of those that are the first to look after: those
// with a problem, and then those that end first.
func (s Style) someCertificates(now time.Time, all []proxy.CertificateState) string {
	const most = 10
	if len(all) <= most {
		return s.certificates(now, all)
	}
	sound := func(c proxy.CertificateState) int {
		switch {
		case c.Problem != "":
			return 0
		case !c.NotAfter.IsZero():
			return 1
		}
		return 2 // made at need
	}
	first := slices.Clone(all)
	slices.SortStableFunc(first, func(a, b proxy.CertificateState) int {
		return cmp.Or(sound(a)-sound(b), a.NotAfter.Compare(b.NotAfter))
	})
	return s.certificates(now, first[:most]) + fmt.Sprintf("... and %s more: wsfront certificates\n", Count(len(all)-most))
}

// certificates is the table of them.
func (s Style) certificates(now time.Time, all []proxy.CertificateState) string {
	t := Table{Columns: []Column{
		{Head: "CERTIFICATE", Least: 20}, {Head: "SOURCE"}, {Head: "ISSUER", Least: 8, Drop: 1}, {Head: "ENDS"}, {Head: "LEFT", Right: true}, {Head: "STATE"},
	}}
	for _, c := range all {
		ends, left := "-", "-"
		state := Cell{Text: "ok", Tone: Good}
		if !c.NotAfter.IsZero() {
			ends, left = c.NotAfter.Local().Format("2006-01-02 15:04"), Left(now, c.NotAfter)
		}
		switch {
		case c.NotAfter.IsZero() && c.Problem == "":
			state = Cell{Text: "made at need"}
		case c.NotAfter.IsZero():
			state = Cell{Text: "missing", Tone: Bad}
		case !c.NotAfter.After(now):
			state = Cell{Text: "expired", Tone: Bad}
		case c.Problem != "":
			state = Cell{Text: "problem", Tone: Uneasy}
		}
		issuer := c.Issuer
		if issuer == "" {
			issuer = "-"
		}
		t.Rows = append(t.Rows, []Cell{{Text: strings.Join(c.Names, " ")}, {Text: c.Source}, {Text: issuer}, {Text: ends}, {Text: left}, state})
	}
	return strings.Join(t.Lines(s), "\n") + "\n"
}
