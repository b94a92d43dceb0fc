package pusher

import (
	"strconv"
	"strings"
)

// Position is a place in what a Broker has stored: everything up to and
// including Seq. Clients get it as a token and give it back to go on from there.
type Position struct {
	// Epoch is the life of the store in which the token was given out: 1 to 32
	// letters a-z and digits.
	Epoch string
	// Seq is the number of the last message seen, in whatever channel.
	Seq uint64
}

// String is the token, E.S.
func (p Position) String() string {
	return string(p.append(make([]byte, 0, len(p.Epoch)+21)))
}

func (p Position) append(dst []byte) []byte {
	return strconv.AppendUint(append(append(dst, p.Epoch...), '.'), p.Seq, 10)
}

const maxEpoch = 32

// ParsePosition reads a token. It reports false for anything that String does
// not write.
func ParsePosition(token string) (Position, bool) {
	epoch, digits, ok := strings.Cut(token, ".")
	if !ok || epoch == "" || len(epoch) > maxEpoch || digits == "" || digits[0] == '0' && digits != "0" {
		return Position{}, false
	}
	for i := range len(epoch) {
		if b := epoch[i]; (b < 'a' || b > 'z') && (b < '0' || b > '9') {
			return Position{}, false
		}
	}
	if digits[0] < '0' || digits[0] > '9' { // ParseUint takes a sign no more than we do
		return Position{}, false
	}
	seq, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		return Position{}, false
	}
	return Position{epoch, seq}, true
}
