package relay

// NewStillEngine returns an engine with one event loop that moves only what is
// there when step is called, in the caller's goroutine. It can be run afterwards.
func NewStillEngine() (e *Engine, step func(), err error) {
	e = newEngine()
	l, err := openLoop(e)
	if err != nil {
		return nil, nil, err
	}
	e.loops = []*loop{l}
	l.in = make([]byte, inSize)
	l.out = make([]byte, 0, outSize)
	return e, func() { l.doRound(0) }, nil
}
