package http2

import (
	"encoding/binary"
	"fmt"
)

// frameHeadLen is the length of what each frame begins with (RFC 9113 §4.1).
const frameHeadLen = 9

// maxFrame is the longest payload of a frame: the default of
// SETTINGS_MAX_FRAME_SIZE, ours and the least that a client may have.
const maxFrame = 16 << 10

// preface is what a client begins with (RFC 9113 §3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// The types of frames (RFC 9113 §6).
const (
	frameData         = 0x0
	frameHeaders      = 0x1
	framePriority     = 0x2
	frameRSTStream    = 0x3
	frameSettings     = 0x4
	framePushPromise  = 0x5
	framePing         = 0x6
	frameGoAway       = 0x7
	frameWindowUpdate = 0x8
	frameContinuation = 0x9
)

// The flags of frames.
const (
	flagEndStream  = 0x1
	flagAck        = 0x1
	flagEndHeaders = 0x4
	flagPadded     = 0x8
	flagPriority   = 0x20
)

// The settings (RFC 9113 §6.5.2).
const (
	settingHeaderTableSize   = 0x1
	settingEnablePush        = 0x2
	settingMaxStreams        = 0x3
	settingInitialWindowSize = 0x4
	settingMaxFrameSize      = 0x5
	settingMaxHeaderListSize = 0x6
)

const (
	defaultWindow = 65535
	maxWindow     = 1<<31 - 1
	maxStreamID   = 1<<31 - 1
)

// A Code says why a stream or a connection ends (RFC 9113 §7).
type Code uint32

// The codes, named as there.
const (
	NoError          Code = 0x0
	ProtocolError    Code = 0x1
	InternalError    Code = 0x2
	FlowControlError Code = 0x3
	StreamClosed     Code = 0x5
	FrameSizeError   Code = 0x6
	RefusedStream    Code = 0x7
	Cancel           Code = 0x8
	CompressionError Code = 0x9
	EnhanceYourCalm  Code = 0xb
	HTTP11Required   Code = 0xd
)

// ConnError is why a connection was ended by us: by what the client did, or
// because a limit was reached.
type ConnError struct {
	Code   Code
	Reason string // repeats nothing that the client sent
}

func (e *ConnError) Error() string { return fmt.Sprintf("HTTP/2: %s (code %d)", e.Reason, e.Code) }

func broken(code Code, reason string) *ConnError { return &ConnError{code, reason} }

// frameHead is the head of a frame.
type frameHead struct {
	length int
	kind   byte
	flags  byte
	stream uint32
}

func parseFrameHead(b []byte) frameHead {
	return frameHead{
		length: int(b[0])<<16 | int(b[1])<<8 | int(b[2]),
		kind:   b[3],
		flags:  b[4],
		stream: binary.BigEndian.Uint32(b[5:]) & maxStreamID,
	}
}

func appendFrameHead(b []byte, length int, kind, flags byte, stream uint32) []byte {
	b = append(b, byte(length>>16), byte(length>>8), byte(length), kind, flags)
	return binary.BigEndian.AppendUint32(b, stream)
}

func appendSetting(b []byte, setting uint16, value uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(b, setting), value)
}

// appendHeaders makes a header block, which begins at b[at:] behind room for the
// head of a frame, a HEADERS frame with as many CONTINUATION frames as it takes.
func appendHeaders(b []byte, at int, flags byte, stream uint32) []byte {
	length := len(b) - at - frameHeadLen
	more := (length - 1) / maxFrame
	if more <= 0 {
		appendFrameHead(b[:at], length, frameHeaders, flags|flagEndHeaders, stream)
		return b
	}
	for range more * frameHeadLen {
		b = append(b, 0)
	}
	begin := at + frameHeadLen
	for i := more; i > 0; i-- { // the last part first: each moves to the right
		part := b[begin+i*maxFrame : begin+min(length, (i+1)*maxFrame)]
		to := begin + i*(maxFrame+frameHeadLen)
		copy(b[to:], part)
		ends := byte(0)
		if i == more {
			ends = flagEndHeaders
		}
		appendFrameHead(b[:to-frameHeadLen], len(part), frameContinuation, ends, stream)
	}
	appendFrameHead(b[:at], maxFrame, frameHeaders, flags, stream)
	return b
}
