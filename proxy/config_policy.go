package proxy

// AccessLog is the access log, one line at the close of each request.
type AccessLog struct {
	// Format is the form of its lines: combined (Apache's), json, off, or a format
	// of directives as Apache's LogFormat has them, such as %h %t "%r" %>s %b %L.
	// Default combined.
	Format AccessFormat `yaml:"format"`

	// File is where the lines go. It is opened for append, made 0640 where it is
	// missing, and opened anew by ReopenAccessLog, and once another file has its
	// name, so that it can be rotated.
	// Default the writer that New was given, standard output for the command.
	File string `yaml:"file"`

	// Skip are path prefixes, matched at segment boundaries as those of routes,
	// whose requests get no line. Default none.
	Skip []string `yaml:"skip"`
}

// UnmarshalText reads the short form: the format alone.
func (a *AccessLog) UnmarshalText(text []byte) error {
	*a = AccessLog{Format: AccessFormat(text)}
	return nil
}

// AccessFormat is a form of the access log: one of the words below, or a format
// of directives.
type AccessFormat string

// The forms of the access log.
const (
	AccessOff      AccessFormat = "off"
	AccessCombined AccessFormat = "combined"
	AccessJSON     AccessFormat = "json"
)

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

// Headers are changes to the fields of answers: Remove goes first, then Set,
// then Add. Values are taken as they are written.
type Headers struct {
	// Set gives fields a value, in place of any that the backend gave them.
	Set map[string]string `yaml:"set"`

	// Add adds fields, beside those of the same name.
	Add map[string]string `yaml:"add"`

	// Remove are the names of fields that are taken away.
	Remove []string `yaml:"remove"`
}

// RequestHeaders are changes to the fields of requests to a backend. Values are
// taken as they are written.
type RequestHeaders struct {
	// Set gives fields a value, in place of any that the client gave them.
	Set map[string]string `yaml:"set"`

	// Remove are the names of fields that are taken away.
	Remove []string `yaml:"remove"`
}
