package record

import "io"

// Open opens the first record in buf, in place. n is the record's length, and 0
// if buf does not hold all of it yet. plain is the data in it, a part of buf,
// and nil for a record without any: KeyUpdate, a ticket, padding alone; at most
// 16 of these may follow each other. The error is io.EOF for close_notify,
// *AlertError for the peer's other alerts, and *ProtocolError for what breaks
// the protocol; Open returns it again from then on. A record that is refused is
// refused as soon as its header shows why, so a caller never waits for it.
func (k *Keys) Open(buf []byte) (plain []byte, n int, err error) { return k.open(nil, buf) }

// open is Open that puts the data into dst instead, if it is sure to fit.
func (k *Keys) open(dst, buf []byte) (plain []byte, n int, err error) {
	if k.inErr != nil {
		return nil, 0, k.inErr
	}
	n, err = measure(buf)
	if n > 0 && err == nil {
		plain, err = k.receive(dst, buf[:n])
	}
	k.inErr = err
	return plain, n, err
}

// measure is the length of the first record in buf, or 0 if it is not whole.
func measure(buf []byte) (int, error) {
	if len(buf) > 0 && buf[0] != protected {
		// Plain alerts included. change_cipher_spec is allowed only up to the
		// Finished (RFC 8446 §5).
		return 0, &ProtocolError{alertUnexpectedMessage, "not protected"}
	}
	if len(buf) < headerLen {
		return 0, nil
	}
	// The version is not looked at (RFC 8446 §5.1), but the tag covers it.
	n := int(buf[3])<<8 | int(buf[4])
	if n > maxSealed {
		return 0, &ProtocolError{alertRecordOverflow, "too long"}
	}
	if len(buf) < headerLen+n {
		return 0, nil
	}
	return headerLen + n, nil
}

// receive opens one record and acts on it.
func (k *Keys) receive(dst, record []byte) ([]byte, error) {
	place := record[headerLen:headerLen]
	if len(record)-headerLen-tagLen <= len(dst) {
		place = dst[:0:len(dst)]
	}
	inner, err := k.in.open(place, record)
	if err != nil {
		return nil, &ProtocolError{alertBadRecordMAC, "it does not verify"}
	}
	if len(inner) > maxPlain+1 {
		return nil, &ProtocolError{alertRecordOverflow, "too much in it"}
	}
	// Behind the content stands its type, and behind that padding of zeros
	// (RFC 8446 §5.4).
	end := len(inner) - 1
	for end >= 0 && inner[end] == 0 {
		end--
	}
	if end < 0 {
		return nil, &ProtocolError{alertUnexpectedMessage, "without a type"}
	}
	content, kind := inner[:end], inner[end]
	if kind != typeShake && k.inMessage() {
		return nil, &ProtocolError{alertUnexpectedMessage, "in the middle of a handshake message"}
	}
	switch kind {
	case typeData:
		if len(content) > 0 {
			k.useless = 0
			return content, nil
		}
	case typeShake:
		err = k.message(content)
	case typeAlert:
		err = alertReceived(content)
	default:
		err = &ProtocolError{alertUnexpectedMessage, "of unknown type"}
	}
	if err != nil {
		return nil, err
	}
	if k.useless++; k.useless > maxUseless {
		return nil, &ProtocolError{alertUnexpectedMessage, "too many without data"}
	}
	return nil, nil
}

// alertReceived is the error that an alert means.
func alertReceived(content []byte) error {
	switch {
	case len(content) != 2:
		return &ProtocolError{alertDecodeError, "an alert is 2 bytes"}
	case content[1] == alertCloseNotify:
		return io.EOF
	case content[1] == alertUserCanceled:
		// It says nothing that close_notify will not say, and some send it in
		// passing, so it is ignored, as by crypto/tls.
		return nil
	}
	return &AlertError{Code: content[1]}
}

// inMessage reports whether a part of a handshake message is still to come.
func (k *Keys) inMessage() bool { return k.headLen > 0 || k.skip > 0 }

// message takes a record's worth of handshake messages, of which there may be
// several in a record, and several records to a message (RFC 8446 §5.1).
func (k *Keys) message(content []byte) error {
	if len(content) == 0 {
		return &ProtocolError{alertUnexpectedMessage, "an empty handshake fragment"}
	}
	for len(content) > 0 {
		if k.skip > 0 {
			n := min(int(k.skip), len(content))
			k.skip -= uint32(n)
			content = content[n:]
			continue
		}
		k.head[k.headLen] = content[0]
		k.headLen++
		content = content[1:]
		if err := k.header(len(content)); err != nil {
			return err
		}
	}
	return nil
}

// header acts on as much of a message's beginning as there is. behind is how
// much of the record follows.
func (k *Keys) header(behind int) error {
	ticket := k.client && k.head[0] == msgTicket
	if !ticket && k.head[0] != msgUpdate {
		return &ProtocolError{alertUnexpectedMessage, "a handshake message that has no place here"}
	}
	if k.headLen < 4 {
		return nil
	}
	n := uint32(k.head[1])<<16 | uint32(k.head[2])<<8 | uint32(k.head[3])
	switch {
	case ticket:
		if n > 1<<16 { // as in crypto/tls
			return &ProtocolError{alertDecodeError, "a session ticket of more than 64 KiB"}
		}
		k.headLen, k.skip = 0, n
		return nil
	case n != 1:
		return &ProtocolError{alertDecodeError, "a KeyUpdate is 1 byte"}
	case k.headLen < 5:
		return nil
	case k.head[4] > 1:
		return &ProtocolError{alertIllegalParameter, "a KeyUpdate is 0 or 1"}
	case behind > 0:
		// What follows would be read under the old key (RFC 8446 §5.1).
		return &ProtocolError{alertUnexpectedMessage, "something behind a KeyUpdate"}
	}
	k.headLen = 0
	k.in.update(k.suite)
	if k.head[4] == 1 {
		k.updateDue.Store(true)
	}
	return nil
}
