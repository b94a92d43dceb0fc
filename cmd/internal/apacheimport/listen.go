package apacheimport

import (
	"net"
	"slices"
	"strconv"
)

// addresses finds out where the sites are served: at the vhosts' addresses.
func (im *importer) addresses(vhosts []*vhost) {
	var secure, open []address
	for _, s := range im.sites {
		if s.tls == "off" {
			open = append(open, s.vhost.addresses...)
		} else if s.vhost.secure() {
			for _, a := range s.vhost.addresses {
				if a.port == 80 { // a vhost of both
					open = append(open, a)
				} else {
					secure = append(secure, a)
				}
			}
		}
	}
	for _, v := range vhosts { // those that only redirect to https
		if !v.secure() && v.section != nil {
			open = append(open, v.addresses...)
		}
	}
	im.listen, im.plain = addressList(secure, 443), addressList(open, 80)
	hasTLS := slices.ContainsFunc(im.sites, func(s *site) bool { return s.tls != "off" })
	if !hasTLS {
		im.listen = nil
	}
	if slices.Equal(im.listen, []string{":443"}) {
		im.listen = nil
	}
	if slices.Equal(im.plain, []string{":80"}) {
		im.plain = nil
	}
	if len(im.listen)+len(im.plain) > 2 {
		im.remark("every site is served at every address of listen and http_listen: wsfront tells sites by their names alone")
	}
	im.plain = slices.DeleteFunc(im.plain, func(a string) bool { return slices.Contains(im.listen, a) })
}

// addressList is the addresses in the form of listen, those that another one
// holds left out.
func addressList(list []address, port int) []string {
	var every []int
	var texts []string
	for i, a := range list {
		if a.port == 0 {
			list[i].port = port
		}
		if a.host == "" {
			every = append(every, list[i].port)
		}
	}
	for _, a := range list {
		if a.host != "" && slices.Contains(every, a.port) {
			continue
		}
		text := ":" + strconv.Itoa(a.port)
		if a.host != "" {
			text = net.JoinHostPort(a.host, strconv.Itoa(a.port))
		}
		texts = appendNew(texts, text)
	}
	return texts
}

// listeners writes listen and http_listen, where they differ from the default.
func (im *importer) listeners(e *emitter) {
	for _, l := range []struct {
		name string
		list []string
	}{{"listen", im.listen}, {"http_listen", im.plain}} {
		switch len(l.list) {
		case 0:
		case 1:
			e.line(0, l.name+": "+plain(l.list[0]))
		default:
			e.line(0, l.name+": "+flowList(l.list))
		}
	}
}
