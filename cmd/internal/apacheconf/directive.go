package apacheconf

import (
	"fmt"
	"strings"
)

// Position is the place of a directive. What a macro was expanded to has the
// place of the line in the macro.
type Position struct {
	File string
	Line int // the first line of the directive, from 1
}

// String is file:line.
func (p Position) String() string { return fmt.Sprintf("%s:%d", p.File, p.Line) }

// Directive is one directive, or a section with its children.
type Directive struct {
	Position
	// Name is the directive's name as written, such as ProxyPass or VirtualHost,
	// without the brackets of a section.
	Name string
	// Args are the words behind the name, unquoted, with ${NAME} expanded. Of a
	// section they end at the last ">" of the line.
	Args []string
	// Raw is the whole line as written, continuation lines joined, without the
	// space around it. In a macro the arguments are filled in.
	Raw string
	// Section says that this is a section, whose content is Children. IfModule,
	// IfDefine, IfVersion, IfFile, IfDirective and IfSection are no sections here:
	// their content stands in their place, as that of Include and Use does. Of an
	// Include whose file is missing the directive itself does.
	Section  bool
	Children []*Directive
}

// Is says whether this is the directive or section called name, in any letter
// case.
func (d *Directive) Is(name string) bool { return strings.EqualFold(d.Name, name) }

// Arg is the argument with index i, from 0, and empty when there is none.
func (d *Directive) Arg(i int) string {
	if i < 0 || i >= len(d.Args) {
		return ""
	}
	return d.Args[i]
}

// Note is something that could not be read as Apache would have read it: a
// missing file, an undefined ${NAME}, a section that was left out because of
// what only the running server knows, a mistake of syntax.
type Note struct {
	Position
	Message string
}

// String is the place and the message.
func (n Note) String() string { return n.Position.String() + ": " + n.Message }

// Config is what was read.
type Config struct {
	// Directives are those outside all sections, in the order of the files.
	Directives []*Directive
	// Notes are in the order of reading.
	Notes []Note
	// Files are the files that were read, each once, in the order in which their
	// reading began.
	Files []string
}
