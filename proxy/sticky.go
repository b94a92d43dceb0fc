package proxy

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"strings"

	"wsfront/proxy/http1"
)

// memberKey is what a sticky cookie calls a backend. It is made of the URL alone,
// so that it is the same after a restart and on other machines with the same
// file. It hides the URL from a glance only, and protects nothing: a client that
// names another backend gets that one.
func memberKey(url string) string {
	sum := sha256.Sum256([]byte(url))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:10])) // 16 letters
}

// named is the member that a client's cookie names, or nil.
func (p *pool) named(fields []http1.Field) *member {
	if p.sticky == "" {
		return nil
	}
	for i := range fields {
		if fields[i].Known != http1.Cookie {
			continue
		}
		for rest := fields[i].Value; len(rest) > 0; {
			var pair []byte
			pair, rest, _ = bytes.Cut(rest, []byte{';'})
			name, value, _ := bytes.Cut(pair, []byte{'='})
			if string(bytes.TrimSpace(name)) != p.sticky {
				continue
			}
			value = bytes.TrimSpace(value)
			for _, m := range p.members {
				if string(value) == m.key {
					return m
				}
			}
		}
	}
	return nil
}

// stick adds the pool's cookie to an answer, where the client has none that
// names the backend it comes from.
func (x *exchange) stick() {
	c := &x.choice
	if c.pool.sticky == "" || c.named == c.member {
		return
	}
	secure := ""
	if x.https() {
		secure = "; Secure"
	}
	x.addField("Set-Cookie", c.pool.sticky+"="+c.member.key+"; Path=/; HttpOnly; SameSite=Lax"+secure)
}
