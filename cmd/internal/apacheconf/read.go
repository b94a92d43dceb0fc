package apacheconf

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// What a configuration may take at most. Apache's own are far beyond what
// anyone writes; these are only far enough, so that a mistake such as
// Include / ends in a note.
const (
	maxFile    = 2 << 20  // bytes of one file
	maxTotal   = 16 << 20 // bytes of all lines carried out, of macros each time
	lineCost   = 64       // bytes that each line counts beside its own
	maxLine    = 64 << 10 // bytes of a logical line, with its variables expanded
	maxEntries = 4000     // files and folders that Include looks at, in all
	maxDepth   = 32       // Includes within Includes, Uses within Uses
	maxNesting = 64       // sections within sections
)

// Options say what the files do not.
type Options struct {
	// Root is the ServerRoot, by which relative names go when the files give
	// none. Default: the folder of the file that was named, then /etc/apache2,
	// then /etc/httpd, whichever has what is looked for.
	Root string
	// Define has the names that Apache is started with (-D), and the variables of
	// its environment, such as APACHE_LOG_DIR. They win over the file envvars of
	// the root and over Debian's own values; a Define in the files wins over them.
	Define map[string]string
}

// Read reads the files in order as one configuration. A named file that an
// earlier one includes is not read again. The error is that a named file cannot
// be read; mistakes inside are Notes.
func Read(files []string, o Options) (*Config, error) {
	r := &reader{
		options: o,
		config:  &Config{},
		defined: map[string]bool{},
		values:  map[string]string{},
		macros:  map[string]*macro{},
		loaded:  map[string]bool{},
		noted:   map[Note]bool{},
		read:    map[string]bool{},
		left:    maxTotal,
		entries: maxEntries,
	}
	for name, value := range o.Define {
		r.define(name, value)
	}
	for _, file := range files {
		if r.read[absolute(file)] {
			continue
		}
		r.named = file
		data, err := readFile(file)
		if err != nil {
			return nil, err
		}
		r.file(file, data, frame{into: &r.config.Directives})
	}
	return r.config, nil
}

// readFile reads a file. Of those that were named it need not be a regular
// one: a pipe of the shell will do.
func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("%s: more than %d bytes: is this an Apache configuration?", name, maxFile)
	}
	return data, nil
}

// reader is the state of one Read.
type reader struct {
	options Options
	config  *Config
	named   string // the file, of those named, that is being read

	serverRoot  string
	defined     map[string]bool   // names that <IfDefine> sees
	values      map[string]string // of ${NAME}, by the lower-case name
	environment map[string]string // the file envvars; nil until it is asked for
	macros      map[string]*macro // by the lower-case name
	loaded      map[string]bool   // names of modules, in each form that <IfModule> takes
	allModules  bool              // loaded has all that the server has

	noted   map[Note]bool
	read    map[string]bool // absolute names of all files read
	open    []string        // absolute names of the files being read, outermost first
	left    int             // of maxTotal
	entries int             // left of maxEntries
}

func (r *reader) note(at Position, format string, args ...any) {
	n := Note{at, fmt.Sprintf(format, args...)}
	if r.noted[n] {
		return // a macro or a file that is read several times
	}
	r.noted[n] = true
	r.config.Notes = append(r.config.Notes, n)
}

// spend takes a line or file of n bytes off what may be read in all, and says
// whether there was as much.
func (r *reader) spend(at Position, n int) bool {
	if r.left < 0 {
		return false
	}
	if r.left -= n + lineCost; r.left < 0 {
		r.note(at, "the configuration is longer than %d bytes with all that it includes and all macros expanded; the rest is not read", maxTotal)
		return false
	}
	return true
}

// file carries out the lines of a file within the section around.
func (r *reader) file(name string, data []byte, around frame) {
	key := absolute(name)
	if !r.read[key] {
		r.read[key] = true
		r.config.Files = append(r.config.Files, name)
	}
	r.open = append(r.open, key)
	r.run(&stream{spans: []span{{lines: r.lines(name, data)}}}, around)
	r.open = r.open[:len(r.open)-1]
}

// roots are the folders by which relative names go; the first that has what is
// looked for counts.
func (r *reader) roots() []string {
	if info, err := os.Stat(r.serverRoot); err == nil && info.IsDir() {
		return []string{r.serverRoot}
	}
	if r.options.Root != "" {
		return []string{r.options.Root}
	}
	folder := filepath.Dir(r.named)
	if r.serverRoot != "" {
		// The files were copied from the server: conf/httpd.conf has its folders
		// beside conf.
		return []string{folder, filepath.Dir(folder)}
	}
	return []string{folder, "/etc/apache2", "/etc/httpd"}
}

// absolute is the name by which a file is known again: Debian's sites-enabled
// has links to sites-available.
func absolute(name string) string {
	if real, err := filepath.EvalSymlinks(name); err == nil {
		name = real
	}
	path, err := filepath.Abs(name)
	if err != nil {
		return name // the working directory is gone; the name will do
	}
	return path
}
