package proxy

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxPasswordFile is far more than any password file has; a longer one is
	// another file, named by mistake.
	maxPasswordFile = 16 << 20
	// maxCredential is the length of the longest user name and of the longest
	// password, which are those of htpasswd. Without a limit, each round of
	// $apr1$ would read all that the head of a request has room for.
	maxCredential = 255
	// maxVerified is how many credentials of a file are remembered as right: one
	// for each user, or some more where passwords are changed.
	maxVerified = 1024
	// passwordWait is how long a request waits for its password to be checked
	// while others are: see Server.passwordChecks.
	passwordWait = 5 * time.Second
)

// errPasswordsBusy says that too many passwords wait to be checked.
var errPasswordsBusy = errors.New("more passwords come than can be checked")

// passwordFile is a password file in use, read again when it changes. Routes
// that name the same file share it.
type passwordFile struct {
	path    string
	current atomic.Pointer[passwords]

	// Only the goroutine that polls uses these.
	served fileState // of the file that was last dealt with
	broken fileState // of a file that did not load, once
}

// passwords are the users of a file as it was read, and the credentials that
// were right. A changed file has new ones, so that nothing of the old is
// remembered.
type passwords struct {
	*htpasswd
	salt [32]byte // random: what is remembered means nothing elsewhere

	mu       sync.Mutex
	verified map[[sha256.Size]byte]string // hash of credentials to the user's name
}

// loadPasswordFile reads the file for the first time.
func loadPasswordFile(path string) (*passwordFile, error) {
	f := &passwordFile{path: path, served: stateOfFiles(path)}
	p, err := readPasswords(path)
	if err != nil {
		return nil, err
	}
	f.current.Store(p)
	return f, nil
}

// CheckPasswordFile says what is wrong with the file of a BasicAuth, or nil.
func CheckPasswordFile(path string) error {
	_, err := readPasswords(path)
	return err
}

func readPasswords(path string) (*passwords, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fileError("password", path, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxPasswordFile+1))
	switch {
	case err != nil:
		return nil, fileError("password", path, err)
	case len(text) > maxPasswordFile:
		return nil, fmt.Errorf("%s is longer than any password file; write the one that htpasswd made", path)
	}
	users, err := parseHtpasswd(path, text)
	if err != nil {
		return nil, err
	}
	p := &passwords{htpasswd: users, verified: map[[sha256.Size]byte]string{}}
	_, _ = rand.Read(p.salt[:]) // never fails
	return p, nil
}

// poll reads the file again if it has changed, and puts it in place if it is
// good: see pemFile.poll.
func (f *passwordFile) poll(log *slog.Logger) {
	now := stateOfFiles(f.path)
	if now.same(f.served) {
		return
	}
	p, err := readPasswords(f.path)
	if err != nil {
		if now.same(f.broken) {
			f.served = now
			log.Error(eventPasswordsReloadFailed, "file", f.path, "error", err.Error(),
				"hint", "the passwords read before go on to count; put a good file in place")
		}
		f.broken = now
		return
	}
	f.current.Store(p)
	f.served = now
	log.Info(eventPasswordsReload, "file", f.path, "users", len(p.users))
}

// watchPasswords polls the password files of the routes until ctx is done.
func (s *Server) watchPasswords(ctx context.Context) {
	ticker := time.NewTicker(s.filePoll)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			for _, f := range s.table.Load().passwords {
				f.poll(s.log)
			}
		case <-ctx.Done():
			return
		}
	}
}

// check finds the user whose credentials these are; "" for nobody. Those that
// were right before are known by their hash. Others are checked, as many at a
// time as slots has room for, so that guesses do not take the whole CPU.
func (f *passwordFile) check(slots chan struct{}, stopping <-chan struct{}, name, password []byte) (user string, err error) {
	if len(name) > maxCredential || len(password) > maxCredential {
		return "", nil
	}
	p := f.current.Load()
	key := p.hash(name, password)
	if user := p.known(key); user != "" {
		return user, nil
	}
	late := time.NewTimer(passwordWait)
	defer late.Stop()
	select {
	case slots <- struct{}{}:
	case <-late.C:
		return "", errPasswordsBusy
	case <-stopping:
		return "", errPasswordsBusy
	}
	defer func() { <-slots }()
	if user := p.known(key); user != "" { // checked for another request meanwhile
		return user, nil
	}
	if !p.verify(name, password) {
		return "", nil
	}
	user = string(name)
	p.remember(key, user)
	return user, nil
}

// hash is what is remembered of credentials. The name's length stands before
// it, so that no other name and password have the same.
func (p *passwords) hash(name, password []byte) [sha256.Size]byte {
	var text [32 + 1 + 2*maxCredential]byte
	b := append(text[:0], p.salt[:]...)
	b = append(b, byte(len(name)))
	b = append(b, name...)
	b = append(b, password...)
	return sha256.Sum256(b)
}

func (p *passwords) known(key [sha256.Size]byte) (user string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.verified[key]
}

func (p *passwords) remember(key [sha256.Size]byte, user string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.verified) >= maxVerified {
		for other := range p.verified { // any one: it is checked again when it comes
			delete(p.verified, other)
			break
		}
	}
	p.verified[key] = user
}
