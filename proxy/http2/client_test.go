package http2

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync"
	"testing"

	"wsfront/proxy/http1"
)

// client is net/http's, which speaks HTTP/2 from the first byte on.
func client(t testing.TB) *http.Client {
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func get(t testing.TB, c *http.Client, url string) (*http.Response, string) {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func TestClient_HeadBodyAndTrailerComeBackWhole(t *testing.T) {
	f := newFront(t, Config{Handler: func(s *Stream) {
		if string(s.Path) != "/upload?x=1" || string(s.Method) != "POST" || string(s.Scheme) != "http" || !s.HasBody {
			s.Reset(InternalError)
			return
		}
		for _, h := range s.Fields {
			if h.Known == http1.Cookie && string(h.Value) == "a=b" {
				echo(s)
			}
		}
	}})
	text := make([]byte, 3<<20)
	for i := range text {
		text[i] = byte(rand.IntN(256))
	}
	req, _ := http.NewRequest("POST", "http://"+f.addr+"/upload?x=1", io.MultiReader(bytes.NewReader(text)))
	req.Header.Set("Cookie", "a=b")
	req.Trailer = http.Header{"Checksum": nil}
	req.Trailer.Set("Checksum", "17")
	resp, err := client(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil || !bytes.Equal(got, text) {
		t.Fatalf("%d of %d bytes, %v", len(got), len(text), err)
	}
	if resp.Trailer.Get("Checksum") != "17" {
		t.Errorf("trailer %v", resp.Trailer)
	}
}

func TestClient_ManyStreamsAtOnce(t *testing.T) {
	text := make([]byte, 256<<10)
	for i := range text {
		text[i] = byte(i * i >> 8)
	}
	sum := sha256.Sum256(text)
	f := newFront(t, Config{Handler: func(s *Stream) {
		_ = s.WriteHead(200, nil)
		_, _ = s.Write(text)
		_ = s.End(nil)
	}})
	c := client(t)
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			resp, err := c.Get("http://" + f.addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			h := sha256.New()
			if n, err := io.Copy(h, resp.Body); err != nil || [32]byte(h.Sum(nil)) != sum {
				t.Errorf("%d bytes, %v", n, err)
			}
		})
	}
	wg.Wait()
	if n := f.hit(HitStreams) + f.hit(HitResets) + f.hit(HitControlFrames); n > 0 {
		t.Errorf("limits were reached: %v", f.hits)
	}
}

func TestClient_HeadWithoutBodyAndEmptyAnswers(t *testing.T) {
	f := newFront(t, Config{Handler: func(s *Stream) {
		if string(s.Path) == "/empty" {
			_ = s.WriteHead(204, nil)
			_ = s.End(nil)
			return
		}
		hello(s)
	}})
	c := client(t)
	resp, err := c.Head("http://" + f.addr)
	if err != nil || resp.ContentLength != 5 {
		t.Errorf("HEAD: %v, %v", resp, err)
	}
	if resp, body := get(t, c, "http://"+f.addr+"/empty"); resp.StatusCode != 204 || body != "" {
		t.Errorf("204: %d %q", resp.StatusCode, body)
	}
}

func TestClient_InterimAnswersComeBeforeTheAnswer(t *testing.T) {
	f := newFront(t, Config{Handler: func(s *Stream) {
		_ = s.Interim(103, []http1.Field{field("Link", "</a.css>")})
		_ = s.Interim(100, nil)
		echo(s)
	}})
	req, _ := http.NewRequest("POST", "http://"+f.addr, strings.NewReader("body"))
	req.Header.Set("Expect", "100-continue")
	var seen []string
	req = req.WithContext(httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			seen = append(seen, fmt.Sprint(code, h.Get("Link")))
			return nil
		},
	}))
	resp, err := client(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); string(body) != "body" {
		t.Errorf("body %q", body)
	}
	if strings.Join(seen, ",") != "103</a.css>,100" {
		t.Errorf("interim answers %q", seen)
	}
}

func TestClient_LongHeadsComeInSeveralFrames(t *testing.T) {
	long := strings.Repeat("#", 30000) // which the Huffman code makes longer
	f := newFront(t, Config{Handler: func(s *Stream) {
		_ = s.WriteHead(200, []http1.Field{field("X-Long", long), field("X-Longer", long), field("Connection", "close")})
		_ = s.End(nil)
	}})
	resp, _ := get(t, client(t), "http://"+f.addr)
	if resp.Header.Get("X-Long") != long || resp.Header.Get("X-Longer") != long {
		t.Errorf("%d and %d bytes came", len(resp.Header.Get("X-Long")), len(resp.Header.Get("X-Longer")))
	}
	if resp.Header.Get("Connection") != "" {
		t.Error("a field of a connection was sent")
	}
}

func TestStream_WithoutAnEndIsReset(t *testing.T) {
	f := newFront(t, Config{Handler: func(s *Stream) {
		if string(s.Path) == "/head" {
			return
		}
		_ = s.WriteHead(200, nil)
		_, _ = s.Write([]byte("half"))
	}})
	if resp, err := client(t).Get("http://" + f.addr + "/head"); err == nil {
		t.Errorf("no answer is %s", resp.Status)
	}
	resp, err := client(t).Get("http://" + f.addr + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if string(body) != "half" || err == nil || !strings.Contains(err.Error(), "INTERNAL_ERROR") {
		t.Errorf("%q, %v", body, err)
	}
}

func TestStream_AnswerMayEndBeforeTheBody(t *testing.T) {
	f := newFront(t, Config{Handler: hello})
	reader, writer := io.Pipe()
	defer writer.Close()
	resp, err := client(t).Post("http://"+f.addr, "", reader)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); string(body) != "hello" || err != nil {
		t.Errorf("%q, %v", body, err)
	}
}

func TestStream_WatchTellsOfAReset(t *testing.T) {
	told := make(chan error, 1)
	asked := make(chan struct{})
	f := newFront(t, Config{Handler: func(s *Stream) {
		gone := make(chan struct{})
		stop := s.Watch(func() { close(gone) })
		defer stop()
		close(asked)
		<-gone
		_, err := s.ReadBody()
		told <- err
		if err := s.WriteHead(200, nil); !errors.Is(err, ErrReset) {
			t.Errorf("WriteHead after the reset: %v", err)
		}
	}})
	c := dial(t, f)
	c.request(1, false, ":path", "/")
	<-asked
	c.check(c.WriteRSTStream(1, 8))
	if err := <-told; !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("ReadBody after the reset: %v", err)
	}
}

// A body is handed on in large pieces where it comes in such: each is a write to
// a backend.
func TestBody_ComesInLargePieces(t *testing.T) {
	const size = 1 << 20
	pieces := make(chan int, 1)
	f := newFront(t, Config{Handler: func(s *Stream) {
		n := 0
		for {
			_, err := s.ReadBody()
			if err != nil {
				break
			}
			n++
		}
		pieces <- n
		hello(s)
	}})
	resp, err := client(t).Post("http://"+f.addr, "", bytes.NewReader(make([]byte, size)))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if n := <-pieces; n > size/(8<<10) {
		t.Errorf("%d pieces of %d bytes", n, size/n)
	}
}
