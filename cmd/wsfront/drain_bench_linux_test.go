package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"
)

// BenchmarkDrain ends a process that has a crowd: 1,000 tunnels and 200 push
// clients, and 20 uploads whose second half comes a second later. It tells how
// long that takes, and over which time clients are sent away.
func BenchmarkDrain(b *testing.B) {
	const tunnels, pushed, uploads = 1000, 200, 20
	for b.Loop() {
		b.StopTimer()
		u := startUpgrading(b)
		var open, left sync.WaitGroup
		var mu sync.Mutex
		codes := map[int]int{}
		var closed [2][]time.Duration // of tunnels and push clients
		begin := make(chan time.Time)
		var begun time.Time
		for i := range tunnels + pushed {
			path, kind := "/echo", 0
			if i >= tunnels {
				path, kind = "/push", 1
			}
			conn := u.open(path)
			_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
			left.Go(func() { // ends with the connection, awaited below
				code := closedBy(conn)
				at := time.Now()
				mu.Lock()
				defer mu.Unlock()
				codes[code]++
				closed[kind] = append(closed[kind], at.Sub(begun))
			})
		}
		failed := make(chan error, uploads)
		for range uploads {
			open.Add(1)
			go func() { // ends with the answer, awaited below
				failed <- upload(u.http, open.Done, begin)
			}()
		}
		open.Wait()
		b.StartTimer()
		mu.Lock()
		begun = time.Now()
		mu.Unlock()
		_ = u.first.Process.Signal(syscall.SIGTERM)
		close(begin)
		err := u.first.Wait()
		b.StopTimer()
		took := time.Since(begun)
		left.Wait()
		lost := 0
		for range uploads {
			if err := <-failed; err != nil {
				lost++
				b.Log(err)
			}
		}
		b.Logf("ended after %v with %v; Close codes %v; %d of %d uploads lost", took.Round(time.Millisecond), err, codes, lost, uploads)
		for i, what := range []string{"tunnels", "push clients"} {
			first, last := closed[i][0], closed[i][0]
			for _, at := range closed[i] {
				first, last = min(first, at), max(last, at)
			}
			b.Logf("%s were closed from %v to %v", what, first.Round(time.Millisecond), last.Round(time.Millisecond))
		}
		b.StartTimer()
	}
}

// upload sends half of a body, calls open, and the rest a second after begin.
func upload(address string, open func(), begin <-chan time.Time) error {
	half := make([]byte, 64<<10)
	conn, err := net.Dial("tcp", address)
	if err == nil {
		defer conn.Close()
		_, err = fmt.Fprintf(conn, "POST /upload HTTP/1.1\r\nHost: app.test\r\nContent-Length: %d\r\n\r\n%s", 2*len(half), half)
	}
	open()
	if err != nil {
		return err
	}
	<-begin
	time.Sleep(time.Second) // the second half is what is waited for
	if _, err := conn.Write(half); err != nil {
		return err
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, res.Body)
	if res.StatusCode != http.StatusOK {
		return errors.New(res.Status)
	}
	return nil
}
