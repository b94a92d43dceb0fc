package proxy

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// Beginnings of what an htpasswd file keeps of a password. That of bcrypt has
// one letter more, which tells implementations apart: $2y$, $2a$, $2b$.
const (
	bcryptPrefix = "$2"
	apr1Prefix   = "$apr1$"
	shaPrefix    = "{SHA}"
)

const (
	// bcryptLength is the length of a password kept by bcrypt.
	bcryptLength = 60
	// maxBcryptCost is the most that htpasswd -C takes; with more, one check
	// would take longer than anybody waits.
	maxBcryptCost = 17
	// maxSalt is how much of a salt counts for $apr1$.
	maxSalt = 8
)

// htpasswd are the users of a password file, as Apache's htpasswd writes it:
// NAME:PASSWORD in each line. It never changes once it is made.
type htpasswd struct {
	users map[string]passwordHash
	// slowest is the one that is the most work to check: it is checked for those
	// whom nobody knows, who would be told apart by their answer's time.
	slowest passwordHash
}

// passwordHash is what is kept of a password.
type passwordHash struct {
	text string
	work int // to check it, compared with others: 0 for {SHA}, 1 for $apr1$, more for bcrypt
}

// parseHtpasswd reads a file's text; path is for the advice in errors.
func parseHtpasswd(path string, text []byte) (*htpasswd, error) {
	h := &htpasswd{users: map[string]passwordHash{}}
	number := 0
	for line := range bytes.Lines(text) {
		number++
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		name, kept, ok := strings.Cut(string(line), ":")
		kept, _, _ = strings.Cut(kept, ":") // some programs write more behind it
		switch {
		case !ok, name == "", hasControl(name):
			return nil, fmt.Errorf("%s:%d: this is no line of a password file; write one by: htpasswd -B %s NAME", path, number, path)
		case len(name) > maxCredential:
			return nil, fmt.Errorf("%s:%d: the name is longer than %d bytes; write a shorter one", path, number, maxCredential)
		}
		hash, err := parsePassword(kept)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: the password of %s %w; write it anew by: htpasswd -B %s %s", path, number, name, err, path, name)
		}
		if _, ok := h.users[name]; ok {
			continue // Apache takes the first, too
		}
		h.users[name] = hash
		if h.slowest.text == "" || hash.work > h.slowest.work {
			h.slowest = hash
		}
	}
	if len(h.users) == 0 {
		return nil, fmt.Errorf("%s holds no user; write one by: htpasswd -B %s NAME", path, path)
	}
	return h, nil
}

// parsePassword checks what is kept of a password, so that nothing is wrong
// with it later.
func parsePassword(kept string) (passwordHash, error) {
	switch {
	case strings.HasPrefix(kept, bcryptPrefix):
		cost, err := bcrypt.Cost([]byte(kept))
		switch {
		case err != nil, len(kept) != bcryptLength, !strings.Contains("yab", kept[2:3]), !isCrypt64(kept[7:]):
			return passwordHash{}, fmt.Errorf("is not whole")
		case cost > maxBcryptCost:
			return passwordHash{}, fmt.Errorf("has a cost of %d, which takes minutes", cost)
		}
		return passwordHash{kept, 1 + cost}, nil
	case strings.HasPrefix(kept, apr1Prefix):
		salt, sum, ok := strings.Cut(kept[len(apr1Prefix):], "$")
		if !ok || len(salt) > maxSalt || len(sum) != 22 || !isCrypt64(sum) {
			return passwordHash{}, fmt.Errorf("is not whole")
		}
		return passwordHash{kept, 1}, nil
	case strings.HasPrefix(kept, shaPrefix):
		// Its length as well, as the decoder passes over line ends.
		if sum, err := base64.StdEncoding.DecodeString(kept[len(shaPrefix):]); err != nil || len(sum) != sha1.Size ||
			len(kept) != len(shaPrefix)+base64.StdEncoding.EncodedLen(sha1.Size) {
			return passwordHash{}, fmt.Errorf("is not whole")
		}
		return passwordHash{kept, 0}, nil
	}
	return passwordHash{}, fmt.Errorf("is in plain text or in a form of crypt, which are not supported")
}

// verify reports whether the password is the user's. It takes as long for a
// user whom nobody knows as for a wrong password.
func (h *htpasswd) verify(name, password []byte) bool {
	hash, known := h.users[string(name)]
	if known && hash.matches(password) {
		return true
	}
	if !known || hash.work < h.slowest.work {
		h.slowest.matches(password) // whatever it says
	}
	return false
}

func (p passwordHash) matches(password []byte) bool {
	switch {
	case strings.HasPrefix(p.text, apr1Prefix):
		salt, _, _ := strings.Cut(p.text[len(apr1Prefix):], "$")
		return subtle.ConstantTimeCompare([]byte(apr1(password, salt)), []byte(p.text)) == 1
	case strings.HasPrefix(p.text, shaPrefix):
		sum := sha1.Sum(password)
		return subtle.ConstantTimeCompare([]byte(base64.StdEncoding.EncodeToString(sum[:])), []byte(p.text[len(shaPrefix):])) == 1
	}
	return bcrypt.CompareHashAndPassword([]byte(p.text), password) == nil
}

// crypt64 are the digits of crypt's base 64, which begins with the lowest bits.
const crypt64 = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

func isCrypt64(s string) bool {
	return strings.Trim(s, crypt64) == ""
}

// apr1 is Apache's form of the MD5 crypt of FreeBSD, which differs from it by the
// name alone.
func apr1(password []byte, salt string) string {
	sum := md5.New()
	inner := md5.Sum([]byte(string(password) + salt + string(password)))
	sum.Write(password)
	sum.Write([]byte(apr1Prefix + salt))
	for left := len(password); left > 0; left -= len(inner) {
		sum.Write(inner[:min(left, len(inner))])
	}
	for bits := len(password); bits > 0; bits >>= 1 {
		if bits&1 == 1 {
			sum.Write([]byte{0})
		} else {
			sum.Write(password[:1])
		}
	}
	final := sum.Sum(nil)
	for round := range 1000 {
		sum.Reset()
		last := final
		first := password
		if round%2 == 0 {
			first, last = final, password
		}
		sum.Write(first)
		if round%3 != 0 {
			sum.Write([]byte(salt))
		}
		if round%7 != 0 {
			sum.Write(password)
		}
		sum.Write(last)
		final = sum.Sum(nil)
	}
	b := []byte(apr1Prefix + salt + "$")
	for i := range 5 {
		third := i + 12
		if i == 4 {
			third = 5
		}
		b = appendCrypt64(b, uint(final[i])<<16|uint(final[i+6])<<8|uint(final[third]), 4)
	}
	return string(appendCrypt64(b, uint(final[11]), 2))
}

func appendCrypt64(b []byte, value uint, digits int) []byte {
	for range digits {
		b = append(b, crypt64[value&63])
		value >>= 6
	}
	return b
}

// hasControl reports whether a text holds a control character, which could end
// a line of a head or of a log.
func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f })
}
