package syslog

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strconv"
)

// frames finds the lines in a TCP stream (RFC 6587 §3.4). Each may have its
// length in front, "11 <13>a line\n", or end with LF: senders do not say which,
// and rsyslog and logger do both.
type frames struct {
	r   *bufio.Reader
	max int
}

func newFrames(r io.Reader, maxMessage int) *frames {
	// Room for the line's end, CR LF, so that a line of maxMessage is whole.
	return &frames{bufio.NewReaderSize(r, maxMessage+2), maxMessage}
}

// next returns the next line, or the first part of one that is longer than max,
// whose rest is read and forgotten. A line may come with an error: then it is
// the last one.
func (f *frames) next() (text []byte, cut bool, err error) {
	n, err := f.length()
	switch {
	case err != nil:
		return nil, false, err
	case n > 0:
		return f.counted(n)
	}
	return f.terminated()
}

// maxDigits is that of the longest length that is taken for one.
const maxDigits = 8

// length reads the length in front of the next line, or returns 0 where there is
// none. It is one only with a priority behind it, since a line of its own may
// well begin with a number. It waits for no byte more than it takes to tell.
func (f *frames) length() (int, error) {
	digits := 0
	for {
		b, err := f.r.Peek(digits + 1)
		if len(b) == 0 {
			return 0, err
		}
		if err != nil || b[digits] < '0' || b[digits] > '9' || b[0] == '0' || digits == maxDigits {
			break
		}
		digits++
	}
	for i, want := range []byte(" <") {
		b, err := f.r.Peek(digits + i + 1)
		if err != nil || digits == 0 || b[digits+i] != want {
			return 0, nil // what is wrong with the stream shows again when it is read
		}
	}
	b, err := f.r.Peek(digits)
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(string(b))
	if err != nil {
		return 0, err
	}
	_, err = f.r.Discard(digits + 1)
	return n, err
}

// counted reads a line of n bytes.
func (f *frames) counted(n int) (text []byte, cut bool, err error) {
	text = make([]byte, min(n, f.max))
	read, err := io.ReadFull(f.r, text)
	if err == nil && n > f.max {
		cut = true
		_, err = f.r.Discard(n - f.max)
	}
	return text[:read], cut, err
}

// terminated reads a line up to its LF, or up to the end of the stream.
func (f *frames) terminated() (text []byte, cut bool, err error) {
	b, err := f.r.ReadSlice('\n')
	text = bytes.Clone(bytes.TrimRight(b, "\r\n"))
	if len(text) > f.max {
		text, cut = text[:f.max], true
	}
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = f.r.ReadSlice('\n')
	}
	return text, cut, err
}
