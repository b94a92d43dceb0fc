package relay

// A clock is a heap of the times at which a loop's tunnels are due. A tunnel
// that has no limit is not in it.
type clock []alarm

type alarm struct {
	at int64
	lt *looped
}

// set has lt be due at a time, 0 for never. Times are rounded up.
func (c *clock) set(lt *looped, at int64) {
	if at == 0 {
		c.remove(lt)
		return
	}
	at = (at + clockGrain - 1) &^ (clockGrain - 1)
	if lt.alarm == noAlarm {
		lt.alarm = int32(len(*c))
		*c = append(*c, alarm{lt: lt})
	}
	i := int(lt.alarm)
	(*c)[i].at = at
	c.down(c.up(i))
}

func (c *clock) remove(lt *looped) {
	if lt.alarm == noAlarm {
		return
	}
	i, last := int(lt.alarm), len(*c)-1
	c.swap(i, last)
	(*c)[last] = alarm{}
	*c = (*c)[:last]
	lt.alarm = noAlarm
	if i < last {
		c.down(c.up(i))
	}
}

// first is a tunnel that is due, or nil.
func (c *clock) first(now int64) *looped {
	if len(*c) == 0 || (*c)[0].at > now {
		return nil
	}
	return (*c)[0].lt
}

// next is when a tunnel will be due, 0 for never.
func (c *clock) next() int64 {
	if len(*c) == 0 {
		return 0
	}
	return (*c)[0].at
}

func (c *clock) up(i int) int {
	for i > 0 && (*c)[i].at < (*c)[(i-1)/2].at {
		c.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
	return i
}

func (c *clock) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(*c) {
			return
		}
		if child+1 < len(*c) && (*c)[child+1].at < (*c)[child].at {
			child++
		}
		if (*c)[i].at <= (*c)[child].at {
			return
		}
		c.swap(i, child)
		i = child
	}
}

func (c *clock) swap(i, j int) {
	h := *c
	h[i], h[j] = h[j], h[i]
	h[i].lt.alarm, h[j].lt.alarm = int32(i), int32(j)
}
