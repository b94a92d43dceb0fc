package doctor

import (
	"fmt"
	"slices"
	"strings"

	"wsfront/proxy/diagnosis"
)

// Report is what an examination found. Its JSON form is read by programs: the
// names stay.
type Report struct {
	// Target is the URL, or the configuration file when no URL was given.
	Target string `json:"target"`
	// Steps are in the order in which they were taken.
	Steps []Step `json:"steps"`
	// Cause is the finding, nil where there is none.
	Cause *Finding `json:"cause"`
	// Exit is the exit status of the command.
	Exit int `json:"exit"`
}

// Status is how a step ended.
type Status string

// The ends of a step. A warning is something to know, and no finding.
const (
	OK      Status = "ok"
	Warning Status = "warning"
	Failed  Status = "failed"
	Skipped Status = "skipped"
)

// Step is one thing that was tried.
type Step struct {
	Name   string `json:"name"`
	Status Status `json:"status"`
	Detail string `json:"detail"`
}

// Finding is the most likely cause of what failed.
type Finding struct {
	ID       diagnosis.Cause `json:"id"`
	Symptom  string          `json:"symptom"` // D1 to D35 of deploy/docs/doctor.md, or ""
	Sentence string          `json:"sentence"`
	Evidence []string        `json:"evidence"` // raw facts, a line each
	Fixes    []Fix           `json:"fixes"`
}

// Fix is what to do, for the servers that are involved.
type Fix struct {
	For  string `json:"for"`
	Text string `json:"text"`
}

// The exit statuses.
const (
	exitError     = 1
	exitNetwork   = 2
	exitTLS       = 3
	exitHandshake = 4
	exitTunnel    = 5
	exitPage      = 6
)

// exitOf is the class of a cause.
func exitOf(c diagnosis.Cause) int {
	switch c {
	case diagnosis.NameUnknown, diagnosis.PortRefused, diagnosis.PortSilent, diagnosis.FamilyDead:
		return exitNetwork
	case diagnosis.TLSMissing, diagnosis.TLSRequired, diagnosis.TLSUntrusted, diagnosis.TLSChain, diagnosis.TLSName,
		diagnosis.TLSExpired, diagnosis.TLSOld, diagnosis.TLSFailed:
		return exitTLS
	case diagnosis.FramesBroken, diagnosis.ClosedAtOnce, diagnosis.NoPong, diagnosis.IdleCut, diagnosis.StreamBuffered:
		return exitTunnel
	case diagnosis.MixedContent:
		return exitPage
	}
	return exitHandshake
}

// step adds a line to the report.
func (e *exam) step(name string, status Status, format string, args ...any) {
	e.report.Steps = append(e.report.Steps, Step{e.prefix + name, status, fmt.Sprintf(format, args...)})
}

// find notes a cause. The first one that keeps a browser from its socket is the
// one that is reported, and only without any such the first that concerns some
// clients or some times; evidence for one that is not reported is dropped.
func (e *exam) find(severity severity, c diagnosis.Cause, evidence ...string) {
	if e.interrupted() || e.found != nil && e.severity >= severity {
		return
	}
	e.severity, e.about = severity, e.target
	e.found = &Finding{ID: c, Evidence: slices.DeleteFunc(evidence, func(s string) bool { return s == "" })}
}

// severity says whom a finding keeps from its socket.
type severity int

const (
	some    severity = iota + 1 // some clients, or after some time
	nobody                      // everybody
	certain                     // everybody, and what was suspected is known by now
)

// conclude makes the finding of what was noted.
func (e *exam) conclude() {
	f := e.found
	if f == nil {
		return
	}
	f.Symptom, f.Sentence = f.ID.Symptom(), f.ID.Sentence()
	own := e.ownWords()
	for _, fix := range f.ID.Fixes() {
		if e.concerned(f.ID, fix.For) {
			f.Fixes = append(f.Fixes, Fix{fix.For, own.Replace(fix.Text)})
		}
	}
	e.report.Cause, e.report.Exit = f, exitOf(f.ID)
}

// concerned reports whether a fix is for something that is involved: wsfront,
// the application, the page, and the server that answered. Where that did not
// give itself away, it is most likely Apache or nginx.
func (e *exam) concerned(c diagnosis.Cause, place string) bool {
	switch place {
	case diagnosis.ForWsfront, diagnosis.ForApp, diagnosis.ForPage, e.server:
		return true
	case diagnosis.ForApache:
		return e.server == "" || c == diagnosis.ModuleMissing || c == diagnosis.RewriteWithoutProxy
	case diagnosis.ForNginx:
		return e.server == ""
	}
	return false
}

// ownWords puts the origin, host and path in question in place of those of the
// examples.
func (e *exam) ownWords() *strings.Replacer {
	origin := e.o.Origin
	if origin == "" {
		origin = e.about.origin()
	}
	words := []string{"https://page.example.com", origin, "app.example.com", e.about.hostname}
	if path, _, _ := strings.Cut(e.about.path, "?"); strings.Trim(path, "/") != "" {
		words = append(words, "/websocket", strings.TrimSuffix(path, "/"))
	}
	if e.about.hostname == "" {
		words = nil
	}
	return strings.NewReplacer(words...)
}
