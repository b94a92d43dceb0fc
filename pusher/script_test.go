package pusher

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// maxScript is what a page may have to load for the client, gzipped.
const maxScript = 3 << 10

func TestScript_IsAtMost3KiBGzipped(t *testing.T) {
	var zipped bytes.Buffer
	w, err := gzip.NewWriterLevel(&zipped, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(pushScript); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if zipped.Len() > maxScript {
		t.Errorf("push.js is %d bytes gzipped, want at most %d", zipped.Len(), maxScript)
	}
}

func TestScript_NpmPackageHoldsTheSame(t *testing.T) {
	for _, name := range []string{"push.js", "push.d.ts"} {
		source, err := os.ReadFile(filepath.Join("client", name))
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join("..", "deploy", "push-client", name)
		info, err := os.Lstat(file)
		if err != nil {
			t.Fatal(err)
		}
		if !info.Mode().IsRegular() {
			t.Errorf("%s is no regular file; npm packs no links", file)
		}
		copied, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(source, copied) {
			t.Errorf("%s is not what pusher/client/%s is; copy it", file, name)
		}
	}
}

// getScript asks a real server, with a client that leaves codings alone.
func getScript(t *testing.T, method string, header http.Header) (*http.Response, []byte) {
	t.Helper()
	server := httptest.NewServer(Script())
	defer server.Close()
	r, err := http.NewRequest(method, server.URL+"/websocket/push.js", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = header
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	defer client.CloseIdleConnections()
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, body
}

func expectHeader(t *testing.T, answer *http.Response, name, want string) {
	t.Helper()
	if got := answer.Header.Get(name); got != want {
		t.Errorf("%s: %q, want %q", name, got, want)
	}
}

func TestScript_ComesAsAModuleThatIsAskedForEachTime(t *testing.T) {
	answer, body := getScript(t, "GET", http.Header{})
	if answer.StatusCode != http.StatusOK || !bytes.Equal(body, pushScript) {
		t.Fatalf("%s and %d bytes, want 200 and push.js", answer.Status, len(body))
	}
	for name, want := range map[string]string{
		"Content-Type":                "text/javascript; charset=utf-8",
		"Content-Encoding":            "",
		"Cache-Control":               "no-cache",
		"Vary":                        "Accept-Encoding",
		"Access-Control-Allow-Origin": "*",
		"X-Content-Type-Options":      "nosniff",
	} {
		expectHeader(t, answer, name, want)
	}
	if answer.ContentLength != int64(len(pushScript)) {
		t.Errorf("Content-Length %d, want %d", answer.ContentLength, len(pushScript))
	}
}

func TestScript_ComesGzippedWhereThatIsAccepted(t *testing.T) {
	answer, body := getScript(t, "GET", http.Header{"Accept-Encoding": {"gzip, deflate, br"}})
	expectHeader(t, answer, "Content-Encoding", "gzip")
	expectHeader(t, answer, "Content-Type", "text/javascript; charset=utf-8")
	if answer.ContentLength != int64(len(body)) {
		t.Errorf("Content-Length %d, and %d bytes came", answer.ContentLength, len(body))
	}
	r, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := io.ReadAll(r); err != nil || !bytes.Equal(plain, pushScript) {
		t.Fatalf("%d bytes, %v; want push.js", len(plain), err)
	}
}

func TestScript_IsNotSentToWhoHasIt(t *testing.T) {
	tags := map[string]bool{}
	for _, accept := range []string{"gzip", "identity"} {
		answer, _ := getScript(t, "GET", http.Header{"Accept-Encoding": {accept}})
		tag := answer.Header.Get("ETag")
		tags[tag] = true
		for _, match := range []string{tag, `"other", W/` + tag} {
			answer, body := getScript(t, "GET", http.Header{"Accept-Encoding": {accept}, "If-None-Match": {match}})
			if answer.StatusCode != http.StatusNotModified || len(body) != 0 {
				t.Errorf("%s, If-None-Match %s: %s, want 304", accept, match, answer.Status)
			}
			expectHeader(t, answer, "ETag", tag)
		}
		if answer, _ := getScript(t, "GET", http.Header{"Accept-Encoding": {accept}, "If-None-Match": {`"other"`}}); answer.StatusCode != http.StatusOK {
			t.Errorf("%s, another tag: %s, want 200", accept, answer.Status)
		}
	}
	if len(tags) != 2 {
		t.Errorf("tags %v, want one for each form", tags)
	}
}

func TestScript_HeadHasNoBodyAndPostIsRefused(t *testing.T) {
	answer, body := getScript(t, "HEAD", http.Header{})
	if answer.StatusCode != http.StatusOK || answer.ContentLength != int64(len(pushScript)) || len(body) != 0 {
		t.Errorf("HEAD: %s, length %d, %d bytes", answer.Status, answer.ContentLength, len(body))
	}
	answer, _ = getScript(t, "POST", http.Header{})
	if answer.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %s, want 405", answer.Status)
	}
	expectHeader(t, answer, "Allow", "GET, HEAD")
}

func TestAcceptsGzip_ReadsNamesAndWeights(t *testing.T) {
	for accept, want := range map[string]bool{
		"":                         false,
		"gzip":                     true,
		"GZIP":                     true,
		"x-gzip":                   true,
		"br, gzip;q=0.1":           true,
		"br,\tgzip ; q=1.000":      true,
		"gzip;q=0":                 false,
		"gzip; q=0.000, *":         false,
		"*":                        true,
		"*;q=0":                    false,
		"identity, br":             false,
		"gzipped":                  false,
		"deflate;q=1, *;q=0.5, br": true,
	} {
		if got := acceptsGzip([]string{accept}); got != want {
			t.Errorf("%q: %v, want %v", accept, got, want)
		}
	}
	if !acceptsGzip([]string{"br", "gzip"}) {
		t.Error("a second field line was not read")
	}
}

func FuzzAcceptsGzip(f *testing.F) {
	for _, seed := range []string{"", "gzip, deflate, br, zstd", "gzip;q=0", "*;q=0.5", ";=,", "gzip;q", "gzip;q==0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, accept string) {
		if acceptsGzip([]string{accept}) && !strings.Contains(strings.ToLower(accept), "gzip") && !strings.Contains(accept, "*") {
			t.Errorf("%q accepts gzip without naming it", accept)
		}
	})
}
