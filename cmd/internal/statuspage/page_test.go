package statuspage

import (
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

func get(t *testing.T, url string) (*http.Response, string) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

// TestPage_FilesAreThereAndGuarded goes from the page to all that it loads.
func TestPage_FilesAreThereAndGuarded(t *testing.T) {
	_, url := newTestPage(t, newServer())
	reference := regexp.MustCompile(`(?:href|src)="([^"#]+)"|from "\./([^"]+)"`)
	seen := map[string]bool{}
	var walk func(path, kind string)
	walk = func(path, kind string) {
		if seen[path] {
			return
		}
		seen[path] = true
		res, body := get(t, url+"/"+path)
		if got := res.Header.Get("Content-Type"); res.StatusCode != 200 || !strings.HasPrefix(got, kind) {
			t.Errorf("/%s is %s, %s; want %s", path, res.Status, got, kind)
		}
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; ",
			"X-Content-Type-Options":  "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache",
		} {
			if got := res.Header.Get(name); !strings.HasPrefix(got, want) {
				t.Errorf("/%s has %s: %s", path, name, got)
			}
		}
		for _, m := range reference.FindAllStringSubmatch(body, -1) {
			to := m[1]
			if m[2] != "" {
				to = "page/" + m[2]
			}
			kinds := map[string]string{"css": "text/css", "svg": "image/svg+xml", "js": "text/javascript"}
			walk(to, kinds[to[strings.LastIndex(to, ".")+1:]])
		}
	}
	walk("", "text/html")
	err := fs.WalkDir(files, "page", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !seen[name] {
			t.Errorf("%s is not loaded by anything", name)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	for _, path := range []string{"/page/", "/page/none.js", "/page/..%2findex.html", "/index.html", "/nothing"} {
		if res, _ := get(t, url+path); res.StatusCode != 404 {
			t.Errorf("%s is %s, want 404", path, res.Status)
		}
	}
}

// TestPage_WritesNothingAsMarkup keeps out what the policy would refuse, or what
// would make markup of a client's text.
func TestPage_WritesNothingAsMarkup(t *testing.T) {
	forbidden := regexp.MustCompile(`(?i)innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|\sstyle=|\son[a-z]+="|javascript:|<style|<script>|https?://`)
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			line = strings.ReplaceAll(line, "http://www.w3.org/2000/svg", "") // a name, which nobody loads
			if found := forbidden.FindString(line); found != "" {
				t.Errorf("%s has %q: %s", name, found, line)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestPage_UnchangedFileIsNotSentAgain(t *testing.T) {
	_, url := newTestPage(t, newServer())
	res, _ := get(t, url+"/page/main.js")
	r, err := http.NewRequest("GET", url+"/page/main.js", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("If-None-Match", res.Header.Get("Etag"))
	again, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	again.Body.Close()
	if again.StatusCode != http.StatusNotModified {
		t.Errorf("a file that is known is answered by %s", again.Status)
	}
}

// TestPage_KnowsHowManyTunnelsItIsToldOf holds page/feed.js to maxTunnels.
func TestPage_KnowsHowManyTunnelsItIsToldOf(t *testing.T) {
	text, err := files.ReadFile("page/feed.js")
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("export const maxTunnels = %d;", maxTunnels); !strings.Contains(string(text), want) {
		t.Errorf("page/feed.js has no %q", want)
	}
}
