package proxy

import "testing"

// knownFault is why net/http fails a case.
type knownFault struct {
	why       string
	sometimes bool // by chance: it may pass
}

// knownNetHTTP are the cases that the way through net/http fails, and cannot be
// brought to pass by its settings. A case that passes has no place here.
func knownNetHTTP() map[string]knownFault {
	return map[string]knownFault{}
}

// checkKnown finds names that no case has.
func checkKnown(t *testing.T, cases []conformanceCase) {
	names := map[string]bool{}
	for _, c := range cases {
		names[c.name] = true
	}
	for name := range knownNetHTTP() {
		if !names[name] {
			t.Errorf("knownNetHTTP: there is no case %q", name)
		}
	}
}
