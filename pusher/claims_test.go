package pusher

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

func TestTokenAuth_SaysWhatIsWrong(t *testing.T) {
	k, now := testKeys(), time.Now()
	at := func(d time.Duration) int64 { return now.Add(d).Unix() }
	stamped := func(d time.Duration) string { return now.Add(d).Truncate(time.Second).UTC().Format(time.RFC3339) }
	named := TokenAuth{Issuer: "https://app.test", Audience: "push"}
	for _, c := range []struct {
		cfg   TokenAuth
		token string
		want  string // "": admitted
	}{
		{TokenAuth{}, hs(t, map[string]any{"exp": at(-25 * time.Second), "nbf": at(25 * time.Second), "iat": at(25 * time.Second)}), ""},
		{TokenAuth{}, hs(t, map[string]any{"exp": at(-time.Minute)}), "the token has expired since " + stamped(-time.Minute) + "; get a new one from the application"},
		{TokenAuth{}, hs(t, map[string]any{"exp": 0}), "the token has expired since 1970-01-01T00:00:00Z"},
		{TokenAuth{}, hs(t, map[string]any{"nbf": at(time.Minute)}), "the token is valid from " + stamped(time.Minute) + " on; are the clocks right?"},
		{TokenAuth{}, hs(t, map[string]any{"iat": at(time.Minute)}), "the token says that it was issued at " + stamped(time.Minute)},
		{TokenAuth{Leeway: 2 * time.Minute}, hs(t, map[string]any{"exp": at(-time.Minute)}), ""},
		{TokenAuth{}, hs(t, map[string]any{"iss": "anybody"}), ""},
		{TokenAuth{}, hs(t, map[string]any{"aud": "push"}), `the token's aud is ["push"], and this service has no name; write audience into its configuration`},
		{named, hs(t, map[string]any{"iss": "https://app.test", "aud": "push"}), ""},
		{named, hs(t, map[string]any{"iss": "https://app.test", "aud": []string{"mail", "push"}}), ""},
		{named, hs(t, map[string]any{"iss": "https://app.test/", "aud": "push"}), `the token's iss is "https://app.test/"; this service takes "https://app.test"`},
		{named, hs(t, map[string]any{"aud": "push"}), `the token's iss is ""`},
		{named, hs(t, map[string]any{"iss": "https://app.test", "aud": "mail"}), `the token's aud is ["mail"]; this service is "push"`},
		{named, hs(t, map[string]any{"iss": "https://app.test"}), `the token's aud is []; this service is "push"`},
		{TokenAuth{}, signed(t, jose.ES256, "k1", k.ec, nil), `the token's kid is "k1"; there is no such key of ES256 here`},
		{TokenAuth{}, signed(t, jose.ES256, "", k.ec, nil), `the token is signed with ES256; there is no key of it here`},
		{TokenAuth{}, signed(t, jose.HS256, "", []byte(testSecret+"x"), nil), "the token's signature was made with another key, or the token was changed"},
		{TokenAuth{}, byHand(`{"alg":"none"}`, `{}`, func([]byte) []byte { return nil }), `the token's alg is "none"; sign it with one of HS256, ES256, EdDSA, RS256`},
		{TokenAuth{}, byHand(`{"alg":"HS256","crit":["x"],"x":1}`, `{}`, hmacWith([]byte(testSecret))), "the token's crit names an extension that is not known here"},
		{TokenAuth{}, "a.b.c.d.e", "the token is encrypted; send one that is signed alone"},
		{TokenAuth{}, "sessionid", "what came as the token is no JWT: three parts in base64url with dots between them"},
		{TokenAuth{}, strings.Repeat("x", maxToken+1), "the token has 8193 bytes; at most 8192 are read"},
		{TokenAuth{}, hs(t, map[string]any{"sub": 7}), "the token's claims cannot be read: they are a JSON object in which iss, sub and greeting are strings"},
		{TokenAuth{}, hs(t, map[string]any{"sub": strings.Repeat("x", 257)}), "the token's sub has 257 bytes; write at most 256"},
		{TokenAuth{}, hs(t, map[string]any{"info": strings.Repeat("x", maxInfo)}), "the token's info has 4098 bytes; write at most 4096"},
		{TokenAuth{}, hs(t, map[string]any{"channels": []string{"a", "b*c"}}), `the token's channels: "b*c" names no channels; write a channel's name`},
		{TokenAuth{}, hs(t, map[string]any{"channels": strings.Split(manyNames(101), ",")}), "the token's channels are 101; list at most 100"},
		{TokenAuth{}, "", `no token came; send it as a cookie push_token, as ?token=JWT, in Authorization: Bearer JWT, or from a page as new WebSocket(url, ["resume.v1", "token.JWT"])`},
	} {
		c.cfg.Keys = []TokenKey{{Alg: "HS256", Secret: testSecret}}
		_, r := newGate(t, c.cfg).Authorize(bearing(c.token), nil)
		switch {
		case r == nil && c.want != "":
			t.Errorf("admitted in spite of: %s", c.want)
		case r != nil && (c.want == "" || !strings.HasPrefix(string(r.Body), "401 Unauthorized: "+c.want)):
			t.Errorf("got  %s\nwant %s", r.Body, c.want)
		}
	}
	long := hs(t, map[string]any{"greeting": strings.Repeat("é", 2000)})
	if got := secretGate(t).admits(bearing(long)); len(got.Greeting) != 4000 {
		t.Errorf("a greeting of %d bytes", len(got.Greeting))
	}
}

func TestTokenAuth_ChannelsBoundWhatIsListenedTo(t *testing.T) {
	g := secretGate(t)
	with := func(channels ...string) *http.Request { return bearing(hs(t, map[string]any{"channels": channels})) }
	without := bearing(hs(t, nil))
	for _, c := range []struct {
		r      *http.Request
		want   []string
		got    []string
		forbid string
	}{
		{without, nil, nil, ""},
		{without, []string{"board"}, nil, `the token lists no channels, so that it admits to no channel that is asked for; add the claim "channels": ["board"]`},
		{with("board", "user.7.*"), nil, []string{"board"}, ""},
		{with("board", "user.7.*"), []string{"user.7.a", "user.8.a", "board"}, []string{"user.7.a", "board"}, ""},
		{with("board", "user.7.*"), []string{"user.8.a"}, nil, `the token's channels are ["board" "user.7.*"], none of those asked for: ["user.8.a"]`},
		{with("user.7.*"), nil, nil, `the token's channels are ["user.7.*"], none of them by its name; ask for channels in the URL`},
		{with("*"), []string{"a", "b"}, []string{"a", "b"}, ""},
		{bearing(hs(t, map[string]any{"channels": nil})), nil, nil, "the token's channels are [], none of them by its name"},
		{with(), nil, nil, "the token's channels are [], none of them by its name"},
		{with(), []string{"a"}, nil, "the token's channels are [], none of those asked for"},
	} {
		a, r := g.Authorize(c.r, c.want)
		switch {
		case r == nil && (c.forbid != "" || !slices.Equal(a.Channels, c.got) || (a.Channels == nil) != (c.got == nil)):
			t.Errorf("%q: got %q, want %q %s", c.want, a.Channels, c.got, c.forbid)
		case r != nil && (c.forbid == "" || r.Status != 403 || !strings.HasPrefix(string(r.Body), "403 Forbidden: "+c.forbid)):
			t.Errorf("%q: %d %s", c.want, r.Status, r.Body)
		}
	}
}
