package pusher

import (
	"errors"
	"log/slog"
	"testing"
	"time"
)

func TestTokenAuth_ValidateSaysWhatToWrite(t *testing.T) {
	key := func(k TokenKey) TokenAuth { return TokenAuth{Keys: []TokenKey{k}} }
	for _, c := range []struct {
		given TokenAuth
		want  string
	}{
		{key(TokenKey{Alg: "HS256", Secret: testSecret}), ""},
		{key(TokenKey{ID: "a", Alg: "EdDSA", PublicKeyFile: "ed.pem"}), ""},
		{TokenAuth{JWKS: "/etc/wsfront/jwks.json"}, ""},
		{TokenAuth{JWKS: "https://id.test/jwks", Audience: "push", Leeway: time.Minute, Cookie: "jwt", Query: "t"}, ""},
		{TokenAuth{JWKS: "http://127.0.0.1:8080/jwks", Audience: "push"}, ""},
		{TokenAuth{}, "keys: there is no key to verify tokens by; write one, such as {alg: HS256, secret_file: /etc/wsfront/token.secret}, or jwks"},
		{key(TokenKey{Alg: "none"}), `keys[0].alg: "none" is no algorithm of a token here; write one of HS256, ES256, EdDSA, RS256`},
		{key(TokenKey{Alg: "HS256", Secret: "s3cr3t"}),
			"keys[0].secret: the secret has 6 bytes, few enough to be guessed; write at least 32: openssl rand -base64 32 makes one"},
		{key(TokenKey{Alg: "HS256"}), "keys[0].secret_file: is empty; write the file that holds the secret of HS256: openssl rand -base64 32 makes one"},
		{key(TokenKey{Alg: "HS256", Secret: testSecret, SecretFile: "f"}), "keys[0]: has both secret and secret_file; remove one of them"},
		{key(TokenKey{Alg: "HS256", PublicKeyFile: "f"}),
			"keys[0]: HS256 has no public key; write secret_file, or the alg that the key is of: ES256, EdDSA or RS256"},
		{key(TokenKey{Alg: "ES256", Secret: testSecret}), "keys[0]: ES256 has no secret; write public_key_file, or alg: HS256"},
		{key(TokenKey{Alg: "ES256"}), "keys[0].public_key_file: is empty; write the PEM file with the public key of ES256"},
		{TokenAuth{Keys: []TokenKey{{ID: "a", Alg: "HS256", Secret: testSecret}, {ID: "a", Alg: "ES256", PublicKeyFile: "f"}}},
			`keys[1].id: "a" is the id of another key; write a different one, as tokens name the key by it`},
		{TokenAuth{JWKS: "https://id.test/jwks"}, "audience: is needed with jwks: https://id.test/jwks signs tokens for others too; write what aud is in those for this service"},
		{TokenAuth{JWKS: "http://id.test/jwks", Audience: "push"},
			`jwks: "http://id.test/jwks": keys that come over the network without TLS can be changed on the way; write https://`},
		{TokenAuth{JWKS: "https://", Audience: "push"}, `jwks: "https://" is no URL; write such as https://id.example.com/jwks.json, or a file`},
		{TokenAuth{JWKS: "https://u:s3cr3t@id.test/", Audience: "push"}, "jwks: the URL holds a name or password; public keys need none"},
		{TokenAuth{JWKS: "f", Leeway: time.Hour, Cookie: "a b", Query: "a&b"},
			`leeway: 1h0m0s is no difference between clocks; write up to 10m0s, such as 30s
cookie: "a b" is no name of a cookie; write letters, digits, - and _, such as push_token
query: "a&b" is no name of a query parameter; write letters, digits, - and _, such as token`},
	} {
		got := ""
		if err := c.given.Validate(); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%+v:\ngot  %s\nwant %s", c.given, got, c.want)
		}
	}
	var all FieldErrors
	if _, err := NewTokenAuth(TokenAuth{}, nil, slog.New(&journal{})); !errors.As(err, &all) {
		t.Errorf("NewTokenAuth says %v", err)
	}
}
