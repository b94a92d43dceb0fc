package record

import "slices"

// rotateAt is how many records are sealed by one key, so that with the
// KeyUpdate, itself such a record, they stay below 2^24 (RFC 8446 §5.5 allows
// AES-GCM 2^24.5).
const rotateAt = 1<<24 - 2

// Seal appends plain to dst as records, as few as possible, a KeyUpdate that is
// due before them. dst and plain must not overlap. It allocates only if dst
// lacks room: len(plain), Overhead for each 16 KiB or part of it, and
// Overhead + 5 for a KeyUpdate. After CloseNotify or Alert it appends nothing.
func (k *Keys) Seal(dst, plain []byte) []byte {
	for len(plain) > 0 {
		n := min(len(plain), maxPlain)
		dst = k.sealData(dst, plain[:n])
		plain = plain[n:]
	}
	return dst
}

// sealData appends one record of at most maxPlain bytes.
func (k *Keys) sealData(dst, plain []byte) []byte {
	if k.done {
		return dst
	}
	if k.updateDue.Load() || k.out.seq >= rotateAt {
		// Cleared first: what Open asks for from here on is the next update.
		k.updateDue.Store(false)
		dst = k.update(dst)
	}
	return k.out.seal(dst, typeData, plain)
}

// update appends a KeyUpdate, sealed by the old key as the last under it, and
// takes the next one into use (RFC 8446 §4.6.3). It never asks for the peer's:
// only the peer knows how much it has sent by its own.
func (k *Keys) update(dst []byte) []byte {
	dst = k.out.seal(dst, typeShake, []byte{msgUpdate, 0, 0, 1, 0})
	k.out.update(k.suite)
	return dst
}

// seal appends one record to dst.
func (h *half) seal(dst []byte, kind byte, content []byte) []byte {
	n := len(content) + 1 + tagLen
	dst = slices.Grow(dst, headerLen+n)
	start := len(dst)
	dst = append(dst, protected, 3, 3, byte(n>>8), byte(n))
	dst = append(dst, content...)
	dst = append(dst, kind)
	record := dst[start:]
	h.mask()
	h.ready().Seal(record[:headerLen], h.iv[:], record[headerLen:], record[:headerLen])
	h.mask()
	h.seq++
	return dst[:start+headerLen+n]
}
