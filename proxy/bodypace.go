package proxy

import "time"

// bodyPace holds a client to body_timeout and min_body_rate while the body of
// its request is read. Only the time spent waiting for the client counts: how
// long a backend takes a piece is not the client's to answer for. Whoever reads
// the body uses it.
type bodyPace struct {
	waited   time.Duration
	received int64
}

// patience is how long the next piece is waited for, and which limit is reached
// when nothing has come by then. The rate counts on the average, once
// body_timeout is over: a client may always pause for that long.
func (p *bodyPace) patience(l *limits) (time.Duration, string) {
	if l.MinBodyRate > 0 {
		// In two steps, as a second is too many nanoseconds to multiply a long
		// body's length with.
		earned := time.Duration(p.received/int64(l.MinBodyRate))*time.Second +
			time.Duration(p.received%int64(l.MinBodyRate))*time.Second/time.Duration(l.MinBodyRate)
		if left := l.BodyTimeout + earned - p.waited; left < l.BodyTimeout {
			return left, limitMinBodyRate
		}
	}
	return l.BodyTimeout, limitBodyTimeout
}

// took notes what was read, and how long that took.
func (p *bodyPace) took(n int, d time.Duration) {
	p.received += int64(n)
	p.waited += d
}
