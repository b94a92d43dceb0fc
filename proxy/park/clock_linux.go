package park

import "container/heap"

// A clock has parked connections in the order of when they are due, for
// container/heap: the first one is due first.
type clock []*space

// Len is that of heap.Interface, as are the methods below.
func (c clock) Len() int { return len(c) }

// Less compares.
func (c clock) Less(i, j int) bool { return c[i].due < c[j].due }

// Swap swaps.
func (c clock) Swap(i, j int) {
	c[i], c[j] = c[j], c[i]
	c[i].alarm, c[j].alarm = int32(i), int32(j)
}

// Push appends.
func (c *clock) Push(x any) {
	s := x.(*space)
	s.alarm = int32(len(*c))
	*c = append(*c, s)
}

// Pop takes the last one away.
func (c *clock) Pop() any {
	last := len(*c) - 1
	s := (*c)[last]
	(*c)[last] = nil // let go of the connection
	*c = (*c)[:last]
	return s
}

func (c *clock) add(s *space) { heap.Push(c, s) }

func (c *clock) remove(s *space) { heap.Remove(c, int(s.alarm)) }

// next is when the first one is due; 0 is never.
func (c clock) next() int64 {
	if len(c) == 0 {
		return 0
	}
	return c[0].due
}
