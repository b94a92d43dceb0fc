package screen

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"wsfront/proxy"
	"wsfront/proxy/diagnosis"
)

// Failures tells why what failed did, and what to do about it. The fixes for a
// cause are told where it comes first.
func (s Style) Failures(now time.Time, all []proxy.FailureState) string {
	if len(all) == 0 {
		return "No failure is remembered.\n"
	}
	var b strings.Builder
	told := map[string]bool{}
	for i, f := range all {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(s.Paint(Strong, s.Cut(Clean(f.Time.Local().Format(time.DateTime)+" ("+ago(now, f.Time)+"), "+headOf(f)))) + "\n")
		b.WriteString(s.Paragraph("  client  ", f.Client))
		if f.Site != "" || f.Route != "" {
			route := strings.TrimSpace(f.Site + " " + f.Route)
			if f.Backend != "" {
				route += " to " + f.Backend
			}
			b.WriteString(s.Paragraph("  route   ", route))
		}
		if f.Host != "" || f.Path != "" {
			b.WriteString(s.Paragraph("  asked   ", f.Host+f.Path))
		}
		if f.ID != "" {
			b.WriteString(s.Paragraph("  id      ", f.ID))
		}
		b.WriteString(s.Paragraph("  reason  ", f.Reason))
		if f.Sentence != "" {
			b.WriteString(s.Paragraph("  cause   ", f.Cause+": "+f.Sentence))
		}
		switch fixes := fixesOf(f); {
		case len(fixes) == 0:
		case told[f.Cause]:
			b.WriteString("  fix     as above, for " + Clean(f.Cause) + "\n")
		default:
			told[f.Cause] = true
			for _, fix := range fixes {
				b.WriteString(s.Paragraph("  fix     ", fix.For+": "+fix.Text))
			}
		}
	}
	return b.String()
}

// headOf says in a few words what failed.
func headOf(f proxy.FailureState) string {
	text := f.Kind
	if f.Status != 0 {
		text += fmt.Sprintf(", status %d", f.Status)
	}
	if f.Count > 1 {
		text += fmt.Sprintf(", %s times", Count(f.Count))
	}
	return text
}

// fixesOf are those that are not for other fronts: this is ours.
func fixesOf(f proxy.FailureState) []proxy.FixState {
	others := []string{diagnosis.ForApache, diagnosis.ForNginx, diagnosis.ForHAProxy, diagnosis.ForCaddy, diagnosis.ForTraefik}
	return slices.DeleteFunc(slices.Clone(f.Fixes), func(fix proxy.FixState) bool { return slices.Contains(others, fix.For) })
}

// WhyOf is why something failed, in a line, and the beginning of what to do, or
// "".
func WhyOf(f proxy.FailureState) (why, fix string) {
	if fixes := fixesOf(f); len(fixes) > 0 {
		fix, _, _ = strings.Cut(fixes[0].Text, "\n")
		fix = fixes[0].For + ": " + strings.TrimSuffix(fix, ":") // which is before lines to copy
	}
	return cmp.Or(f.Sentence, f.Reason), fix
}
