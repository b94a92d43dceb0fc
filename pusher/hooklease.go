package pusher

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// A process that is killed cannot tell who has left by that. So each client is
// recorded in the KV before the app hears of it, and the record goes when the app
// has taken the disconnect, or never will:
//
//	conn/NODE/ID  a client of a process, as clientRecord
//	node/NODE     the process lives; vanishes by itself after leaseTTL
//	life/NODE     the process has lived, and may have left records
//
// Other processes on the same store, and the next one in it, look for processes
// that have a life/ and no node/ any more, take over their records, and tell the
// app. life/ is there so that this needs no list of all clients. A record is taken
// over by an Update of the revision that was read: of several that try, one
// succeeds. If that one dies too, its own lease is gone and the record free again.
//
// A process that was stopped for longer than leaseTTL and goes on has lost its
// clients to the others by then, and will tell their disconnects a second time:
// with the same id, as that is made of the client's. A disconnect that gave way in
// a full queue keeps its record and is told when this process has ended.
const (
	leaseTTL  = 30 * time.Second
	leaseBeat = 10 * time.Second
	sweepBeat = 30 * time.Second
	// hookKVTimeout is how long one operation of the KV may take.
	hookKVTimeout = 5 * time.Second
	// stoppedReason is the reason of a disconnect that the client's own process
	// did not live to tell.
	stoppedReason = "server was stopped"
)

// clientRecord is a client in the KV.
type clientRecord struct {
	Client ClientInfo `json:"client"`
	// Taker is the node that tells the client's disconnect in place of its own.
	Taker string `json:"taker,omitempty"`
}

func (r clientRecord) encode() []byte {
	r.Client = *r.Client.sound()
	return mustJSON(r)
}

func recordKey(node, id string) string { return "conn/" + node + "/" + id }

// remembers says whether clients are recorded at all.
func (k *Hooks) remembers() bool { return k.kv != nil && k.Wants(HookDisconnect) }

// record has a connect's client recorded. The order does not matter, but that it
// is before the connect is sent does; the queue sees to that.
func (k *Hooks) record(e *hookEvent) {
	k.records.mu.Lock()
	k.records.waiting = append(k.records.waiting, e)
	k.records.mu.Unlock()
	select {
	case k.records.wake <- struct{}{}:
	default:
	}
}

// writeRecords records clients until ctx ends. If that fails, the app hears of
// the client all the same; only its disconnect then depends on this process.
func (k *Hooks) writeRecords(ctx context.Context) {
	for ctx.Err() == nil {
		k.records.mu.Lock()
		waiting := k.records.waiting
		k.records.waiting = nil
		k.records.mu.Unlock()
		for _, e := range waiting {
			if ctx.Err() != nil {
				return
			}
			err := k.inKV(ctx, func(ctx context.Context) error {
				_, err := k.kv.Put(ctx, e.key, e.record, 0)
				return err
			})
			if err != nil {
				k.tally.note(EventHookLost, HookConnect, "client not recorded", err)
			}
			k.queue.recorded(e)
		}
		if len(waiting) > 0 {
			continue
		}
		select {
		case <-ctx.Done():
		case <-k.records.wake:
		}
	}
}

// inKV calls f with the time that it may take.
func (k *Hooks) inKV(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, hookKVTimeout)
	defer cancel()
	return f(ctx)
}

// forget takes away the record of a client whose disconnect is settled, even if
// Run's ctx has just ended: the app would be told twice.
func (k *Hooks) forget(ctx context.Context, e *hookEvent) {
	err := k.inKV(context.WithoutCancel(ctx), func(ctx context.Context) error { return k.kv.Delete(ctx, e.key) })
	if err != nil {
		k.tally.note(EventHookRetry, e.kind, "record not removed", err)
	}
}

// renew says that this process lives. The order matters: a life/ without node/
// is that of a process to be swept.
func (k *Hooks) renew(ctx context.Context) {
	err := k.inKV(ctx, func(ctx context.Context) error {
		if _, err := k.kv.Put(ctx, "node/"+k.node, []byte("{}"), leaseTTL); err != nil {
			return err
		}
		_, err := k.kv.Put(ctx, "life/"+k.node, []byte("{}"), 0)
		return err
	})
	k.leased.Store(err == nil)
	if err != nil && ctx.Err() == nil {
		k.tally.note(EventHookRetry, HookDisconnect, "lease not renewed", err)
	}
}

// release gives up the lease at the end of an ordered Shutdown, so that the next
// process need not wait for its end to tell what is left.
func (k *Hooks) release() {
	if !k.remembers() {
		return
	}
	_ = k.inKV(context.Background(), func(ctx context.Context) error { return k.kv.Delete(ctx, "node/"+k.node) })
}

// alive says whether a node's lease stands. When in doubt it does.
func (k *Hooks) alive(ctx context.Context, node string) bool {
	if node == k.node {
		return true
	}
	_, _, err := k.kv.Get(ctx, "node/"+node)
	return !errors.Is(err, ErrNotFound)
}

// sweep takes over the clients of processes that are gone.
func (k *Hooks) sweep(ctx context.Context) {
	if !k.leased.Load() {
		return // what this process takes over would be taken from it at once
	}
	lives, err := k.kv.Keys(ctx, "life/")
	if err != nil {
		k.tally.note(EventHookRetry, HookDisconnect, "records not read", err)
	}
	for _, life := range lives {
		node := strings.TrimPrefix(life, "life/")
		if k.alive(ctx, node) {
			continue
		}
		if err := k.takeOver(ctx, node); err != nil && ctx.Err() == nil {
			k.tally.note(EventHookRetry, HookDisconnect, "records not read", err)
		}
	}
}

// takeOver tells of the clients of a process that is gone, as many as there is
// room for: the others stay for another sweep.
func (k *Hooks) takeOver(ctx context.Context, node string) error {
	keys, err := k.kv.Keys(ctx, recordKey(node, ""))
	if err != nil {
		return err
	}
	if len(keys) == 0 {
		return k.kv.Delete(ctx, "life/"+node)
	}
	for _, key := range keys {
		if ctx.Err() != nil || k.queue.crowded() {
			return nil
		}
		if err := k.take(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

// take makes a record this process's own, unless another has been faster.
func (k *Hooks) take(ctx context.Context, key string) error {
	value, revision, err := k.kv.Get(ctx, key)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	var r clientRecord
	if json.Unmarshal(value, &r) != nil || r.Client.ID == "" {
		return k.kv.Delete(ctx, key) // nothing that can be told
	}
	if r.Taker != "" && k.alive(ctx, r.Taker) {
		return nil
	}
	r.Taker = k.node
	switch _, err := k.kv.Update(ctx, key, r.encode(), revision, 0); {
	case errors.Is(err, ErrRevision), errors.Is(err, ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	e := &hookEvent{kind: HookDisconnect, id: r.Client.ID + "." + HookDisconnect, key: key, born: time.Now()}
	e.body = e.describe(occurrence{Client: &r.Client, Reason: stoppedReason})
	k.queue.add(r.Client.ID, e)
	return nil
}
