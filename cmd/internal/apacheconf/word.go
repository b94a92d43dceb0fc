package apacheconf

import "strings"

// space is what separates words.
const space = " \t\n\v\f\r"

// word cuts the first word and the space behind it off s, which begins with
// no space. A quote ends at the next one of its kind; what follows it, without
// space too, is the next word. A backslash stands for itself, but before
// another and, in a quoted word, before the quote. open says that the closing
// quote is missing.
func word(s string) (first, rest string, open bool) {
	if s == "" {
		return "", "", false
	}
	if quote := s[0]; quote == '"' || quote == '\'' {
		var b strings.Builder
		i := 1
		for ; i < len(s) && s[i] != quote; i++ {
			if s[i] == '\\' && i+1 < len(s) && (s[i+1] == quote || s[i+1] == '\\') {
				i++
			}
			b.WriteByte(s[i])
		}
		if i >= len(s) {
			return b.String(), "", true
		}
		return b.String(), strings.TrimLeft(s[i+1:], space), false
	}
	end := strings.IndexAny(s, space)
	if end < 0 {
		end = len(s)
	}
	return strings.ReplaceAll(s[:end], `\\`, `\`), strings.TrimLeft(s[end:], space), false
}

// words cuts s into words. open is as with word.
func words(s string) (all []string, open bool) {
	s = strings.Trim(s, space)
	for s != "" && !open {
		var w string
		w, s, open = word(s)
		all = append(all, w)
	}
	return all, open
}
