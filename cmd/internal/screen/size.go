package screen

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// usualWidth is that of a terminal that does not tell.
const usualWidth = 80

// For is the style for a writer. In a file or pipe lines have no end, and there
// is no colour; nor is there with NO_COLOR (https://no-color.org) or on a dumb
// terminal.
func For(w io.Writer) Style {
	f, ok := w.(*os.File)
	if !ok {
		return Style{}
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return Style{} // no terminal
	}
	s := Style{Width: int(size.Col), Colour: os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
	if s.Width == 0 {
		s.Width = usualWidth
	}
	return s
}
