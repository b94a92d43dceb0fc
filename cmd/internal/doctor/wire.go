package doctor

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"
	"time"

	"wsfront/proxy/diagnosis"
)

const (
	// maxAnswer is the most that is read of one answer's head, and of its body.
	maxAnswer = 64 << 10
	// maxInterim is how many answers before the answer are read over.
	maxInterim = 8
	// bodyTimeout is how long a body may take: its beginning is enough, and comes
	// with the head.
	bodyTimeout = time.Second
)

// errNotHTTP says that what came back does not begin as an answer does.
var errNotHTTP = errors.New("the answer is no HTTP")

var errLongHead = errors.New("the answer's head is longer than 64 KiB")

// answer is what a server sent, read without judging it.
type answer struct {
	line   string // the status line
	proto  string
	status int
	fields http.Header
	body   []byte // its beginning
	first  []byte // the first bytes, where they were no HTTP
}

// get is the first field of that name.
func (a *answer) get(name string) string { return a.fields.Get(name) }

// diagnose hands the answer to package diagnosis.
func (a *answer) diagnose(sent diagnosis.Sent) diagnosis.Answer {
	return diagnosis.Answer{Status: a.status, Proto: a.proto, Header: a.get, Body: a.body, Sent: sent}
}

// brief is the answer in a few words.
func (a *answer) brief() string {
	text := strings.TrimSpace(strings.TrimPrefix(a.line, a.proto))
	if server := a.get("Server"); server != "" {
		text += " from " + server
	}
	if to := a.get("Location"); to != "" {
		text += ", Location: " + to
	}
	return visible(text)
}

// visible cuts what a server wrote, and leaves out what a terminal could take
// for an order.
func visible(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r > 0x7f && r < 0xa0 {
			return -1
		}
		return r
	}, s)
	const most = 200
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "..."
	}
	return s
}

// exchange writes a request and reads the answer. Of a 101 no more than the head
// is read; what follows it is in the returned reader. The deadline is the caller's until then.
func exchange(ctx context.Context, conn net.Conn, request []byte) (*answer, *bufio.Reader, error) {
	if _, err := conn.Write(request); err != nil {
		return nil, nil, err
	}
	r := bufio.NewReader(conn)
	a, err := readAnswer(r)
	if err != nil || a.status == 101 {
		return a, r, err
	}
	_ = conn.SetReadDeadline(deadline(ctx, bodyTimeout))
	a.body = readBody(r, a)
	return a, r, nil
}

// readAnswer reads a head. With errNotHTTP, the answer has the first bytes.
func readAnswer(r *bufio.Reader) (*answer, error) {
	for range maxInterim {
		a, err := readHead(r)
		if err != nil || a.status == 101 || a.status >= 200 {
			return a, err
		}
	}
	return nil, errors.New("too many interim answers")
}

func readHead(r *bufio.Reader) (*answer, error) {
	const begin = "HTTP/"
	if first, err := r.Peek(len(begin)); string(first) != begin {
		if len(first) > 0 && !strings.HasPrefix(begin, string(first)) {
			first, _ = r.Peek(max(r.Buffered(), 1))
			return &answer{first: bytes.Clone(first[:min(len(first), 32)])}, errNotHTTP
		}
		if err == nil {
			err = errNotHTTP
		}
		return nil, err
	}
	room := maxAnswer
	line, err := readLine(r, &room)
	if err != nil {
		return nil, err
	}
	a := &answer{line: line, fields: http.Header{}}
	a.proto, line, _ = strings.Cut(line, " ")
	code, _, _ := strings.Cut(strings.TrimLeft(line, " "), " ")
	if a.status, err = strconv.Atoi(code); err != nil || a.status < 100 || a.status > 999 {
		return &answer{first: []byte(visible(a.line))}, errNotHTTP
	}
	for {
		line, err := readLine(r, &room)
		if err != nil || line == "" {
			return a, err
		}
		if name, value, ok := strings.Cut(line, ":"); ok {
			a.fields.Add(strings.TrimSpace(name), strings.TrimSpace(value))
		}
	}
}

// readLine reads a line of a head for which there is room.
func readLine(r *bufio.Reader, room *int) (string, error) {
	var line []byte
	for {
		piece, err := r.ReadSlice('\n')
		line = append(line, piece...)
		*room -= len(piece)
		switch {
		case *room < 0:
			return "", errLongHead
		case err == nil:
			return strings.TrimRight(string(line), "\r\n"), nil
		case err != bufio.ErrBufferFull:
			return "", err
		}
	}
}

// readBody reads the beginning of a body, until its end, its limit or the
// connection's deadline.
func readBody(r *bufio.Reader, a *answer) []byte {
	if a.status < 200 || a.status == 204 || a.status == 304 {
		return nil
	}
	var src io.Reader = r
	most := int64(maxAnswer)
	switch length, err := strconv.ParseInt(a.get("Content-Length"), 10, 64); {
	case strings.EqualFold(a.get("Transfer-Encoding"), "chunked"):
		src = httputil.NewChunkedReader(r)
	case err == nil && length >= 0:
		most = min(most, length)
	}
	body, _ := io.ReadAll(io.LimitReader(src, most)) // what came is what there is to see
	return body
}
