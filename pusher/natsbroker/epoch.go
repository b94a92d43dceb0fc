package natsbroker

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"wsfront/pusher"
)

// epochs are the lives of a store in which tokens were given out, oldest first.
type epochs []epoch

// epoch is one life of a store.
type epoch struct {
	id string
	// start is the last number that the store had given when the life began.
	start uint64
}

const (
	// epochsFile is in the folder of the store, so that who copies or restores
	// the folder takes it along.
	epochsFile = "epochs"
	// maxEpochs is how many lives are remembered.
	maxEpochs = 1000
)

// reaches tells whether a position is one that this store can continue: of a
// life that it knows, and not above what any life after that began with. (That
// of the next one would not do: when the machine fails, what is lost may be older
// than the life that it ends.) last is the last number of the store.
func (list epochs) reaches(p pusher.Position, last uint64) bool {
	for _, e := range slices.Backward(list) {
		if e.id == p.Epoch {
			return p.Seq <= last
		}
		last = min(last, e.start)
	}
	return false
}

// begin adds a life, and forgets those of whose messages nothing is stored.
func (list epochs) begin(id string, first, last uint64) epochs {
	list = append(list, epoch{id, last})
	for len(list) > 1 && (list[1].start < first || len(list) > maxEpochs) {
		list = list[1:]
	}
	return list
}

// newEpoch records that a life of the store in dir begins, which has the
// messages first to last. When it returns, that is on the disk: a token of this
// life must not be in the world before, or else one with the same number of a
// later life could be taken for it.
func newEpoch(dir string, first, last uint64) (epochs, error) {
	path := filepath.Join(dir, epochsFile)
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("store: %w", err)
	}
	list, err := parseEpochs(text)
	if err != nil {
		return nil, fmt.Errorf("store: %s: %w; delete the file, and every client that comes back is told of a gap", path, err)
	}
	list = list.begin(pusher.NewEpoch(), first, last)
	if err := writeDurably(dir, epochsFile, list.text()); err != nil {
		return nil, fmt.Errorf("store: record its epoch: %w", err)
	}
	return list, nil
}

// text has a line for each life: its id and where it began.
func (list epochs) text() []byte {
	var b bytes.Buffer
	for _, e := range list {
		fmt.Fprintf(&b, "%s %d\n", e.id, e.start)
	}
	return b.Bytes()
}

func parseEpochs(text []byte) (epochs, error) {
	var list epochs
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		id, start, _ := strings.Cut(lines.Text(), " ")
		n, err := strconv.ParseUint(start, 10, 64)
		if _, valid := pusher.ParsePosition(id + ".0"); !valid || err != nil {
			return nil, fmt.Errorf("line %d is no epoch", len(list)+1)
		}
		list = append(list, epoch{id, n})
	}
	return list, lines.Err()
}

// writeDurably replaces a file, so that even after a failure of the machine it
// is there whole, as it was or as it is now.
func writeDurably(dir, name string, data []byte) error {
	f, err := os.CreateTemp(dir, name+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // in vain once it has its name
	defer f.Close()
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), filepath.Join(dir, name)); err != nil {
		return err
	}
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}
