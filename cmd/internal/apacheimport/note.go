package apacheimport

import (
	"cmp"
	"slices"
	"strings"

	"wsfront/cmd/internal/apacheconf"
)

// Kind says what became of a directive.
type Kind int

// The kinds of notes, the most urgent first.
const (
	// Refused is why nothing was imported at all.
	Refused Kind = iota
	// NeedsYou is what could not be imported: somebody has to decide.
	NeedsYou
	// Remark is a trap in the original, or a difference to it, beside what
	// became of the directive.
	Remark
	// Imported is what the configuration says now.
	Imported
	// NotNeeded is what has no counterpart because none is needed.
	NotNeeded
)

// String is the kind's name, as in the report's JSON.
func (k Kind) String() string {
	return [...]string{"refused", "needs you", "remark", "imported", "not needed"}[k]
}

// MarshalText writes the name.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Note is one statement of the report.
type Note struct {
	Kind Kind `json:"kind"`
	// Positions are the places that it is about, in the order of reading. None
	// when it is about the whole.
	Positions []apacheconf.Position `json:"positions,omitempty"`
	// Directive is what stands at the first place; of notes that several
	// directives share, its name alone.
	Directive string `json:"directive,omitempty"`
	// Message says because of what, and what to do.
	Message string `json:"message,omitempty"`
}

// Verdict is the outcome as a whole. It is the exit status, too.
type Verdict int

// The verdicts.
const (
	// Complete says that every directive was imported or is not needed.
	Complete Verdict = iota
	// Gaps says that there are notes of the kind NeedsYou.
	Gaps
	// Rejected says that there is no configuration.
	Rejected
)

// String is the verdict's name.
func (v Verdict) String() string {
	return [...]string{"complete", "imported with gaps", "refused"}[v]
}

// MarshalText writes the name.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// fate is where a directive has ended. One that is read several times, for
// each vhost and name, has the most urgent fate that it met.
type fate struct {
	kind    Kind
	message string
	// owner is the directive whose note stands for this one, too.
	owner *apacheconf.Directive
}

// ledger notes what becomes of each directive, so that none is lost.
type ledger struct {
	fates   map[*apacheconf.Directive]fate
	remarks []Note
	refused []Note
	gaps    []Note // what needs somebody and belongs to no directive
	words   []Note // words of directives that need no counterpart
}

func (l *ledger) note(d *apacheconf.Directive, kind Kind, message string) {
	if l.fates == nil {
		l.fates = map[*apacheconf.Directive]fate{}
	}
	old, ok := l.fates[d]
	if ok && old.kind == NeedsYou && kind == NeedsYou && old.owner == nil && !strings.Contains(old.message, message) {
		l.fates[d] = fate{kind: NeedsYou, message: old.message + ". And: " + message}
		return
	}
	if ok && old.kind <= kind {
		return // what needs somebody stays so, and what one vhost took was taken
	}
	l.fates[d] = fate{kind: kind, message: message}
}

// goesWith says that d needs somebody together with its owner, in one note.
func (l *ledger) goesWith(d, owner *apacheconf.Directive) {
	l.note(d, NeedsYou, "")
	l.fates[d] = fate{kind: NeedsYou, owner: owner}
}

// imported says that the configuration has what d says.
func (l *ledger) imported(d *apacheconf.Directive) { l.note(d, Imported, "") }

// notNeeded says why d has no counterpart.
func (l *ledger) notNeeded(d *apacheconf.Directive, because string) { l.note(d, NotNeeded, because) }

// needsYou says why d was not imported, and what to do.
func (l *ledger) needsYou(d *apacheconf.Directive, message string) { l.note(d, NeedsYou, message) }

// remark tells a trap or a difference, once: of the same line in several
// vhosts together. There is no d when it is about the whole.
func (l *ledger) remark(message string, ds ...*apacheconf.Directive) {
	n := Note{Kind: Remark, Message: message}
	for _, d := range ds {
		n.Positions = append(n.Positions, d.Position)
	}
	if len(ds) > 0 {
		n.Directive = written(ds[0])
	}
	for i := range l.remarks {
		old := &l.remarks[i]
		if old.Message != n.Message || old.Directive != n.Directive {
			continue
		}
		for _, p := range n.Positions {
			if !slices.Contains(old.Positions, p) {
				old.Positions = append(old.Positions, p)
			}
		}
		return
	}
	l.remarks = append(l.remarks, n)
}

// gap says what needs somebody and belongs to no directive.
func (l *ledger) gap(message string) {
	l.gaps = append(l.gaps, Note{Kind: NeedsYou, Message: message})
}

// wordNotNeeded says why a word of a directive that is imported has no
// counterpart.
func (l *ledger) wordNotNeeded(d *apacheconf.Directive, word, because string) {
	for i := range l.words {
		if n := &l.words[i]; n.Directive == word {
			if !slices.Contains(n.Positions, d.Position) {
				n.Positions = append(n.Positions, d.Position)
			}
			return
		}
	}
	l.words = append(l.words, Note{NotNeeded, []apacheconf.Position{d.Position}, word, because})
}

// refuse says why nothing is imported.
func (l *ledger) refuse(d *apacheconf.Directive, message string) {
	n := Note{Kind: Refused, Message: message}
	if d != nil {
		n.Positions, n.Directive = []apacheconf.Position{d.Position}, written(d)
	}
	l.refused = append(l.refused, n)
}

// maxWritten is how much of a directive is shown, in characters.
const maxWritten = 200

// written is a directive on one line, as text that is safe to print.
func written(d *apacheconf.Directive) string {
	return printable(d.Raw, maxWritten)
}

// notes are those of the directives read, in the order of all: what concerns
// several directives of one name alike is one note.
func (l *ledger) notes(all []*apacheconf.Directive) []Note {
	list := slices.Clone(l.refused)
	list = append(list, l.gaps...)
	list = append(list, l.remarks...)
	list = append(list, l.words...)
	grouped := map[string]int{}
	for _, d := range all {
		f, ok := l.fates[d]
		if !ok {
			f = fate{kind: NeedsYou, message: unknownDirective}
		}
		if f.owner != nil {
			continue
		}
		key := d.Name + "\x00" + f.message
		if f.kind == NeedsYou && f.message != unknownDirective {
			key = f.message // what is to be done is the same
		}
		if at, ok := grouped[key]; ok {
			if n := &list[at]; n.Positions[len(n.Positions)-1] != d.Position {
				n.Positions = append(n.Positions, d.Position)
			}
			continue
		}
		n := Note{Kind: f.kind, Positions: []apacheconf.Position{d.Position}, Directive: printable(d.Name, 80), Message: f.message}
		if f.kind == NeedsYou {
			n.Directive = written(d)
			for _, other := range all {
				if l.fates[other].owner == d {
					n.Positions = append(n.Positions, other.Position)
				}
			}
		}
		if f.kind != NeedsYou || len(n.Positions) == 1 {
			grouped[key] = len(list)
		}
		list = append(list, n)
	}
	return list
}

// sortNotes puts the most urgent first.
func sortNotes(list []Note) {
	slices.SortStableFunc(list, func(a, b Note) int { return cmp.Compare(a.Kind, b.Kind) })
}

const unknownDirective = "this importer does not know it; look up what it does, and whether the app or wsfront needs it"

// flatten lists directives and those in their sections, in the order of
// reading.
func flatten(list []*apacheconf.Directive) []*apacheconf.Directive {
	var all []*apacheconf.Directive
	for _, d := range list {
		all = append(all, d)
		all = append(all, flatten(d.Children)...)
	}
	return all
}
