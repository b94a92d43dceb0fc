package doctor

import (
	"bufio"
	"io"
	"strings"
	"testing"
)

func TestJudgeRedirect(t *testing.T) {
	for text, want := range map[string]Status{
		"HTTP/1.1 301 Moved Permanently\r\nLocation: https://app.test/\r\n\r\n": OK,
		"HTTP/1.1 301 Moved Permanently\r\nLocation: http://www.test/\r\n\r\n":  Warning,
		"HTTP/1.1 200 OK\r\n\r\n": Warning,
	} {
		a, err := readAnswer(bufio.NewReader(strings.NewReader(text)))
		if err != nil {
			t.Fatal(err)
		}
		e := &exam{report: &Report{}}
		e.judgeRedirect(a, nil)
		if got := stepOf(e.report, "redirect"); got.Status != want {
			t.Errorf("%q: %+v", text, got)
		}
	}
	e := &exam{report: &Report{}}
	e.judgeRedirect(nil, io.EOF)
	if got := stepOf(e.report, "redirect"); got.Status != Warning || !strings.Contains(got.Detail, "EOF") {
		t.Errorf("%+v", got)
	}
}
