package brokertest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"wsfront/pusher"
)

// value is the value of a key, or "-" if it has none.
func (b *broker) value(key string) (string, uint64) {
	b.Helper()
	data, revision, err := b.KV().Get(b.Context(), key)
	if errors.Is(err, pusher.ErrNotFound) {
		return "-", 0
	}
	if err != nil {
		b.Fatalf("Get %s: %v", key, err)
	}
	return string(data), revision
}

func (b *broker) wantValue(key, want string, revision uint64) {
	b.Helper()
	if got, r := b.value(key); got != want || r != revision {
		b.Fatalf("%s is %.40q at revision %d, want %.40q at %d", key, got, r, want, revision)
	}
}

func kvValues(b *broker) {
	kv, ctx := b.KV(), b.Context()
	b.wantValue("key", "-", 0)
	one, err := kv.Create(ctx, "key", []byte("one"), 0)
	if err != nil {
		b.Fatal(err)
	}
	b.wantValue("key", "one", one)
	if _, err := kv.Create(ctx, "key", []byte("no"), 0); !errors.Is(err, pusher.ErrExists) {
		b.Errorf("Create of a key that exists: %v", err)
	}
	two, err := kv.Put(ctx, "key", []byte("two"), 0)
	if err != nil || two <= one {
		b.Fatalf("Put: revision %d, %v", two, err)
	}
	for _, revision := range []uint64{0, one, two + 1} {
		if _, err := kv.Update(ctx, "key", []byte("no"), revision, 0); !errors.Is(err, pusher.ErrRevision) {
			b.Errorf("Update of revision %d: %v", revision, err)
		}
	}
	b.wantValue("key", "two", two)
	three, err := kv.Update(ctx, "key", []byte("three"), two, 0)
	if err != nil {
		b.Fatal(err)
	}
	b.wantValue("key", "three", three)
	for range 2 { // the second time there is none
		if err := kv.Delete(ctx, "key"); err != nil {
			b.Fatal(err)
		}
		b.wantValue("key", "-", 0)
	}
	if _, err := kv.Update(ctx, "key", []byte("no"), three, 0); !errors.Is(err, pusher.ErrRevision) {
		b.Errorf("Update of a key without value: %v", err)
	}
	if again, err := kv.Create(ctx, "key", nil, 0); err != nil {
		b.Error(err)
	} else {
		b.wantValue("key", "", again)
	}
	big := bytes.Repeat([]byte{0, '\r', '\n', 255}, 16<<10)
	if revision, err := kv.Put(ctx, "big", big, 0); err != nil {
		b.Error(err)
	} else {
		b.wantValue("big", string(big), revision)
	}
	if list, err := b.Channels(ctx, 10); err != nil || len(list) != 0 {
		b.Errorf("keys make channels: %v, %v", list, err)
	}
}

func kvKeys(b *broker) {
	kv, ctx := b.KV(), b.Context()
	var printable []byte
	for c := byte('!'); c <= '~'; c++ {
		printable = append(printable, c)
	}
	keys := []string{
		"a", "A", ".", "..", "a.b", "a*b", "*", ">", "a>", "%", "%2E", "%2e", "certs/admin@example.com.json", `"quoted\"`, "$JS",
		string(printable), strings.Repeat(".", 250), strings.Repeat("k", 250),
	}
	for _, key := range keys {
		if _, err := kv.Create(ctx, key, []byte(key), 0); err != nil {
			b.Errorf("Create %.40q: %v", key, err)
		}
	}
	for _, key := range keys {
		if got, _ := b.value(key); got != key {
			b.Errorf("%.40q has the value %.40q", key, got)
		}
	}
	slices.Sort(keys)
	if got, err := kv.Keys(ctx, ""); err != nil || !slices.Equal(slices.Sorted(slices.Values(got)), keys) {
		b.Errorf("Keys are %.400q, %v", got, err)
	}
	if got, err := kv.Keys(ctx, "a."); err != nil || !slices.Equal(got, []string{"a.b"}) {
		b.Errorf("Keys with a. are %.400q, %v", got, err)
	}
	for _, key := range keys {
		if err := kv.Delete(ctx, key); err != nil {
			b.Errorf("Delete %.40q: %v", key, err)
		}
	}
	if got, err := kv.Keys(ctx, ""); err != nil || len(got) != 0 {
		b.Errorf("Keys after Delete are %.400q, %v", got, err)
	}
}

func kvOneCreates(b *broker) {
	for round := range 10 {
		key := fmt.Sprintf("lock/%d", round)
		var won atomic.Int32
		together(8, func(i int) {
			_, err := b.KV().Create(background, key, fmt.Append(nil, i), 0)
			if err == nil {
				won.Add(1)
			} else if !errors.Is(err, pusher.ErrExists) {
				b.Error(err)
			}
		})
		if won.Load() != 1 {
			b.Fatalf("%d have created one key", won.Load())
		}
		_, revision := b.value(key)
		won.Store(0)
		together(8, func(i int) {
			_, err := b.KV().Update(background, key, fmt.Append(nil, i), revision, 0)
			if err == nil {
				won.Add(1)
			} else if !errors.Is(err, pusher.ErrRevision) {
				b.Error(err)
			}
		})
		if won.Load() != 1 {
			b.Fatalf("%d have updated one revision", won.Load())
		}
	}
}

func kvTTL(b *broker) {
	kv, ctx := b.KV(), b.Context()
	if _, err := kv.Put(ctx, "stays", []byte("x"), 0); err != nil {
		b.Fatal(err)
	}
	renewed, err := kv.Create(ctx, "renewed", []byte("x"), 2*time.Second)
	if err != nil {
		b.Fatal(err)
	}
	if renewed, err = kv.Update(ctx, "renewed", []byte("y"), renewed, time.Hour); err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	if _, err := kv.Create(ctx, "lock", []byte("x"), time.Second); err != nil {
		b.Fatal(err)
	}
	b.eventually("the key has vanished, and can be created again", func() bool {
		_, err := kv.Create(ctx, "lock", []byte("y"), time.Hour)
		if err != nil && !errors.Is(err, pusher.ErrExists) {
			b.Fatal(err)
		}
		return err == nil
	})
	if took := time.Since(began); took < time.Second {
		b.Errorf("the key was gone after %s", took)
	}
	if got, _ := b.value("lock"); got != "y" {
		b.Errorf("lock is %q", got)
	}
	if got, _ := b.value("stays"); got != "x" {
		b.Errorf("stays is %q", got)
	}
	b.wantValue("renewed", "y", renewed)
}
