package proxy

import "testing"

// knownFault is why the way through net/http fails some cases.
type knownFault struct {
	why   string
	cases []string
}

// knownNetHTTP are the cases that the way through net/http fails. A case that
// passes has no place here.
func knownNetHTTP() []knownFault {
	return []knownFault{
		{why: "net/http ignores Content-Length beside Transfer-Encoding, and keeps the connection", cases: []string{
			"Content-Length before Transfer-Encoding", "Transfer-Encoding before Content-Length", "Content-Length 0 with Transfer-Encoding"}},
		{why: "net/http ignores Transfer-Encoding in HTTP/1.0", cases: []string{"Transfer-Encoding in HTTP/1.0"}},
		{why: "net/http joins lengths that agree", cases: []string{"two Content-Length that agree"}},
		{why: "net/http's chunk reader trims space, and reads no extension", cases: []string{
			"a chunk size with a space behind it", "a chunk extension that holds a NUL", "a chunk extension of a kilobyte"}},
		{why: "net/http reads trailer fields by textproto, which is lenient", cases: []string{
			"a trailer section that ends in a bare LF", "a trailer field with a space before the colon", "a trailer field on two lines"}},
		{why: "net/http takes a bare LF for a line's end", cases: []string{
			"a line of the head ends in a bare LF", "the request line ends in a bare LF", "the head ends in a bare LF"}},
		{why: "net/http joins folded lines", cases: []string{
			"a field value on two lines, the second begun by a space", "a field value on two lines, the second begun by a tab"}},
		{why: "net/http skips empty lines only behind a POST", cases: []string{"empty lines before the request are skipped"}},
		{why: "net/http has no limit of its own for these; MaxHeaderBytes is a limit plus 4 KiB for the whole head", cases: []string{
			"a method of 40 letters", "a target beyond 8 KiB", "a head beyond 32 KiB", "a head beyond 32 KiB in small fields", "101 fields"}},
		{why: "net/http takes any minor version of HTTP/1, and hands PRI to the handler", cases: []string{
			"HTTP/1.2", "the preface of HTTP/2 without TLS"}},
		{why: "net/http prefers an absolute target to Host, without comparing them or looking at the scheme", cases: []string{
			"an absolute target that differs from Host", "an absolute target and Host that differ in the port",
			"an absolute target with user information", "an absolute target of another scheme", "an absolute target without an authority"}},
		{why: "net/http hands CONNECT to the handler", cases: []string{"CONNECT", "CONNECT with a path"}},
		{why: "net/http takes a number sign for a part of the path", cases: []string{"a fragment in the target"}},
		{why: "net/http looks at the characters of Host only", cases: []string{
			"Host with a letter in its port", "Host with two ports", "Host with an open bracket"}},
	}
}

// knownOf finds the fault that a case is listed for.
func knownOf(name string) (fault knownFault, listed bool) {
	for _, fault := range knownNetHTTP() {
		for _, c := range fault.cases {
			if c == name {
				return fault, true
			}
		}
	}
	return knownFault{}, false
}

func TestConformance_KnownFaultsAreCases(t *testing.T) {
	names := map[string]bool{}
	for _, c := range readCorpus(t) {
		names[c.name] = true
	}
	for _, fault := range knownNetHTTP() {
		for _, name := range fault.cases {
			if !names[name] {
				t.Errorf("there is no case %q", name)
			}
		}
	}
}
