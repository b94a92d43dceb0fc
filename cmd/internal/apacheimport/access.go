package apacheimport

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"wsfront/cmd/internal/apacheconf"
)

// access is who may come, as one section says it.
type access struct {
	lines    []*apacheconf.Directive // Require, Order, Allow, Deny, Satisfy
	grouped  string                  // the innermost <RequireAll> and its like
	authType *apacheconf.Directive
	realm    *apacheconf.Directive
	users    *apacheconf.Directive // AuthUserFile

	ranges   []string // Require ip and Allow from
	open     bool     // Require all granted, Allow from all
	closed   bool     // Require all denied, Deny from all
	login    bool     // Require valid-user
	unknown  *apacheconf.Directive
	hidden   *apacheconf.Directive // a blocklist, or the like: what else may come is known
	any      bool                  // Satisfy Any
	denyLast bool                  // Order allow,deny
	old      bool                  // 2.2

	certificate bool // SSLVerifyClient, whatever else is said further in
}

// cannotTell notes a line that may say who may come, in a way that is not known
// here.
func (a *access) cannotTell(d *apacheconf.Directive) {
	a.lines, a.unknown = append(a.lines, d), d
}

// restricts reports whether not everybody may come.
func (a *access) restricts() bool {
	return a.unknown != nil || a.certificate || a.login || len(a.lines) > 0 && a.addresses() != nil
}

// accessDirective is a directive that says who may come.
func (im *importer) accessDirective(_ *vhost, d *apacheconf.Directive, s *scope) {
	a := &s.access
	if words := strings.ToLower(strings.Join(d.Args, " ")); words == "all granted" || words == "from all" && d.Is("Allow") || d.Is("Order") {
		im.notNeeded(d, "everybody may come where nothing else is said")
	} else {
		im.imported(d)
	}
	switch strings.ToLower(d.Name) {
	case "authtype":
		a.authType = d
	case "authname":
		a.realm = d
	case "authuserfile":
		a.users = d
	case "authbasicprovider":
		if d.Arg(0) != "file" {
			a.unknown = d
		}
	case "satisfy":
		a.any = strings.EqualFold(d.Arg(0), "any")
		a.lines = append(a.lines, d)
	case "require":
		a.lines = append(a.lines, d)
		a.require(d)
	case "order":
		a.lines, a.old = append(a.lines, d), true
		a.denyLast = strings.EqualFold(strings.ReplaceAll(strings.Join(d.Args, ""), " ", ""), "allow,deny")
	case "allow", "deny":
		a.lines, a.old = append(a.lines, d), true
		a.from(d)
	}
}

// require is one Require.
func (a *access) require(d *apacheconf.Directive) {
	args := d.Args
	not := strings.EqualFold(d.Arg(0), "not")
	if not {
		args = args[1:]
	}
	word := ""
	if len(args) > 0 {
		word = strings.ToLower(args[0])
	}
	switch {
	case a.grouped == "requirenone":
		a.hidden = d
	case word == "all" && len(args) > 1 && strings.EqualFold(args[1], "granted") != not:
		a.open = true
	case word == "all":
		a.closed = true
	case word == "ip":
		for _, r := range args[1:] {
			p, ok := addressRange(r)
			switch {
			case not:
				a.hidden = d
			case ok:
				a.ranges = appendNew(a.ranges, p)
			default:
				a.unknown = d
			}
		}
	case word == "local" && !not:
		for _, own := range []string{"127.0.0.0/8", "::1"} {
			a.ranges = appendNew(a.ranges, own)
		}
	case word == "valid-user" && !not:
		a.login = true
	case not:
		a.hidden = d
	default:
		a.unknown = d
	}
}

// from is Allow and Deny of Apache 2.2.
func (a *access) from(d *apacheconf.Directive) {
	allow := d.Is("Allow")
	for i, word := range d.Args {
		if i == 0 && strings.EqualFold(word, "from") {
			continue
		}
		p, ok := addressRange(word)
		switch all := strings.EqualFold(word, "all"); {
		case all && allow:
			a.open = true
		case all:
			a.closed = true
		case !allow:
			a.hidden = d
		case ok:
			a.ranges = appendNew(a.ranges, p)
		case strings.EqualFold(word, "localhost"):
			a.ranges = appendNew(appendNew(a.ranges, "127.0.0.0/8"), "::1")
		default:
			a.unknown = d
		}
	}
}

// addressRange reads an address, a range, the beginning of an address (10.1)
// or one with a mask, in the form that wsfront reads.
func addressRange(s string) (string, bool) {
	if p, err := netip.ParsePrefix(s); err == nil {
		return p.Masked().String(), true
	}
	if ip, err := netip.ParseAddr(s); err == nil && ip.Zone() == "" {
		return ip.String(), true
	}
	addr, mask, masked := strings.Cut(s, "/")
	if masked {
		ip, err := netip.ParseAddr(addr)
		m, err2 := netip.ParseAddr(mask)
		if err != nil || err2 != nil || !ip.Is4() || !m.Is4() {
			return "", false
		}
		bits, four := 0, m.As4()
		for _, b := range four {
			for ; b&0x80 != 0; b <<= 1 {
				bits++
			}
		}
		p := netip.PrefixFrom(ip, bits).Masked()
		return p.String(), true
	}
	parts := strings.Split(strings.TrimSuffix(s, "."), ".")
	if len(parts) > 3 || len(parts) == 0 {
		return "", false
	}
	for _, p := range parts {
		if n, err := strconv.Atoi(p); err != nil || n < 0 || n > 255 {
			return "", false
		}
	}
	p, err := netip.ParsePrefix(strings.Join(parts, ".") + strings.Repeat(".0", 4-len(parts)) + "/" + strconv.Itoa(8*len(parts)))
	if err != nil {
		return "", false
	}
	return p.Masked().String(), true
}

