package apacheconf

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// conditional says whether the section called name only stands for its
// content.
func conditional(name string) bool {
	switch strings.ToLower(name) {
	case "ifmodule", "ifdefine", "ifversion", "iffile", "ifdirective", "ifsection":
		return true
	}
	return false
}

// met says whether the content of a conditional section is read: condition is
// what stands behind its name. Directives and sections that are asked for count
// as there.
func (r *reader) met(at Position, name, condition string) bool {
	if strings.EqualFold(name, "IfVersion") {
		return r.versionMet(at, condition)
	}
	what, negated := strings.CutPrefix(condition, "!")
	what, _, _ = word(strings.TrimLeft(what, space))
	if what == "" {
		r.note(at, "<%s> names nothing; its content is left out", name)
		return false
	}
	there, sure := true, false
	switch strings.ToLower(name) {
	case "ifdefine":
		if there, sure = r.defined[what], true; !there && !negated {
			r.note(at, "<IfDefine %s> is left out: %s is not defined in the files; define it if Apache is started with -D %s", what, what, what)
		}
	case "iffile":
		if there, sure = r.isThere(what), true; !there && !negated {
			r.note(at, "<IfFile %s> is left out: the file is not on this machine", what)
		}
	case "ifmodule":
		there, sure = r.hasModule(what)
	}
	if negated && !sure {
		r.note(at, "<%s !%s> is left out: the files do not say what the server has, and %s counts as there", name, what, what)
	}
	return there != negated
}

// isThere says whether a file or folder is on this machine.
func (r *reader) isThere(name string) bool {
	for _, root := range r.roots() {
		path := name
		if !filepath.IsAbs(path) {
			path = filepath.Join(root, name)
		}
		if _, err := os.Stat(path); err == nil {
			return true
		}
	}
	return false
}

// version is the Apache that <IfVersion> compares with.
var version = [3]int{2, 4, 62}

// versionMet compares as mod_version does: a missing minor or patch number is
// 0, the operator is = when there is none, and ~ or /slashes/ take a regular
// expression.
func (r *reader) versionMet(at Position, condition string) bool {
	text, negated := strings.CutPrefix(condition, "!")
	operator, operand, _ := word(strings.TrimLeft(text, space))
	if operand == "" {
		operator, operand = "=", operator
	}
	pattern, isPattern := strings.CutPrefix(operand, "/")
	if isPattern {
		pattern = strings.TrimSuffix(pattern, "/")
	}
	var met bool
	var err error
	switch operator {
	case "=", "==":
		if isPattern {
			met, err = matchesVersion(pattern)
			break
		}
		var order int
		order, err = compareVersion(operand)
		met = order == 0
	case "~":
		if !isPattern {
			pattern = operand
		}
		met, err = matchesVersion(pattern)
	case ">", ">=", "<", "<=":
		var order int
		order, err = compareVersion(operand)
		met = order == 0 && len(operator) == 2 || order > 0 && operator[0] == '>' || order < 0 && operator[0] == '<'
	default:
		r.note(at, "<IfVersion %s> is left out: write one of =, >, >=, <, <= and ~ before the version", condition)
		return false
	}
	if err != nil {
		r.note(at, "<IfVersion %s> is left out: %v", condition, err)
		return false
	}
	return met != negated
}

func matchesVersion(pattern string) (bool, error) {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return false, err
	}
	return re.MatchString(strconv.Itoa(version[0]) + "." + strconv.Itoa(version[1]) + "." + strconv.Itoa(version[2])), nil
}

// compareVersion is how our version stands to the one that s names: above 0
// when ours is later.
func compareVersion(s string) (int, error) {
	var other [len(version)]int
	parts := strings.SplitN(s, ".", len(other))
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 10, 31)
		if err != nil {
			return 0, fmt.Errorf("%q is no version; write one such as 2.4.10", s)
		}
		other[i] = int(n)
	}
	return cmp.Or(cmp.Compare(version[0], other[0]), cmp.Compare(version[1], other[1]), cmp.Compare(version[2], other[2])), nil
}
