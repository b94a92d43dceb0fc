package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"time"
)

// handlerServer serves one function as a handler, by HTTP/1.1 or HTTP/2, and
// hands out what each exchange has come to when its function is done.
func handlerServer(t *testing.T, major int, serve func(w *responseWriter, r *http.Request)) (served, <-chan exchange) {
	t.Helper()
	done := make(chan exchange, 10)
	f := serveFront(t, Route{Path: "/", Whole: true, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := w.(*responseWriter).x
		x.id = testID
		defer func() { done <- *x }()
		serve(w.(*responseWriter), r)
	})})
	if major == 2 {
		return f.secure(2), done
	}
	return f.plain(), done
}

// awaitExchange takes the exchange that has ended.
func awaitExchange(t *testing.T, done <-chan exchange) exchange {
	t.Helper()
	select {
	case x := <-done:
		return x
	case <-time.After(10 * time.Second):
		t.Fatal("the handler has not ended")
		panic("unreachable")
	}
}

// bothProtocols runs a test by HTTP/1.1 and by HTTP/2.
func bothProtocols(t *testing.T, test func(t *testing.T, major int)) {
	for _, major := range []int{1, 2} {
		t.Run(fmt.Sprintf("HTTP%d", major), func(t *testing.T) { test(t, major) })
	}
}

func TestExchange_CountsWhatWriteAndCopySend(t *testing.T) {
	bothProtocols(t, func(t *testing.T, major int) {
		ts, done := handlerServer(t, major, func(w *responseWriter, r *http.Request) {
			io.WriteString(w, "written ")
			// LimitReader hides WriterTo, so that io.Copy takes our ReadFrom.
			io.Copy(w, io.LimitReader(strings.NewReader(strings.Repeat("copied", 20000)), 120000))
		})
		res, err := ts.Client().Get(ts.URL)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || len(body) != 120008 || res.ProtoMajor != major {
			t.Fatalf("got %d bytes by %s, %v; want 120008 by HTTP/%d", len(body), res.Proto, err, major)
		}
		if x := awaitExchange(t, done); x.status != 200 || x.sent != 120008 {
			t.Errorf("status %d, sent %d; want 200, 120008", x.status, x.sent)
		}
	})
}

func TestExchange_FlushBeforeWriteKnowsTheStatus(t *testing.T) {
	bothProtocols(t, func(t *testing.T, major int) {
		release := make(chan struct{})
		ts, done := handlerServer(t, major, func(w *responseWriter, r *http.Request) {
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Errorf("flush: %v", err)
			}
			if w.x.status != 200 {
				t.Errorf("status after Flush is %d, want 200", w.x.status)
			}
			<-release
		})
		res, err := ts.Client().Get(ts.URL) // returns only because the header was flushed
		close(release)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		awaitExchange(t, done)
	})
}

func TestExchange_InterimAnswerIsNotTheStatus(t *testing.T) {
	bothProtocols(t, func(t *testing.T, major int) {
		ts, done := handlerServer(t, major, func(w *responseWriter, r *http.Request) {
			w.Header().Set("Link", "</style.css>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
			if w.x.status != 0 {
				t.Errorf("status after 103 is %d, want none yet", w.x.status)
			}
			w.WriteHeader(http.StatusTeapot)
		})
		hints := 0
		req, err := http.NewRequest("GET", ts.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		req = req.WithContext(httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			Got1xxResponse: func(code int, _ textproto.MIMEHeader) error { hints = code; return nil },
		}))
		res, err := ts.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if x := awaitExchange(t, done); hints != 103 || res.StatusCode != 418 || x.status != 418 {
			t.Errorf("interim %d, final %d, noted %d; want 103, 418, 418", hints, res.StatusCode, x.status)
		}
	})
}

func TestExchange_SecondWriteHeaderKeepsTheFirstStatus(t *testing.T) {
	ts, done := handlerServer(t, 1, func(w *responseWriter, r *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		w.WriteHeader(http.StatusOK)
	})
	res, err := ts.Client().Get(ts.URL)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if x := awaitExchange(t, done); res.StatusCode != 404 || x.status != 404 {
		t.Errorf("answered %d, noted %d; want 404", res.StatusCode, x.status)
	}
}

func TestExchange_HijackIsNotedAsSwitched(t *testing.T) {
	ts, done := handlerServer(t, 1, func(w *responseWriter, r *http.Request) {
		conn, rw, err := w.Hijack()
		if err != nil {
			t.Errorf("hijack: %v", err)
			return
		}
		defer conn.Close()
		io.WriteString(rw, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: test\r\nConnection: Upgrade\r\n\r\n")
		rw.Flush()
	})
	conn, err := net.Dial("tcp", ts.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || res.StatusCode != 101 {
		t.Fatalf("got %v, %v; want 101", res, err)
	}
	if x := awaitExchange(t, done); x.status != 101 {
		t.Errorf("noted %d, want 101", x.status)
	}
}

func TestExchange_HijackRefusedByHTTP2LeavesAnAnswerPossible(t *testing.T) {
	ts, done := handlerServer(t, 2, func(w *responseWriter, r *http.Request) {
		if _, _, err := w.Hijack(); err == nil {
			t.Error("HTTP/2 let its connection be hijacked")
		}
		w.WriteHeader(http.StatusNotImplemented)
	})
	res, err := ts.Client().Get(ts.URL)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if x := awaitExchange(t, done); x.status != 501 {
		t.Errorf("noted %d, want 501", x.status)
	}
}
