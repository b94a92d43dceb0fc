package proxy

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"wsfront/proxy/http1"
)

// fieldRules are Headers or RequestHeaders in effect. Nil changes nothing.
type fieldRules struct {
	drops []fieldName   // taken away: what is removed, and what is set
	puts  []http1.Field // added: what is set, and what is added
}

// fieldName is a field's name in the forms in which it is looked for.
type fieldName struct {
	known            http1.Known
	lower, canonical string
}

func newFieldRules(h Headers) *fieldRules {
	if len(h.Set) == 0 && len(h.Add) == 0 && len(h.Remove) == 0 {
		return nil
	}
	r := &fieldRules{}
	set := slices.Sorted(maps.Keys(h.Set)) // the same order each time
	for _, name := range append(set, h.Remove...) {
		r.drops = append(r.drops, fieldName{http1.Lookup(name), strings.ToLower(name), http.CanonicalHeaderKey(name)})
	}
	put := func(name, value string) {
		r.puts = append(r.puts, http1.Field{Known: http1.Lookup(name), Name: []byte(name), Value: []byte(value)})
	}
	for _, name := range set {
		put(name, h.Set[name])
	}
	for _, name := range slices.Sorted(maps.Keys(h.Add)) {
		put(name, h.Add[name])
	}
	return r
}

func newRequestRules(h RequestHeaders) *fieldRules {
	return newFieldRules(Headers{Set: h.Set, Remove: h.Remove})
}

// drop reports whether a field is taken away.
func (r *fieldRules) drop(f *http1.Field) bool {
	for i := range r.drops {
		if d := &r.drops[i]; d.known == f.Known && (d.known != http1.Other || equalFold(f.Name, d.lower)) {
			return true
		}
	}
	return false
}

// concerns reports whether a rule takes a field away or sets it.
func (r *fieldRules) concerns(known http1.Known) bool {
	return r != nil && slices.ContainsFunc(r.drops, func(d fieldName) bool { return d.known == known })
}

// change changes the fields of an answer. An error of our own says by itself
// what it is and how long it counts, or a rule that has files cached for a year
// would have their absence cached, too.
func (r *fieldRules) change(fields []http1.Field, ownError bool) []http1.Field {
	if r == nil {
		return fields
	}
	kept := fields[:0]
	for i := range fields {
		if f := &fields[i]; ownError && describesError(f.Known) || !r.drop(f) {
			kept = append(kept, *f)
		}
	}
	for i := range r.puts {
		if f := &r.puts[i]; !ownError || !describesError(f.Known) {
			kept = append(kept, *f)
		}
	}
	return kept
}

func describesError(known http1.Known) bool {
	switch known {
	case http1.ContentType, http1.CacheControl, http1.Expires, http1.Age, http1.Pragma:
		return true
	}
	return false
}

// changeHeader is change for the header of a request of net/http's client.
func (r *fieldRules) changeHeader(header http.Header) {
	if r == nil {
		return
	}
	for i := range r.drops {
		delete(header, r.drops[i].canonical)
	}
	for i := range r.puts {
		header.Add(string(r.puts[i].Name), string(r.puts[i].Value))
	}
}

// applyHeaders changes the fields of an answer as the site says, and then the
// route.
func (x *exchange) applyHeaders() {
	x.fields = x.site.answers.change(x.fields, x.ownError)
	if x.route != nil {
		x.fields = x.route.answers.change(x.fields, x.ownError)
	}
}