// admission is who may come to a route.
type admission struct {
	allow []string // nil: everybody
	file  string   // of users; "" asks for none
	realm string
}

// admissionOf puts together what the sections that hold for a route say: the
// last one that says anything counts, as in Apache without AuthMerging.
func (im *importer) admissionOf(scopes []*scope) admission {
	var said *scope
	var logins access
	for _, s := range scopes {
		a := &s.access
		if a.certificate {
			return admission{allow: []string{}}
		}
		if a.authType != nil {
			logins.authType = a.authType
		}
		if a.realm != nil {
			logins.realm = a.realm
		}
		if a.users != nil {
			logins.users = a.users
		}
		if len(a.lines) > 0 {
			said = s
		}
	}
	if said == nil {
		return admission{}
	}
	return im.admit(said.access, logins)
}

// leftToApache leaves who may come to the Apache behind wsfront, for an app
// inside it: it goes on to ask. Client certificates alone end here.
func (im *importer) leftToApache(scopes []*scope) bool {
	for _, s := range scopes {
		if s.access.certificate {
			return false
		}
	}
	for _, s := range scopes {
		a := &s.access
		for _, d := range slices.Concat(a.lines, lines(a.authType), lines(a.realm), lines(a.users)) {
			im.demote(d, "Apache behind wsfront goes on to ask who may come, see below")
		}
	}
	return true
}

// admit says in wsfront's terms who may come. What it does not have is closed
// until somebody decides.
func (im *importer) admit(a, logins access) admission {
	const until = "; until then the route is closed"
	none := admission{allow: []string{}}
	if a.unknown != nil && a.unknown.Is("Include") {
		im.needsYou(a.unknown, "its file is not here, and may say who may come: put it there and import again, or write allow with addresses, or basic_auth, at the route"+until)
		return none
	}
	if a.unknown != nil {
		im.needsYou(a.unknown, "wsfront does not know who that is: write allow with addresses, or basic_auth, at the route"+until)
		return none
	}
	if a.hidden != nil {
		im.needsYou(a.hidden, "wsfront has no list of those who may not come, so that they may come here now: refuse them in the firewall, or write allow with those that may")
	}
	who := admission{allow: a.addresses()}
	if !a.login || who.allow == nil && (a.open || a.old && a.any) {
		return who
	}
	either := len(a.ranges) > 0 && (a.any || !a.old && a.grouped != "requireall")
	switch {
	case logins.authType == nil || !strings.EqualFold(logins.authType.Arg(0), "basic") || logins.users == nil:
		line := a.lines[len(a.lines)-1]
		if logins.authType != nil {
			line = logins.authType
		}
		im.needsYou(line, "wsfront asks for passwords by Basic, with a file of users (htpasswd -B), and by nothing else: write basic_auth at the route, or let the app ask"+until)
		return none
	case either:
		im.needsYou(a.lines[0], "either the address or the password was enough; wsfront asks for both: remove allow or basic_auth at the route if one is to do")
	case a.old && a.any && len(who.allow) == 0:
		who.allow = nil // Deny from all, Satisfy Any: the password alone
	}
	who.file = im.absolute(logins.users.Arg(0))
	if logins.realm != nil {
		who.realm = strings.Join(logins.realm.Args, " ")
	}
	im.remark("the app gets the user's name as X-Remote-User, and no Authorization, which Apache sent on to backends", logins.users)
	return who
}

// addresses are the ranges that may come; nil is everybody, empty nobody.
func (a *access) addresses() []string {
	some := append([]string{}, a.ranges...)
	switch {
	case a.old && a.denyLast: // allow,deny: nobody but those allowed
		if a.open && !a.closed {
			return nil
		}
		if a.closed {
			return []string{}
		}
		return some
	case a.old: // deny,allow: everybody but those denied
		if a.open || !a.closed {
			return nil
		}
		return some
	case a.open && (len(some) == 0 || a.grouped != "requireall"):
		return nil
	case a.login && len(some) == 0 && !a.closed:
		return nil
	case !a.login && len(some) == 0 && !a.closed:
		return nil // blocklists alone
	}
	return some
}

// options are the admission as options of a route.
func (w admission) options() []option {
	var list []option
	if w.allow != nil {
		list = append(list, option{"allow", flowList(w.allow)})
	}
	switch {
	case w.file != "" && w.realm != "":
		list = append(list, option{"basic_auth", fmt.Sprintf("{file: %s, realm: %s}", inFlow(w.file), inFlow(w.realm))})
	case w.file != "":
		list = append(list, option{"basic_auth", plain(w.file)})
	}
	return list
}
