// Package apacheconf reads Apache's configuration files as Apache itself does:
// words, sections, variables, macros and included files. What a directive
// means is not known here.
//
// A file takes this way:
//
//	read.go       Read, its limits, and the files that were named
//	line.go       makes logical lines of a file: continuations joined, comments
//	              left out
//	section.go    makes the tree of sections of the lines, and sends what Apache
//	              carries out while it reads to the files below
//	condition.go  <IfModule>, <IfDefine>, <IfVersion> and their like: their
//	              content stands in their place, or is left out
//	module.go     LoadModule, for <IfModule>
//	include.go    Include and IncludeOptional: files, folders and patterns
//	macro.go      <Macro> and Use
//	variable.go   Define, ${NAME} and the file envvars
//	word.go       cuts a line into unquoted words
//
// Mistakes do not end the reading, as they end Apache's: each is a Note with
// its place, and the rest is read as well as can be.
package apacheconf
