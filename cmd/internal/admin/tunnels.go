package admin

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"wsfront/proxy"
)

const (
	// defaultLimit is how many tunnels or channels are listed when the request does
	// not say, and maxLimit how many at most.
	defaultLimit = 1000
	maxLimit     = 100_000
)

// limitOf is how much a request wants listed. It answers one that says it wrongly.
func limitOf(w http.ResponseWriter, r *http.Request) (int, bool) {
	text := r.URL.Query().Get("limit")
	if text == "" {
		return defaultLimit, true
	}
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil || n == 0 {
		http.Error(w, fmt.Sprintf("limit=%.20q is no number of things to list; write one from 1 to %d", text, maxLimit), http.StatusBadRequest)
		return 0, false
	}
	return min(int(n), maxLimit), true
}

// orders are the orders of ?sort=.
var orders = map[string]func(a, b *proxy.TunnelState) int{
	"age":   func(a, b *proxy.TunnelState) int { return b.Opened.Compare(a.Opened) },
	"bytes": func(a, b *proxy.TunnelState) int { return cmp.Compare(b.BytesIn+b.BytesOut, a.BytesIn+a.BytesOut) },
	"messages": func(a, b *proxy.TunnelState) int {
		return cmp.Compare(b.MessagesIn+b.MessagesOut, a.MessagesIn+a.MessagesOut)
	},
	"idle": func(a, b *proxy.TunnelState) int { return a.Moved.Compare(b.Moved) },
}

func (s Sources) listTunnels(w http.ResponseWriter, r *http.Request) {
	limit, ok := limitOf(w, r)
	if !ok {
		return
	}
	query := r.URL.Query()
	order, ok := orders[cmp.Or(query.Get("sort"), "age")]
	if !ok {
		http.Error(w, fmt.Sprintf("sort=%.20q is not known; write age, bytes, messages or idle", query.Get("sort")), http.StatusBadRequest)
		return
	}
	route := query.Get("route")
	all := s.Tunnels()
	tunnels := make([]*proxy.TunnelState, 0, len(all)) // they are long to move about
	for i := range all {
		if route == "" || all[i].Route == route {
			tunnels = append(tunnels, &all[i])
		}
	}
	slices.SortFunc(tunnels, func(a, b *proxy.TunnelState) int { return cmp.Or(order(a, b), cmp.Compare(a.ID, b.ID)) })
	writeTunnels(w, len(tunnels), tunnels[:min(limit, len(tunnels))])
}

// writeTunnels answers with a TunnelList. It is written piece by piece, since as
// one text 100,000 tunnels would be some 40 MB.
func writeTunnels(w http.ResponseWriter, open int, tunnels []*proxy.TunnelState) {
	w.Header().Set("Content-Type", "application/json")
	out := bufio.NewWriterSize(w, 32<<10)
	fmt.Fprintf(out, `{"open":%d,"tunnels":[`, open)
	enc := json.NewEncoder(out)
	for i, t := range tunnels {
		if i > 0 {
			out.WriteByte(',')
		}
		if enc.Encode(t) != nil {
			return // whoever asked has gone away
		}
	}
	out.WriteString("]}\n")
	_ = out.Flush()
}

func (s Sources) closeTunnel(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if !s.CloseTunnel(id) {
		http.Error(w, fmt.Sprintf("no tunnel of the id %.64q is open; it has ended, or GET /tunnels has its true id", id), http.StatusNotFound)
		return
	}
	fmt.Fprintln(w, "closed")
}
