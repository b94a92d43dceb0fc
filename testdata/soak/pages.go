package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

const (
	fileSize   = 1 << 20
	uploadSize = 300 << 10
)

// client speaks HTTP/1.1 or HTTP/2, and makes a new connection now and then.
func (f *front) client(http2 bool) (*http.Client, func()) {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!http2)
	protocols.SetHTTP2(http2)
	t := &http.Transport{DialContext: f.dial, TLSClientConfig: clientTLS(), Protocols: protocols}
	return &http.Client{Transport: t, Timeout: time.Minute}, t.CloseIdleConnections
}

// ask sends requests until ctx is done, on a new connection after each 50, and
// counts those whose answer is not as it should be. It
// tells c of them where there is one.
func (f *front) ask(ctx context.Context, c *counts, http2 bool, gap time.Duration, done, failed *atomic.Int64, once func(*http.Client) error) {
	for n := 0; ctx.Err() == nil; n++ {
		client, closeIdle := f.client(http2)
		for range 50 {
			if err := once(client); ctx.Err() != nil {
				break
			} else if err != nil && c == nil {
				failed.Add(1)
			} else if err != nil {
				c.note(failed, "%v (HTTP/2: %v)", err, http2)
			} else {
				done.Add(1)
			}
			pause(ctx, gap)
		}
		closeIdle()
	}
}

// exchange does one request and compares the answer.
func exchange(ctx context.Context, client *http.Client, method, url string, body, want []byte) error {
	r, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	res, err := client.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		return fmt.Errorf("%s %s: %w", method, url, err)
	case res.StatusCode != http.StatusOK:
		return fmt.Errorf("%s %s: %s", method, url, res.Status)
	case !bytes.Equal(got, want):
		return fmt.Errorf("%s %s: %d bytes that are not those expected", method, url, len(got))
	}
	return nil
}

func (f *front) pages(ctx context.Context, c *counts, http2 bool) {
	f.ask(ctx, c, http2, 20*time.Millisecond, &c.pages, &c.pagesFailed, func(client *http.Client) error {
		return exchange(ctx, client, "GET", "https://app.test/steady/page", nil, []byte(page))
	})
}

func (f *front) mortalPages(ctx context.Context, c *counts, http2 bool) {
	f.ask(ctx, nil, http2, 20*time.Millisecond, &c.mortalPages, &c.mortalFailed, func(client *http.Client) error {
		return exchange(ctx, client, "GET", "https://app.test/page", nil, []byte(page))
	})
}

func (f *front) uploads(ctx context.Context, c *counts, http2 bool, i int) {
	body := bytes.Repeat([]byte{byte('a' + i)}, uploadSize)
	want := fmt.Appendf(nil, "%x", sha256.Sum256(body))
	f.ask(ctx, c, http2, 100*time.Millisecond, &c.uploads, &c.uploadsFailed, func(client *http.Client) error {
		return exchange(ctx, client, "POST", "https://app.test/steady/upload", body, want)
	})
}

func (f *front) downloads(ctx context.Context, c *counts, http2 bool) {
	want := bytes.Repeat([]byte("0123456789abcdef"), fileSize/16)
	f.ask(ctx, c, http2, 100*time.Millisecond, &c.downloads, &c.downloadsFailed, func(client *http.Client) error {
		return exchange(ctx, client, "GET", "https://app.test/files/file.bin", nil, want)
	})
}
