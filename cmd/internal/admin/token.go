package admin

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

const (
	// eventToken (info): admin.listen has a new token. Attributes: file.
	eventToken = "admin.token.created"
	// eventDenied (warn): somebody had no right token. Attributes: client (address),
	// reason.
	eventDenied = "admin.denied"
)

const (
	// maxTokenFile is more than any token; a longer file is some other file.
	maxTokenFile = 4 << 10
	// minToken is the least length of a token: shorter ones can be guessed.
	minToken = 16
	// maxLogin is the longest body of POST /login.
	maxLogin = 4 << 10
)

// Token is what a file of tokens admits, one in each line. The file is read at each
// question, so that a token is withdrawn by taking it out. Its methods may be called
// concurrently.
type Token struct {
	path string
	log  *slog.Logger

	mu       sync.Mutex
	sessions sessions
	misses   misses
}

// OpenToken makes the file with a random token, readable by its owner alone, where
// it is missing.
func OpenToken(path string, log *slog.Logger) (*Token, error) {
	t := &Token{path: path, log: log, sessions: sessions{}}
	_, err := readTokens(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err = makeToken(path); err == nil {
			log.Info(eventToken, "file", path)
			_, err = readTokens(path)
		}
	}
	if err != nil {
		return nil, err
	}
	return t, nil
}

// makeToken writes it under another name first, so that no other process reads half
// of one; link, unlike rename, replaces nothing.
func makeToken(path string) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the admin token: %w", err)
	}
	f, err := os.CreateTemp(dir, ".token-*") // mode 0600
	if err != nil {
		return fmt.Errorf("make the admin token: %w", err)
	}
	defer os.Remove(f.Name())
	random := make([]byte, 32)
	_, _ = rand.Read(random) // never fails
	_, err = f.WriteString(base64.RawURLEncoding.EncodeToString(random) + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Link(f.Name(), path)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) { // else another process was first
		return fmt.Errorf("make the admin token: %w", err)
	}
	return nil
}

// readTokens reads a file that its owner alone may write, and at most its group may
// read, as a Prometheus has to. It returns what the tokens hash to.
func readTokens(path string) ([][sha256.Size]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the admin token: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read the admin token: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o027 != 0 {
		return nil, fmt.Errorf("the admin token %s may be read by everybody, or written by others (mode %04o); run: chmod 640 %[1]s", path, mode)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxTokenFile+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the admin token: %w", err)
	case len(text) > maxTokenFile:
		return nil, fmt.Errorf("the admin token %s has more than %d bytes, and so is some other file; name the right one in admin.token_file", path, maxTokenFile)
	}
	var tokens [][sha256.Size]byte
	for line := range strings.Lines(string(text)) {
		token := strings.TrimSpace(line)
		switch {
		case token == "":
		case len(token) < minToken || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
			return nil, fmt.Errorf("the admin token %s has a line that is not one word of %d or more printable ASCII characters; write one, or delete the file to have one made", path, minToken)
		default:
			tokens = append(tokens, sha256.Sum256([]byte(token)))
		}
	}
	if len(tokens) == 0 {
		return nil, fmt.Errorf("the admin token %s is empty; write one into it, or delete it to have one made", path)
	}
	return tokens, nil
}

// valid reports whether the file has the token with this hash. How long it takes
// tells nothing of how near it was.
func valid(tokens [][sha256.Size]byte, hash [sha256.Size]byte) bool {
	found := 0
	for i := range tokens {
		found |= subtle.ConstantTimeCompare(tokens[i][:], hash[:])
	}
	return found == 1
}

// admits lets a request in that has the token or a session, or answers it.
func (t *Token) admits(w http.ResponseWriter, r *http.Request) bool {
	tokens, err := readTokens(t.path)
	if err != nil {
		t.deny(w, r, http.StatusServiceUnavailable, err.Error(), "the admin token cannot be read; wsfront's log has why")
		return false
	}
	if given, ok := bearer(r); ok {
		return t.compare(w, r, tokens, given)
	}
	if cookie, err := r.Cookie(cookieName(r)); err == nil && t.hasSession(tokens, cookie.Value) {
		return true
	}
	w.Header().Set("WWW-Authenticate", `Bearer realm="wsfront"`)
	http.Error(w, "a token is needed: send Authorization: Bearer TOKEN with that of "+filepath.Base(t.path)+", or log in at /", http.StatusUnauthorized)
	return false
}

// bearer is the token that a request shows (RFC 6750 §2.1).
func bearer(r *http.Request) (token string, ok bool) {
	scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimSpace(given), strings.EqualFold(scheme, "Bearer")
}

// recheckTime is how often is looked whether what lasts is still admitted.
const recheckTime = 10 * time.Second

// whileAdmitted returns the context for the answer to an admitted request that
// lasts. It ends, too, when the token was withdrawn or the session has run out, a
// few seconds later. Call stop when the answer is complete.
func (t *Token) whileAdmitted(r *http.Request) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancel(r.Context())
	var wg sync.WaitGroup
	wg.Go(func() { // ended by cancel, awaited by stop
		tick := time.NewTicker(recheckTime)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if !t.stillAdmits(r) {
					cancel()
				}
			}
		}
	})
	return ctx, func() {
		cancel()
		wg.Wait()
	}
}

// stillAdmits reports whether a request that was admitted would be so again.
func (t *Token) stillAdmits(r *http.Request) bool {
	tokens, err := readTokens(t.path)
	if err != nil {
		return false
	}
	if given, ok := bearer(r); ok {
		return valid(tokens, sha256.Sum256([]byte(given)))
	}
	cookie, err := r.Cookie(cookieName(r))
	return err == nil && t.hasSession(tokens, cookie.Value)
}

// compare holds a token against those of the file, but not again and again for one
// who guesses.
func (t *Token) compare(w http.ResponseWriter, r *http.Request, tokens [][sha256.Size]byte, given string) bool {
	t.mu.Lock()
	tooMany := t.misses.tooMany(r.RemoteAddr, time.Now())
	t.mu.Unlock()
	if tooMany {
		w.Header().Set("Retry-After", "60")
		http.Error(w, "too many wrong tokens from this address; try again in a minute", http.StatusTooManyRequests)
		return false
	}
	if valid(tokens, sha256.Sum256([]byte(given))) {
		return true
	}
	t.mu.Lock()
	t.misses.add(r.RemoteAddr, time.Now())
	t.mu.Unlock()
	w.Header().Set("WWW-Authenticate", `Bearer realm="wsfront", error="invalid_token"`)
	t.deny(w, r, http.StatusUnauthorized, "wrong token", "this is not the token; "+filepath.Base(t.path)+" on the server has it")
	return false
}

// deny answers, and logs why.
func (t *Token) deny(w http.ResponseWriter, r *http.Request, status int, reason, text string) {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	t.log.Warn(eventDenied, "client", host, "reason", reason)
	http.Error(w, text, status)
}
