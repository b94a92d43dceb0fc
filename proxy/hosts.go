package proxy

import (
	"bytes"
	"strings"
)

// hostMap finds what belongs to a host name: routes and certificates alike, so
// that both always agree on whose a name is. It is filled once and then only
// read.
type hostMap[T any] struct {
	exact  map[string]T // by lower-case host without port
	labels map[string]T // by what follows the "*." of a wildcard
	any    T
	all    bool // any is set
}

// add enters a value for one element of Site.Hosts.
func (m *hostMap[T]) add(host string, value T) {
	if m.exact == nil {
		m.exact, m.labels = map[string]T{}, map[string]T{}
	}
	switch rest, wild := strings.CutPrefix(host, "*."); {
	case host == "*":
		m.any, m.all = value, true
	case wild:
		m.labels[strings.ToLower(rest)] = value
	default:
		m.exact[hostname(host)] = value
	}
}

// find chooses the exact name before a wildcard of one label, and that before
// the value for every name. name is in lower case and has no port.
func (m *hostMap[T]) find(name []byte) (value T, ok bool) {
	if value, ok = m.exact[string(name)]; ok {
		return value, true
	}
	if _, rest, dotted := bytes.Cut(name, []byte{'.'}); dotted {
		if value, ok = m.labels[string(rest)]; ok {
			return value, true
		}
	}
	return m.any, m.all
}
