package pusher

import (
	"cmp"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
)

// Right is something that a key of the publish API allows.
type Right string

const (
	// RightPublish is POST /channels/{name} and POST /publish. The default.
	RightPublish Right = "publish"
	// RightRead is every GET: which channels there are, who listens, what was
	// published.
	RightRead Right = "read"
	// RightManage is every DELETE: a channel's history, and connections.
	RightManage Right = "manage"
)

// Key is a program that may use the publish API. Its channels and rights bound
// what it may do with them.
type Key struct {
	// Name is how the log calls the program: 1 to 64 letters, digits or any of
	// _-. .
	Name string `yaml:"name"`

	// KeyFile holds the program's key: a word of printable ASCII, or several, one
	// in each line, which all are valid. The file is looked at again while the
	// service runs, so that a key is changed without a restart: add a line, give
	// the new key to the program, remove the old line. It is made with a random
	// key, readable by its owner alone, when it is missing at start.
	KeyFile string `yaml:"key_file"`

	// Secret is the key itself, in place of KeyFile.
	Secret string `yaml:"-"`

	// Channels is what the key is for: names of channels, or beginnings of names
	// with a * behind them. A * alone is every channel.
	Channels []string `yaml:"channels"`

	// Rights is what the key allows there: publish, read (who listens, and what
	// was published) and manage (delete what was published, disconnect clients).
	// Default publish.
	Rights []Right `yaml:"rights"`
}

// String is the key's name: its secret is for nobody's eyes.
func (k Key) String() string { return k.Name }

// LogValue is the key's name.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.Name) }

// Keys are all programs that may use the publish API.
type Keys []Key

const maxKeyName = 64

// Validate reports everything that is wrong with k as FieldErrors, or nil. It
// does not look at files.
func (k Keys) Validate() error {
	var errs FieldErrors
	names, files := map[string]int{}, map[string]int{}
	for i, key := range k {
		at := fmt.Sprintf("keys[%d]", i)
		key.validate(&errs, at)
		once(&errs, names, at+".name", key.Name, i)
		once(&errs, files, at+".key_file", key.KeyFile, i)
	}
	return errs.orNil()
}

// once adds an error when a key before has the same value.
func once(errs *FieldErrors, seen map[string]int, field, value string, i int) {
	if first, twice := seen[value]; twice && value != "" {
		errs.add(field, "%q is that of keys[%d] already; write another, or make one key of the two", value, first)
		return
	}
	seen[value] = i
}

func (k *Key) validate(errs *FieldErrors, at string) {
	switch {
	case k.Name == "":
		errs.add(at+".name", "missing; write how the log is to call the program, such as django")
	case !validKeyName(k.Name):
		errs.add(at+".name", "%.80q is no name; write 1 to %d letters (a-z), digits or any of _-. , such as django", k.Name, maxKeyName)
	}
	if k.KeyFile == "" && k.Secret == "" {
		errs.add(at+".key_file", "missing; write the file that holds the key, such as /etc/wsfront/%s.key", cmp.Or(k.Name, "django"))
	}
	if len(k.Channels) == 0 {
		errs.add(at+`.channels`, `missing; write which channels the key is for, such as [board, "user.*"], or ["*"] for all`)
	}
	for i, pattern := range k.Channels {
		if p := channelPattern(pattern); !p.valid() {
			errs.add(fmt.Sprintf("%s.channels[%d]", at, i), "%s", p.problem())
		}
	}
	for i, right := range k.Rights {
		switch right {
		case RightPublish, RightRead, RightManage:
		default:
			errs.add(fmt.Sprintf("%s.rights[%d]", at, i), "%q is none of publish, read and manage; write some of them, or leave rights out for publish", string(right))
		}
	}
}

func validKeyName(name string) bool {
	return len(name) <= maxKeyName && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-' && r != '.'
	})
}

// allows reports whether k is for a right at all, wherever.
func (k *Key) allows(right Right) bool {
	return slices.Contains(k.Rights, right) || len(k.Rights) == 0 && right == RightPublish
}

// covers reports whether k is for a channel.
func (k *Key) covers(channel string) bool {
	return slices.ContainsFunc(k.Channels, func(p string) bool { return channelPattern(p).match(channel) })
}

// check refuses what k is not for; an empty channel stands for none in
// particular.
func (k *Key) check(right Right, channel string) *refusal {
	switch {
	case !k.allows(right):
		return &refusal{http.StatusForbidden, fmt.Sprintf(
			"the key %s has no right to %s; the operator gives it one by rights in push.publish.keys", k.Name, right)}
	case channel != "" && !k.covers(channel):
		return &refusal{http.StatusForbidden, fmt.Sprintf(
			"the key %s is not for channel %s; the operator adds it to channels in push.publish.keys", k.Name, channel)}
	}
	return nil
}
