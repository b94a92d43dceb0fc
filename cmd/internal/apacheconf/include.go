package apacheconf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// include carries out Include and IncludeOptional, which take a file, a folder
// of which everything is read, or a pattern, whose folders are also read whole.
// One of a file that is missing stays where it stands: what it would say there
// is not known.
func (r *reader) include(l line, args []string, optional bool, around frame) {
	at := l.Position
	if len(args) != 1 {
		r.note(at, "Include with %d arguments; write one file, folder or pattern", len(args))
		return
	}
	if len(r.open) > maxDepth {
		r.note(at, "Include %s is not followed: it is the %dth within another", args[0], maxDepth)
		return
	}
	found := r.find(at, args[0])
	if len(found) == 0 && !optional && r.entries > 0 {
		r.note(at, "Include %s: no such file on this machine; copy it here if it came from another, its lines are missing", args[0])
		*around.into = append(*around.into, &Directive{Position: at, Name: "Include", Args: args, Raw: l.text})
	}
	for _, name := range found {
		r.includeAll(at, name, around)
	}
}

// find lists what a name or pattern stands for, in Apache's order.
func (r *reader) find(at Position, pattern string) []string {
	if filepath.IsAbs(pattern) {
		return r.match(at, "/", pattern)
	}
	for _, root := range r.roots() {
		if found := r.match(at, root, pattern); len(found) > 0 {
			return found
		}
	}
	return nil
}

// match finds the files and folders within folder that the pattern names; each
// part between slashes may have *, ? and [a-z]. Names with a dot in front are
// only found by a pattern that has it.
func (r *reader) match(at Position, folder, pattern string) []string {
	part, rest, more := strings.Cut(strings.TrimLeft(pattern, "/"), "/")
	if part == "" {
		return []string{folder}
	}
	if !strings.ContainsAny(part, `*?[\`) {
		path := filepath.Join(folder, part)
		if more {
			return r.match(at, path, rest)
		}
		if _, err := os.Stat(path); err != nil {
			return nil
		}
		return []string{path}
	}
	// Apache's patterns negate a set by ! as well, Go's do not.
	part = strings.ReplaceAll(part, "[!", "[^")
	var found []string
	for _, name := range r.list(at, folder) {
		if ok, err := filepath.Match(part, name); err != nil || !ok || name[0] == '.' && part[0] != '.' {
			continue
		}
		path := filepath.Join(folder, name)
		if !more {
			found = append(found, path)
		} else if info, err := os.Stat(path); err == nil && info.IsDir() {
			found = append(found, r.match(at, path, rest)...)
		}
	}
	return found
}

// list has the names in a folder, sorted by their bytes.
func (r *reader) list(at Position, folder string) []string {
	entries, err := os.ReadDir(folder)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			r.note(at, "%v", err)
		}
		return nil
	}
	if !r.look(at, len(entries)) {
		return nil
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	slices.Sort(names)
	return names
}

// look takes n files off those that Includes may look at.
func (r *reader) look(at Position, n int) bool {
	if r.entries <= 0 {
		return false
	}
	if r.entries -= n; r.entries <= 0 {
		r.note(at, "Include looks at more than %d files; the rest is not read", maxEntries)
		return false
	}
	return true
}

// includeAll reads a file, or all files of a folder and of those within.
func (r *reader) includeAll(at Position, name string, around frame) {
	info, err := os.Stat(name)
	if err != nil {
		r.note(at, "%v", err)
		return
	}
	if slices.Contains(r.open, absolute(name)) {
		r.note(at, "%s includes itself; it is not read again", name)
		return
	}
	if info.IsDir() {
		r.open = append(r.open, absolute(name))
		if len(r.open) > maxDepth {
			r.note(at, "%s is not read: it is the %dth folder or file within another", name, maxDepth)
		} else {
			for _, entry := range r.list(at, name) {
				r.includeAll(at, filepath.Join(name, entry), around)
			}
		}
		r.open = r.open[:len(r.open)-1]
		return
	}
	if !r.look(at, 1) {
		return
	}
	data, err := readRegular(name)
	if err != nil {
		r.note(at, "%v", err)
		return
	}
	// What is read counts, so that many comments are as much as many lines.
	if !r.spend(at, len(data)) {
		return
	}
	r.file(name, data, frame{into: around.into})
}

// readRegular reads a file that must not be a pipe or a device, which might
// never end.
func readRegular(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", name)
	}
	return readFile(name)
}
