package natsbroker

import "strings"

// subjects are the names on the server.
//
//	NAME.c.CHANNEL  messages, stored by the stream NAME
//	NAME.p.CHANNEL  marks of purges, in the same stream
//	NAME.l.CHANNEL  messages again, live and not stored
//	NAME.k.KEY      values, stored by the stream NAME-kv
type subjects struct {
	stream, kvStream string
	// messages, purges, live and keys are what the subjects above begin with.
	messages, purges, live, keys string
}

func newSubjects(name string) subjects {
	return subjects{
		stream: name, kvStream: name + "-kv",
		messages: name + ".c.", purges: name + ".p.", live: name + ".l.", keys: name + ".k.",
	}
}

// A channel's name becomes one token of a subject by the exchange of the one
// character in it that a token may not have for one that names do not have.
func channelToken(channel string) string { return strings.ReplaceAll(channel, ".", "/") }

func tokenChannel(token string) string { return strings.ReplaceAll(token, "/", ".") }

const hex = "0123456789ABCDEF"

// keyToken makes one token of a key: what a token may not have, and the escape
// character itself, become %XX.
func keyToken(key string) string {
	if !strings.ContainsAny(key, ".*>%") {
		return key
	}
	b := make([]byte, 0, len(key)+8)
	for i := range len(key) {
		switch c := key[i]; c {
		case '.', '*', '>', '%':
			b = append(b, '%', hex[c>>4], hex[c&15])
		default:
			b = append(b, c)
		}
	}
	return string(b)
}

// tokenKey is the key of a token that keyToken made.
func tokenKey(token string) string {
	if !strings.Contains(token, "%") {
		return token
	}
	b := make([]byte, 0, len(token))
	for i := 0; i < len(token); i++ {
		if token[i] == '%' && i+2 < len(token) {
			b = append(b, byte(strings.IndexByte(hex, token[i+1])<<4|strings.IndexByte(hex, token[i+2])))
			i += 2
		} else {
			b = append(b, token[i])
		}
	}
	return string(b)
}
