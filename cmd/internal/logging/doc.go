// Package logging keeps a flood of failures from filling the disk by its log
// lines: of warnings, errors and refusals that are alike it lets some through, and
// counts the others.
package logging
