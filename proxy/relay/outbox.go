package relay

import "wsfront/proxy/record"

// An outbox gathers what is to be written to one side, so that it goes out by
// one write.
type outbox struct {
	keys   *record.Keys // that seal what is put in; nil if it goes out as it is
	buf    []byte
	direct []byte // the only piece so far: it need not be copied
	plain  int    // the bytes of the other side in it, which are counted
}

// add puts p, bytes of the other side, at the end. p must not change until the
// outbox has been written.
func (o *outbox) add(p []byte) {
	if o.keys != nil || len(o.buf) > 0 || o.direct != nil {
		o.copy(p)
		return
	}
	o.plain += len(p)
	o.direct = p
}

// copy is add for a p that will change.
func (o *outbox) copy(p []byte) {
	o.plain += len(p)
	o.copyOwn(p)
}

// copyOwn is copy for what is not of the other side, but the front's own.
func (o *outbox) copyOwn(p []byte) {
	if o.keys != nil {
		o.buf = o.keys.Seal(o.buf, p)
		return
	}
	o.settle()
	o.buf = append(o.buf, p...)
}

// settle copies what is in the outbox but was not copied yet, so that it may
// change from here on.
func (o *outbox) settle() {
	o.buf = append(o.buf, o.direct...)
	o.direct = nil
}

// bytes is what is to be written.
func (o *outbox) bytes() []byte {
	if o.direct != nil {
		return o.direct
	}
	return o.buf
}
