package pusher

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"
)

// memoryKV is the KV of Memory.
type memoryKV struct {
	mu       sync.Mutex
	revision uint64
	values   map[string]kvValue
}

type kvValue struct {
	data     []byte
	revision uint64
	until    time.Time // zero: for good
}

// get is the value that a key has now. kv.mu is held.
func (kv *memoryKV) get(key string) (kvValue, bool) {
	v, ok := kv.values[key]
	if ok && !v.until.IsZero() && !time.Now().Before(v.until) {
		delete(kv.values, key)
		return kvValue{}, false
	}
	return v, ok
}

// set gives a key a value. kv.mu is held.
func (kv *memoryKV) set(key string, data []byte, ttl time.Duration) uint64 {
	kv.revision++
	v := kvValue{data: slices.Clone(data), revision: kv.revision}
	if ttl > 0 {
		v.until = time.Now().Add(ttl)
	}
	kv.values[key] = v
	return kv.revision
}

func (kv *memoryKV) Get(_ context.Context, key string) ([]byte, uint64, error) {
	kv.mu.Lock()
	defer kv.mu.Unlock()
	v, ok := kv.get(key)
	if !ok {
		return nil, 0, ErrNotFound
	}
	return slices.Clone(v.data), v.revision, nil
}

func (kv *memoryKV) Put(_ context.Context, key string, value []byte, ttl time.Duration) (uint64, error) {
	kv.mu.Lock()
	defer kv.mu.Unlock()
	return kv.set(key, value, ttl), nil
}

func (kv *memoryKV) Create(_ context.Context, key string, value []byte, ttl time.Duration) (uint64, error) {
	kv.mu.Lock()
	defer kv.mu.Unlock()
	if _, ok := kv.get(key); ok {
		return 0, ErrExists
	}
	return kv.set(key, value, ttl), nil
}

func (kv *memoryKV) Update(_ context.Context, key string, value []byte, revision uint64, ttl time.Duration) (uint64, error) {
	kv.mu.Lock()
	defer kv.mu.Unlock()
	if v, ok := kv.get(key); !ok || v.revision != revision {
		return 0, ErrRevision
	}
	return kv.set(key, value, ttl), nil
}

func (kv *memoryKV) Delete(_ context.Context, key string) error {
	kv.mu.Lock()
	defer kv.mu.Unlock()
	delete(kv.values, key)
	return nil
}

func (kv *memoryKV) Keys(_ context.Context, prefix string) ([]string, error) {
	kv.mu.Lock()
	defer kv.mu.Unlock()
	var keys []string
	for key := range kv.values {
		if _, ok := kv.get(key); ok && strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	return keys, nil
}
