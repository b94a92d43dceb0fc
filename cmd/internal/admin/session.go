package admin

import (
	"crypto/rand"
	"crypto/sha256"
	"net"
	"net/http"
	"net/netip"
	"time"
)

const (
	// sessionTime is how long a browser stays logged in.
	sessionTime = 12 * time.Hour
	// maxSessions is how many there are at a time; the oldest one makes room.
	maxSessions = 100
)

// session is a browser that is logged in.
type session struct {
	began time.Time
	token [sha256.Size]byte // by which; it ends when that is withdrawn
}

// sessions are all of them, by what their cookies hash to.
type sessions map[[sha256.Size]byte]session

// begin returns the cookie of a new session.
func (s sessions) begin(token [sha256.Size]byte, now time.Time) string {
	if len(s) >= maxSessions {
		var oldest [sha256.Size]byte
		var began time.Time
		for id, one := range s {
			if began.IsZero() || one.began.Before(began) {
				oldest, began = id, one.began
			}
		}
		delete(s, oldest)
	}
	id := rand.Text()
	s[sha256.Sum256([]byte(id))] = session{now, token}
	return id
}

// of returns the session of a cookie, if it has not run out.
func (s sessions) of(cookie string, now time.Time) (session, bool) {
	id := sha256.Sum256([]byte(cookie))
	one, ok := s[id]
	if ok && now.Sub(one.began) >= sessionTime {
		delete(s, id)
		return session{}, false
	}
	return one, ok
}

// cookieName is one for each port: browsers send a host's cookies to all its ports,
// where other servers may be.
func cookieName(r *http.Request) string {
	_, port, err := net.SplitHostPort(r.Host)
	if err != nil {
		port = "80"
	}
	return "wsfront_admin_" + port
}

func (t *Token) hasSession(tokens [][sha256.Size]byte, cookie string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	one, ok := t.sessions.of(cookie, time.Now())
	return ok && valid(tokens, one.token)
}

// login begins a session by the field token of a form, or answers why not.
func (t *Token) login(w http.ResponseWriter, r *http.Request) bool {
	r.Body = http.MaxBytesReader(w, r.Body, maxLogin)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "this is no form; send token=TOKEN as application/x-www-form-urlencoded", http.StatusBadRequest)
		return false
	}
	tokens, err := readTokens(t.path)
	if err != nil {
		t.deny(w, r, http.StatusServiceUnavailable, err.Error(), "the admin token cannot be read; wsfront's log has why")
		return false
	}
	given := r.PostForm.Get("token")
	if !t.compare(w, r, tokens, given) {
		return false
	}
	t.mu.Lock()
	id := t.sessions.begin(sha256.Sum256([]byte(given)), time.Now())
	t.mu.Unlock()
	http.SetCookie(w, &http.Cookie{
		Name: cookieName(r), Value: id, Path: "/", MaxAge: int(sessionTime / time.Second), HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
	return true
}

const (
	// missTime is for how long wrong tokens are remembered, and maxMisses how many an
	// address may send meanwhile.
	missTime  = time.Minute
	maxMisses = 10
	// maxMissing is of how many addresses they are remembered.
	maxMissing = 1000
)

// misses are the wrong tokens of a while.
type misses struct {
	since time.Time
	by    map[netip.Prefix]int
}

func (m *misses) tooMany(remote string, now time.Time) bool {
	return now.Sub(m.since) < missTime && m.by[network(remote)] >= maxMisses
}

func (m *misses) add(remote string, now time.Time) {
	if now.Sub(m.since) >= missTime {
		m.since, m.by = now, map[netip.Prefix]int{}
	}
	from := network(remote)
	if _, known := m.by[from]; known || len(m.by) < maxMissing {
		m.by[from]++
	}
}

// network is what one client has: an address, or of IPv6 a /64 (RFC 6177).
func network(remote string) netip.Prefix {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Prefix{}
	}
	addr, bits := at.Addr().Unmap(), 32
	if addr.Is6() {
		bits = 64
	}
	p, _ := addr.Prefix(bits)
	return p
}
