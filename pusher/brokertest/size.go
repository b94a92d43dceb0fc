package brokertest

import (
	"fmt"
	"strings"
)

// awaitSize waits for a size that is as it should be: it may be told late.
func (b *broker) awaitSize(what string, is func(messages, bytes int64) bool) {
	b.Helper()
	b.eventually(what, func() bool {
		messages, bytes, err := b.Size(b.Context())
		if err != nil {
			b.Fatalf("Size: %v", err)
		}
		return is(messages, bytes)
	})
}

func size(b *broker) {
	const length = 10_000
	b.awaitSize("an empty store is empty", func(messages, bytes int64) bool { return messages == 0 && bytes == 0 })
	for i := range 12 {
		b.text(fmt.Sprintf("c.%d", i%3), strings.Repeat("x", length))
	}
	b.awaitSize("all channels are counted", func(messages, bytes int64) bool {
		return messages == 12 && bytes >= 12*length && bytes < 13*length
	})
	if err := b.Purge(b.Context(), "c.0"); err != nil {
		b.Fatal("Purge:", err)
	}
	// The purge itself may leave a mark.
	b.awaitSize("what was purged is not", func(messages, bytes int64) bool {
		return messages >= 8 && messages <= 9 && bytes >= 8*length && bytes < 9*length
	})
}

func sizeWithinLimits(b *broker) {
	for i := range 12 {
		b.text("a", fmt.Sprint(i))
	}
	b.awaitSize("what gave way is not counted", func(messages, bytes int64) bool { return messages == 5 && bytes > 0 })
}
