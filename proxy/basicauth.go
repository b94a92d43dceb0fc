package proxy

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"
	"runtime"
	"strings"

	"wsfront/proxy/diagnosis"
	"wsfront/proxy/http1"
)

const (
	// defaultRealm is that of a BasicAuth without one.
	defaultRealm = "Restricted"
	// retryPassword is the Retry-After of a request whose password could not be
	// checked in time, in seconds.
	retryPassword = "5"
	// remoteUser is the field in which a backend gets the user's name.
	remoteUser = "X-Remote-User"
)

// maxPasswordChecks is how many passwords may be checked at a time, which is
// work by design: half of the CPUs, so that guesses leave the others alone.
func maxPasswordChecks() int { return max(1, runtime.GOMAXPROCS(0)/2) }

// guard is a BasicAuth in effect.
type guard struct {
	file      *passwordFile
	challenge string // the value of WWW-Authenticate
}

// newGuard makes the guard of a route; nil for one that has none. Routes that
// name the same file share it by files.
func newGuard(a *BasicAuth, files map[string]*passwordFile) (*guard, error) {
	if a == nil {
		return nil, nil
	}
	f := files[a.File]
	if f == nil {
		var err error
		if f, err = loadPasswordFile(a.File); err != nil {
			return nil, err
		}
		files[a.File] = f
	}
	realm := a.Realm
	if realm == "" {
		realm = defaultRealm
	}
	quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(realm) // RFC 9110 §5.6.4
	return &guard{f, `Basic realm="` + quoted + `", charset="UTF-8"`}, nil
}

// admit lets in who has a password.
func (g *guard) admit(x *exchange) bool {
	value, n := http1.Get(x.req.Fields, http1.Authorization)
	name, password, ok := basicCredentials(value)
	if n != 1 || !ok {
		reason := "" // a browser's first request has none: that is how it learns that it must ask
		if x.upgrade {
			reason = "the handshake came without the user and password of basic_auth; a browser sends them once a page below the same path has asked for them"
		}
		g.ask(x, reason)
		return false
	}
	user, err := g.file.check(x.server.passwordChecks, x.server.stopping.Done(), name, password)
	switch {
	case err != nil:
		x.server.hits.add(limitBasicAuth, x.client)
		x.addField("Retry-After", retryPassword)
		x.refuse(diagnosis.TooMany, http.StatusServiceUnavailable, err.Error()+": does somebody guess them?", "Too many people log in at this moment. Try again shortly.")
		return false
	case user == "":
		g.ask(x, fmt.Sprintf("%.64q and the password that came are not in %s", name, g.file.path))
		return false
	}
	x.user = user
	return true
}

func (g *guard) ask(x *exchange, reason string) {
	x.addField("WWW-Authenticate", g.challenge)
	x.refuse(diagnosis.LoginRequired, http.StatusUnauthorized, reason, "This address asks for a user name and a password.")
}

// basicCredentials reads the value of an Authorization field of the Basic
// scheme (RFC 7617 §2).
func basicCredentials(value []byte) (name, password []byte, ok bool) {
	if !hasPrefixFold(value, "basic ") {
		return nil, nil, false
	}
	value = bytes.TrimLeft(value[len("basic "):], " ")
	plain := make([]byte, base64.StdEncoding.DecodedLen(len(value)))
	size, err := base64.StdEncoding.Decode(plain, value)
	if err != nil {
		return nil, nil, false
	}
	return bytes.Cut(plain[:size], []byte{':'})
}
