package frame

// Ahead is how many bytes are sure to pass before the other side is at a
// boundary again, and 0 if it is at one, or following is lost. Whoever has
// something to put in feeds that many bytes at most, until AtBoundary: of bytes
// that come without a pause, hardly any read ends between two frames.
func (f *Follower) Ahead() int64 {
	switch {
	case f.ended == lost:
		return 0
	case f.left > 0:
		return f.left
	case f.n > 0 && f.gone:
		return 1 // of a header that passes byte by byte
	}
	return 0
}
