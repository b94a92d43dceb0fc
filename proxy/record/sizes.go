package record

import "time"

const (
	// segment is the content of a record that fits one TCP segment of a
	// connection by PPPoE, IPv6 and with timestamps: 1492 - 40 - 32 - Overhead.
	// A receiver can use a record only when all of it has come, so at the
	// start, when the congestion window is small, smaller ones are seen sooner.
	segment = 1398

	// slowStart is how much is sent in such records: about what the initial
	// congestion window lets through at once (RFC 6928).
	slowStart = 16 << 10

	// rest is the silence after which the kernel may have shrunk the window
	// again (RFC 5681 §4.1).
	rest = int64(time.Second / time.Millisecond)
)

// recordSizes chooses how large the next record is: small ones first, so that
// a page begins to show, and full ones in bulk, which cost less to seal.
type recordSizes struct {
	lastWrite int64  // milliseconds, by the wall clock; a jump of it only costs a little
	burst     uint32 // bytes in small records since the last rest
}

// next is the size to begin a write with.
func (r *recordSizes) next() int {
	now := time.Now().UnixMilli()
	if now-r.lastWrite >= rest {
		r.burst = 0
	}
	r.lastWrite = now
	return r.size()
}

// sent notes a record and is the size of the next.
func (r *recordSizes) sent(n int) int {
	if r.burst < slowStart {
		r.burst += uint32(n)
	}
	return r.size()
}

func (r *recordSizes) size() int {
	if r.burst < slowStart {
		return segment
	}
	return maxPlain
}
