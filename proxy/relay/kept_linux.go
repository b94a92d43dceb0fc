package relay

import (
	"slices"
	"sync"
)

// kept is bytes that cannot go on at once: a record that has not arrived whole,
// or what a side has not taken yet. Nothing of it exists while a tunnel is idle.
type kept struct {
	buf   []byte // what is left of it
	whole []byte // the buffer from its beginning
	plain int    // see outbox; not yet counted
}

// keptSizes are those of the buffers: most partial records and messages fit
// the first one, every record (RFC 8446 §5.2) the second, all that one read
// gives the third.
var keptSizes = [...]int{2 << 10, 17 << 10, outSize}

// keptPools hold no bytes that one tunnel could see of another: what is read
// from a buffer was copied into it just before.
var keptPools [len(keptSizes)]sync.Pool

// more is k with p behind it.
func (k *kept) more(p []byte, plain int) *kept {
	joined := keep(append(slices.Clone(k.buf), p...))
	joined.plain = k.plain + plain
	k.drop()
	return joined
}

// keep copies p into a buffer of the smallest size that it fits.
func keep(p []byte) *kept {
	for i, size := range keptSizes {
		if len(p) > size {
			continue
		}
		k, _ := keptPools[i].Get().(*kept)
		if k == nil {
			k = &kept{whole: make([]byte, size)}
		}
		k.buf = k.whole[:copy(k.whole, p)]
		return k
	}
	// Only what arrived early can be longer than one read.
	return &kept{buf: append([]byte(nil), p...)}
}

// drop gives the buffer back.
func (k *kept) drop() {
	for i, size := range keptSizes {
		if len(k.whole) == size {
			k.buf, k.plain = nil, 0
			keptPools[i].Put(k)
			return
		}
	}
}
