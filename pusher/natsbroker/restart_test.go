package natsbroker

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"wsfront/pusher"
)

func reaches(t *testing.T, b *Broker, epoch string, seq uint64) bool {
	t.Helper()
	ok, err := b.Reaches(t.Context(), pusher.Position{Epoch: epoch, Seq: seq})
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

func next(t *testing.T, b *Broker, channel string, after uint64) []*pusher.Entry {
	t.Helper()
	list, err := b.Next(t.Context(), channel, after, 1<<20, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestRestart_KeepsEverything(t *testing.T) {
	o := Options{Dir: t.TempDir()}
	b := open(t, o)
	var last uint64
	for i := range 10 {
		last = mustAppend(t, b, "a", pusher.Draft{Text: true, Data: fmt.Append(nil, i), ID: fmt.Sprint(i)})
	}
	purged := mustAppend(t, b, "purged", draft("x"))
	if err := b.Purge(t.Context(), "purged"); err != nil {
		t.Fatal(err)
	}
	revision, err := b.KV().Put(t.Context(), "key", []byte("value"), 0)
	if err != nil {
		t.Fatal(err)
	}
	epoch := b.Epoch()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}

	o.Messages = 8 // limits may have changed
	b = open(t, o)
	if b.Epoch() == epoch {
		t.Error("the epoch is still the same")
	}
	if !reaches(t, b, epoch, last) || !reaches(t, b, epoch, purged) || reaches(t, b, epoch, purged+2) {
		t.Error("the tokens from before do not reach as far as they should")
	}
	list := next(t, b, "a", 0)
	if len(list) != 8 || list[7].Seq != last || string(list[0].Data) != "2" {
		t.Errorf("%d messages are stored", len(list))
	}
	if again, err := b.Append(t.Context(), "a", pusher.Draft{Data: []byte("9"), ID: "9"}); err != nil || !again.Duplicate || again.Seq != last {
		t.Errorf("the last message again: %+v, %v", again, err)
	}
	if head, err := b.Head(t.Context(), "purged"); err != nil || head.Last != purged || head.Certain > purged {
		t.Errorf("head of the purged channel: %+v, %v", head, err)
	}
	mustAppend(t, b, "a", draft("after"))
	if list := next(t, b, "a", last); len(list) != 1 || list[0].Prev != last {
		t.Errorf("the message after the restart: %+v", list)
	}
	if value, r, err := b.KV().Get(t.Context(), "key"); err != nil || string(value) != "value" || r != revision {
		t.Errorf("key: %q at %d, %v", value, r, err)
	}
}

// After a restart it is not known any more when the last message of a channel
// was, if it is too old to be stored: that must be told, within bounds.
func TestRestart_ChannelThatIsTooOldIsUncertain(t *testing.T) {
	o := Options{Dir: t.TempDir(), Age: time.Second}
	b := open(t, o)
	first := mustAppend(t, b, "a", draft("1"))
	last := mustAppend(t, b, "a", draft("2"))
	eventually(t, "the messages are too old", func() bool { return len(next(t, b, "a", 0)) == 0 })
	b.Close()
	b = open(t, o)
	head, err := b.Head(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	if head.Last == 0 && head.Certain <= first {
		t.Errorf("head %+v hides that there was message %d", head, last)
	}
	seq := mustAppend(t, b, "a", draft("3"))
	if e := next(t, b, "a", 0)[0]; e.Prev < last || e.Prev >= seq {
		t.Errorf("message %d has Prev %d, want %d or a little more", seq, e.Prev, last)
	}
}

func copyFolder(t *testing.T, from string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return to
}

func TestReaches_NotAboveAnOlderCopy(t *testing.T) {
	o := Options{Dir: filepath.Join(t.TempDir(), "store")}
	b := open(t, o)
	kept := mustAppend(t, b, "a", draft("in the copy"))
	first := b.Epoch()
	b.Close()
	backup := copyFolder(t, o.Dir)

	b = open(t, o)
	lost := mustAppend(t, b, "a", draft("after the copy"))
	second := b.Epoch()
	b.Close()
	if err := os.RemoveAll(o.Dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(backup, o.Dir); err != nil {
		t.Fatal(err)
	}

	for range 2 { // what is not reached stays so when the number is given again
		b = open(t, o)
		if again := mustAppend(t, b, "a", draft("after the restore")); again < lost {
			t.Fatalf("the test needs a number from %d on, got %d", lost, again)
		}
		if !reaches(t, b, first, kept) {
			t.Error("a token from before the copy does not reach")
		}
		if reaches(t, b, first, kept+1) || reaches(t, b, second, lost) || reaches(t, b, second, kept) {
			t.Error("a token from after the copy reaches")
		}
		b.Close()
	}
}

func TestReaches_NothingInAWipedStore(t *testing.T) {
	o := Options{Dir: t.TempDir()}
	b := open(t, o)
	seq := mustAppend(t, b, "a", draft("1"))
	epoch := b.Epoch()
	b.Close()
	backup, err := os.ReadFile(filepath.Join(o.Dir, epochsFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, keepEpochs := range []bool{false, true} {
		if err := os.RemoveAll(o.Dir); err != nil {
			t.Fatal(err)
		}
		if keepEpochs { // as when only the messages are deleted
			if err := os.MkdirAll(o.Dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(o.Dir, epochsFile), backup, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		b = open(t, o)
		mustAppend(t, b, "a", draft("2"))
		mustAppend(t, b, "a", draft("3"))
		if reaches(t, b, epoch, seq) {
			t.Errorf("a token reaches in a wiped store (epochs kept: %v)", keepEpochs)
		}
		b.Close()
	}
}

func TestOpen_FolderIsInUse(t *testing.T) {
	o := Options{Dir: t.TempDir()}
	b := open(t, o)
	if _, err := Open(t.Context(), o, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "another process has") {
		t.Errorf("opened twice: %v", err)
	}
	b.Close()
	open(t, o)
}

func TestOpen_UnreadableEpochsAreNoReasonToStart(t *testing.T) {
	o := Options{Dir: t.TempDir()}
	if err := os.WriteFile(filepath.Join(o.Dir, epochsFile), []byte("abcdefgh 1\nnonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), o, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "line 2 is no epoch; delete the file") {
		t.Errorf("got the error %v", err)
	}
}

// childDir has the test binary run as child, on the store in this folder.
const childDir = "WSFRONT_TEST_STORE"

// child appends until it is killed, and prints its epoch and then each message
// that was acknowledged.
func child(dir string) int {
	b, err := Open(context.Background(), Options{Dir: dir}, slog.New(slog.DiscardHandler))
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println(b.Epoch())
	lines := make(chan string)
	for p := range 4 {
		go func() {
			for i := 0; ; i++ {
				channel, id := fmt.Sprintf("c%d", i%3), fmt.Sprintf("%s-%d-%d", b.Epoch(), p, i)
				a, err := b.Append(context.Background(), channel, pusher.Draft{Data: []byte(id), ID: id})
				if err != nil {
					lines <- err.Error()
					return
				}
				lines <- fmt.Sprintln(channel, id, a.Seq)
			}
		}()
	}
	for line := range lines {
		if _, err := os.Stdout.WriteString(line); err != nil {
			return 1
		}
	}
	return 0
}

type acked struct {
	channel, id string
	seq         uint64
}

// runAndKill has a child append to the store, and kills it in the middle of that.
func runAndKill(t *testing.T, dir string, atLeast int) (epoch string, list []acked) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait() // it was killed, which is an error
	defer cmd.Process.Kill()
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatal("the child says nothing")
	}
	epoch = lines.Text()
	for lines.Scan() { // what it still wrote before its death, too
		var a acked
		if _, err := fmt.Sscan(lines.Text(), &a.channel, &a.id, &a.seq); err != nil {
			continue // the last line may have been cut
		}
		if list = append(list, a); len(list) == atLeast {
			cmd.Process.Kill()
		}
	}
	if len(list) < atLeast {
		t.Fatalf("the child ended after %d messages", len(list))
	}
	return epoch, list
}

func TestSIGKILL_LosesNothing(t *testing.T) {
	dir := t.TempDir()
	var all []acked
	tokens := map[string]uint64{}
	for range 3 {
		epoch, list := runAndKill(t, dir, 300)
		all = append(all, list...)
		tokens[epoch] = list[len(list)-1].seq
	}
	b := open(t, Options{Dir: dir})
	stored := map[string]*pusher.Entry{}
	for c := range 3 {
		prev := uint64(0)
		for _, e := range next(t, b, fmt.Sprintf("c%d", c), 0) {
			if e.Prev != prev {
				t.Fatalf("message %d has Prev %d, want %d", e.Seq, e.Prev, prev)
			}
			if prev = e.Seq; stored[string(e.Data)] != nil {
				t.Fatalf("message %s is stored twice", e.Data)
			}
			stored[string(e.Data)] = e
		}
	}
	for _, a := range all {
		if e := stored[a.id]; e == nil || e.Seq != a.seq || e.Channel != a.channel {
			t.Fatalf("message %+v was acknowledged, stored is %+v", a, e)
		}
		again, err := b.Append(t.Context(), a.channel, pusher.Draft{Data: []byte(a.id), ID: a.id})
		if err != nil || !again.Duplicate || again.Seq != a.seq {
			t.Fatalf("message %+v again: %+v, %v", a, again, err)
		}
	}
	for epoch, seq := range tokens {
		if !reaches(t, b, epoch, seq) {
			t.Errorf("token %s.%d does not reach", epoch, seq)
		}
	}
	if len(tokens) != 3 {
		t.Errorf("three lives have the epochs %v", tokens)
	}
}

func TestChannels_OneTooManyIsRefused(t *testing.T) {
	b := open(t, Options{Dir: t.TempDir(), Channels: 20})
	refused := make(chan bool, 60)
	for i := range 60 {
		go func() {
			_, err := b.Append(context.Background(), fmt.Sprintf("c%d", i), draft("x"))
			if err != nil && !errors.Is(err, pusher.ErrStoreFull) {
				t.Error(err)
			}
			refused <- err != nil
		}()
	}
	stored := 60
	for range 60 {
		if <-refused {
			stored--
		}
	}
	list, err := b.Channels(t.Context(), 100)
	if err != nil || len(list) != stored || stored > 20 || stored == 0 {
		t.Errorf("%d are stored, %d listed, %v", stored, len(list), err)
	}
	for i := 0; stored < 20; i++ { // together they may have been refused too early
		if _, err := b.Append(t.Context(), fmt.Sprintf("d%d", i), draft("x")); err != nil {
			t.Fatalf("channel %d: %v", stored, err)
		}
		stored++
	}
	for name := range list {
		mustAppend(t, b, name, draft("y"))
	}
	if _, err := b.Append(t.Context(), "more", draft("x")); !errors.Is(err, pusher.ErrStoreFull) {
		t.Errorf("one channel more: %v", err)
	}
	if n := b.newcomers.Load(); n != 0 {
		t.Errorf("%d are still counted", n)
	}
}

func TestTotal_OldestGiveWay(t *testing.T) {
	b := open(t, Options{Dir: t.TempDir(), Total: 256 << 10})
	data := strings.Repeat("x", 4<<10)
	old := mustAppend(t, b, "old", draft(data))
	var last uint64
	for i := range 200 {
		last = mustAppend(t, b, fmt.Sprintf("c%d", i%50), draft(data))
	}
	if list := next(t, b, "old", 0); len(list) != 0 {
		t.Error("the oldest message is still there")
	}
	head, err := b.Head(t.Context(), "old")
	if err != nil || head.Last != old {
		t.Errorf("head %+v, %v", head, err)
	}
	if head, err = b.Head(t.Context(), "never"); err != nil || head.Last != 0 || head.Certain < old || head.Certain >= last {
		t.Errorf("head of a channel that never was: %+v, %v", head, err)
	}
}

// Next finds what a channel has far back among those of others, few messages or
// many.
func TestNext_FarBehind(t *testing.T) {
	b := open(t, Options{Dir: t.TempDir()})
	for _, test := range []struct{ stored, missed int }{{1, 0}, {10, 9}, {10, 10}, {200, 65}, {200, 200}} {
		name := fmt.Sprintf("c%d-%d", test.stored, test.missed)
		var seqs []uint64
		for range test.stored {
			seqs = append(seqs, mustAppend(t, b, name, draft("x")))
		}
		other := pusher.Draft{Data: []byte("x")}
		for i := range farBehind + 10 {
			mustAppend(t, b, fmt.Sprint("other", i%3), other)
		}
		after := uint64(0)
		if test.missed < test.stored {
			after = seqs[test.stored-test.missed-1]
		}
		list := next(t, b, name, after)
		if len(list) != test.missed {
			t.Fatalf("%+v: %d messages", test, len(list))
		}
		for i, e := range list {
			if e.Seq != seqs[test.stored-test.missed+i] {
				t.Fatalf("%+v: message %d is %d", test, i, e.Seq)
			}
		}
		if list, err := b.Next(t.Context(), name, after, 3, 1<<20); err != nil || len(list) != min(3, test.missed) || len(list) > 0 && list[0].Seq != seqs[test.stored-test.missed] {
			t.Errorf("%+v: the first three are %d, %v", test, len(list), err)
		}
	}
}

func TestAppend_LongestMessage(t *testing.T) {
	log := newJournal()
	b := openLogging(t, Options{Dir: t.TempDir(), Bytes: 32 << 20}, log)
	longest := pusher.Draft{Data: make([]byte, MaxMessage), ID: strings.Repeat("x", 1000), TTL: time.Hour}
	mustAppend(t, b, strings.Repeat("x", 164), longest)
	if _, err := b.Append(t.Context(), "a", pusher.Draft{Data: make([]byte, maxPayload)}); err == nil || !strings.Contains(err.Error(), "too long") {
		t.Errorf("a longer one: %v", err)
	}
	if list := next(t, b, strings.Repeat("x", 164), 0); len(list) != 1 || len(list[0].Data) != MaxMessage {
		t.Errorf("%d messages", len(list))
	}
	if log.has("push.store") {
		t.Errorf("the log is not empty: %s", log.text.String())
	}
}

func TestKV_FullIsToldApart(t *testing.T) {
	b := open(t, Options{Dir: t.TempDir()})
	value := make([]byte, 64<<10)
	var err error
	n := 0
	for ; err == nil && n <= kvTotal/len(value); n++ {
		_, err = b.KV().Create(t.Context(), fmt.Sprint("key", n), value, 0)
	}
	if !errors.Is(err, pusher.ErrStoreFull) || n < kvTotal/len(value)*9/10 {
		t.Errorf("after %d values: %v", n, err)
	}
	if _, err := b.KV().Put(t.Context(), "key0", []byte("small"), 0); err != nil {
		t.Errorf("a smaller value for a key of a full store: %v", err)
	}
}

func TestSync_BeforeEachAppendReturns(t *testing.T) {
	b := open(t, Options{Dir: t.TempDir(), Sync: SyncAlways})
	for i := range 20 {
		mustAppend(t, b, fmt.Sprint("c", i%3), draft("x"))
	}
	if list := next(t, b, "c0", 0); len(list) != 7 {
		t.Errorf("%d messages", len(list))
	}
}
