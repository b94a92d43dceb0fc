package proxy

// BasicAuth asks for a user name and a password (RFC 7617).
type BasicAuth struct {
	// File is a password file as Apache's htpasswd writes it, with bcrypt
	// (htpasswd -B), MD5 ($apr1$) or {SHA}. It is watched, and read again when it
	// changes; one that cannot be used changes nothing.
	File string `yaml:"file"`

	// Realm is the name that browsers show, and remember the password by.
	// Default Restricted.
	Realm string `yaml:"realm"`
}

// UnmarshalText reads the short form: the file alone.
func (a *BasicAuth) UnmarshalText(text []byte) error {
	*a = BasicAuth{File: string(text)}
	return nil
}
