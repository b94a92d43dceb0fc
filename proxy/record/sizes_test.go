package record

import (
	"io"
	"slices"
	"testing"
)

// recordsOf are the lengths of the contents of what write sends over server.
func recordsOf(t *testing.T, client, server *Conn, write func()) []int {
	t.Helper()
	write()
	// Read by hand up to the mark, since a Read may join nothing but tells
	// nothing either.
	const mark = len("mark") + Overhead
	var sizes []int
	header := make([]byte, headerLen)
	for {
		if _, err := io.ReadFull(client.NetConn(), header); err != nil {
			t.Fatal(err)
		}
		n := int(header[3])<<8 | int(header[4])
		if _, err := io.CopyN(io.Discard, client.NetConn(), int64(n)); err != nil {
			t.Fatal(err)
		}
		if n+headerLen == mark {
			return sizes
		}
		sizes = append(sizes, n+headerLen-Overhead)
	}
}

func TestWrite_SmallRecordsFirstAndLargeInBulk(t *testing.T) {
	client, server := pair(t)
	skipTickets(t, client, server)
	small := slices.Repeat([]int{segment}, 12) // the first 16 KiB
	for name, want := range map[string][]int{
		"at first":     append(slices.Clone(small), maxPlain, maxPlain, 100),
		"after a rest": append(slices.Clone(small), maxPlain, maxPlain, 100),
	} {
		server.sizes.lastWrite -= 1000
		if got := recordsOf(t, client, server, func() {
			say(t, server, string(make([]byte, 12*segment+2*maxPlain+100)))
			say(t, server, "mark")
		}); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

func TestWrite_InBulkRecordsStayLarge(t *testing.T) {
	client, server := pair(t)
	skipTickets(t, client, server)
	recordsOf(t, client, server, func() {
		say(t, server, string(make([]byte, slowStart)))
		say(t, server, "mark")
	})
	// The clock is held, so that a slow machine takes no rest.
	server.sizes.lastWrite = 1 << 62
	got := recordsOf(t, client, server, func() {
		server.sizes.lastWrite = 1 << 62
		say(t, server, string(make([]byte, maxPlain)))
		say(t, server, "mark")
	})
	if !slices.Equal(got, []int{maxPlain}) {
		t.Errorf("%v, want one record", got)
	}
}

// skipTickets takes the server's session tickets out of the way.
func skipTickets(t *testing.T, client, server *Conn) {
	t.Helper()
	say(t, server, "after the tickets")
	hear(t, client, "after the tickets")
}
