package frame

import "encoding/binary"

// The bits of a header's first byte, and its opcodes (RFC 6455 §5.2).
const (
	fin      = 0x80
	reserved = 0x70
	rsv1     = 0x40
	opcode   = 0x0f

	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xa
)

// The bits of a header's second byte.
const (
	masked   = 0x80
	length   = 0x7f
	length16 = 126
	length64 = 127
)

const (
	maxHeader    = 14  // a length of 64 bits and a masking key
	maxControl   = 125 // the payload of a control frame, RFC 6455 §5.5
	keySize      = 4
	maxClose     = 2 + keySize + maxControl
	controlStart = opClose // opcodes from here on are of control frames
)

// headerSize is the size of a header with this second byte.
func headerSize(second byte) int {
	n := 2
	switch second & length {
	case length16:
		n += 2
	case length64:
		n += 8
	}
	if second&masked != 0 {
		n += keySize
	}
	return n
}

// payloadLength reads the payload's length from a whole header. The top bit may
// be set, though RFC 6455 §5.2 forbids it.
func payloadLength(header []byte) uint64 {
	switch n := header[1] & length; n {
	case length16:
		return uint64(binary.BigEndian.Uint16(header[2:]))
	case length64:
		return binary.BigEndian.Uint64(header[2:])
	default:
		return uint64(n)
	}
}

// unmasked appends the payload of a whole frame to dst, the masking undone.
func unmasked(dst, frame []byte) []byte {
	size := headerSize(frame[1])
	payload := frame[size:]
	if frame[1]&masked == 0 {
		return append(dst, payload...)
	}
	key := frame[size-keySize : size]
	for i, c := range payload {
		dst = append(dst, c^key[i%keySize])
	}
	return dst
}
