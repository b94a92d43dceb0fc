package pusher

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"
)

// idleLine is a connection whose writer never comes, for what happens in the
// queue alone.
type idleLine struct{}

func (idleLine) transport() string        { return "none" }
func (idleLine) encode(m *message) []byte { return m.frame }
func (idleLine) farewell(string) []byte   { return nil }
func (idleLine) wake()                    {}
func (idleLine) allow()                   {}
func (idleLine) hurry(time.Time)          {}

func newIdleClient(t *testing.T, cfg Config) (*Hub, *client) {
	t.Helper()
	hub, err := New(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := hub.newClient("board", "", idleLine{})
	return hub, &c
}

func textOf(size int) *message {
	return newMessage(true, make([]byte, headroom+size))
}

func TestClient_EmptyMessagesDoNotGrowTheQueueBeyondItsLimit(t *testing.T) {
	_, c := newIdleClient(t, Config{QueueBytes: 1 << 10})
	sent := 0
	for c.push(textOf(0)) {
		sent++
	}
	if most := 1 << 10 / slotBytes; sent > most || sent == 0 {
		t.Errorf("%d empty messages were queued, want at most %d", sent, most)
	}
	if c.isOpen() || c.queue != nil || !c.ending.slow {
		t.Errorf("after the queue was full: %+v", c.ending)
	}
}

func TestClient_OneMessageAlwaysFits(t *testing.T) {
	_, c := newIdleClient(t, Config{QueueBytes: 100})
	if !c.push(textOf(100)) {
		t.Error("a message of max_message did not fit an empty queue")
	}
	if c.push(textOf(0)) {
		t.Error("the queue was full, and took another")
	}
}

func TestClient_TakesWhatFitsInABlock(t *testing.T) {
	_, c := newIdleClient(t, Config{})
	var want bytes.Buffer
	for _, size := range []int{10, 20, blockBytes, 30, blockBytes / 2, blockBytes / 2, blockBytes * 3, 40} {
		m := textOf(size)
		want.Write(m.frame)
		c.push(m)
	}
	var got bytes.Buffer
	var batch [][]byte
	var sizes []int
	for {
		if batch = c.take(batch); batch == nil {
			break
		}
		block := bytes.Join(batch, nil)
		if len(batch) > 1 && len(block) > blockBytes {
			t.Errorf("%d frames make a block of %d bytes", len(batch), len(block))
		}
		sizes = append(sizes, len(batch))
		got.Write(block)
	}
	if !bytes.Equal(got.Bytes(), want.Bytes()) {
		t.Error("the frames taken are not those queued")
	}
	if len(sizes) != 6 || c.messages != 8 || c.bytes != int64(want.Len()) || c.queued != 0 {
		t.Errorf("batches %v, counted %d messages and %d bytes of %d, %d left", sizes, c.messages, c.bytes, want.Len(), c.queued)
	}
}

func TestClient_CloseGoesBeforeOrAfterWhatWaits(t *testing.T) {
	for _, drop := range []bool{false, true} {
		_, c := newIdleClient(t, Config{})
		c.push(textOf(1))
		c.push(textOf(2))
		last := closeFrame(1000, "")
		c.finish(last, ending{code: 1000}, drop)
		if c.push(textOf(3)) {
			t.Error("a message was queued behind the Close")
		}
		batch := c.take(nil)
		want := 3
		if drop {
			want = 1
		}
		if len(batch) != want || !bytes.Equal(batch[want-1], last) {
			t.Errorf("drop %t: %d frames, last %x", drop, len(batch), batch[len(batch)-1])
		}
	}
}

func TestShutdown_ReachesWhoJoinsMeanwhile(t *testing.T) {
	hub, c := newIdleClient(t, Config{})
	if !hub.enter() {
		t.Fatal("not admitted")
	}
	ended := make(chan error, 1)
	go func() { ended <- hub.Shutdown(context.Background()) }() // ends with hub.exit
	eventually(t, "shutdown has begun", func() bool {
		hub.mu.RLock()
		defer hub.mu.RUnlock()
		return hub.parting != nil
	})
	hub.join(c)
	if c.isOpen() {
		t.Error("shutdown overlooks a client that joined after it began")
	}
	hub.leave(c)
	hub.exit()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if hub.enter() {
		t.Error("a client is admitted after shutdown")
	}
}

func TestCloseFrame_ReasonIsCutToAControlFrame(t *testing.T) {
	frame := closeFrame(1000, strings.Repeat("x", 200))
	if len(frame) != 127 || frame[1] != 125 {
		t.Errorf("%d bytes, length %d", len(frame), frame[1])
	}
}
