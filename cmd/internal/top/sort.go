package top

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Order is the order of tunnels, by its name.
type Order string

// The orders: those that move most now come first, or the newest, those that
// moved most bytes or messages, or those in which nothing moved for longest.
const (
	byRate     Order = "rate"
	byAge      Order = "age"
	byBytes    Order = "bytes"
	byMessages Order = "messages"
	byIdle     Order = "idle"
)

// orders are all of them, as the key goes through them.
func orders() []Order { return []Order{byRate, byAge, byBytes, byMessages, byIdle} }

// ParseOrder is the order of a name: rate, age, bytes, messages or idle. The error
// says so.
func ParseOrder(name string) (Order, error) {
	if o := Order(name); slices.Contains(orders(), o) {
		return o, nil
	}
	return "", fmt.Errorf("--sort %q: write rate, age, bytes, messages or idle", name)
}

// asked is the order in which the server is asked for tunnels: it knows no rates,
// and what moves much now has moved much as a rule.
func (o Order) asked() string {
	if o == byRate {
		return string(byBytes)
	}
	return string(o)
}

// next is the order that follows.
func (o Order) next() Order {
	all := orders()
	return all[(slices.Index(all, o)+1)%len(all)]
}

// sortTunnels puts tunnels into an order.
func sortTunnels(tunnels []*Tunnel, o Order) {
	slices.SortFunc(tunnels, func(a, b *Tunnel) int {
		var c int
		switch o {
		case byRate:
			c = cmp.Or(cmp.Compare(b.bytes(), a.bytes()), cmp.Compare(b.BytesIn+b.BytesOut, a.BytesIn+a.BytesOut))
		case byAge:
			c = b.Opened.Compare(a.Opened)
		case byBytes:
			c = cmp.Compare(b.BytesIn+b.BytesOut, a.BytesIn+a.BytesOut)
		case byMessages:
			c = cmp.Compare(b.MessagesIn+b.MessagesOut, a.MessagesIn+a.MessagesOut)
		case byIdle:
			c = a.Moved.Compare(b.Moved)
		}
		return cmp.Or(c, cmp.Compare(a.ID, b.ID)) // rows do not change places for nothing
	})
}

// sortRoutes puts those first that are not well, then those with most to do.
func sortRoutes(routes []Route) {
	health := func(r Route) int {
		switch r.Health {
		case "down":
			return 0
		case "degraded":
			return 1
		}
		return 2
	}
	slices.SortStableFunc(routes, func(a, b Route) int {
		return cmp.Or(cmp.Compare(health(a), health(b)), cmp.Compare(b.RequestRate+b.MessageRate, a.RequestRate+a.MessageRate))
	})
}

// matches says whether one of the texts has the filter in it, in capitals or not.
// The filter is in small letters.
func matches(filter string, texts ...string) bool {
	return filter == "" || slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(strings.ToLower(text), filter) })
}
