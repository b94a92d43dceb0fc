package relay

// An outbox gathers what is to be written to one side, so that it goes out by
// one write.
type outbox struct {
	buf    []byte
	direct []byte // the only piece so far: it need not be copied
	plain  int    // the bytes of the other side in it, which are counted
}

// add puts p, bytes of the other side, at the end. p must not change until the
// outbox has been written.
func (o *outbox) add(p []byte) {
	o.plain += len(p)
	if len(o.buf) == 0 && o.direct == nil {
		o.direct = p
		return
	}
	o.copy(p)
}

func (o *outbox) copy(p []byte) {
	o.buf = append(o.buf, o.direct...)
	o.direct = nil
	o.buf = append(o.buf, p...)
}

// bytes is what is to be written.
func (o *outbox) bytes() []byte {
	if o.direct != nil {
		return o.direct
	}
	return o.buf
}
