package proxy

import (
	"cmp"
	"iter"
	"slices"
	"strings"
)

// weighted goes through the items of an Accept or Accept-Encoding field
// (RFC 9110 §12.4.2): each in lower case and without its parameters, with its
// weight in thousandths. Items whose weight makes no sense are left out.
func weighted(values []string) iter.Seq2[string, int] {
	return func(yield func(string, int) bool) {
		for _, v := range values {
			for item := range strings.SplitSeq(v, ",") {
				name, parameters, _ := strings.Cut(item, ";")
				name = strings.ToLower(strings.TrimSpace(name))
				weight, ok := parseWeight(parameters)
				if name != "" && ok && !yield(name, weight) {
					return
				}
			}
		}
	}
}

// parseWeight finds q=0.5 among the parameters of an item.
func parseWeight(parameters string) (weight int, ok bool) {
	for p := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		if !strings.EqualFold(name, "q") {
			continue
		}
		whole, decimals, _ := strings.Cut(value, ".")
		if whole != "0" && whole != "1" || len(decimals) > 3 {
			return 0, false
		}
		weight = int(whole[0] - '0')
		for i := range 3 {
			digit := 0
			if i < len(decimals) {
				digit = int(decimals[i]) - '0'
			}
			if digit < 0 || digit > 9 {
				return 0, false
			}
			weight = weight*10 + digit
		}
		return weight, weight <= 1000
	}
	return 1000, true
}

// acceptedCodings returns those of the offered content codings that the client
// takes, best first: by its weights, then in the order of the offer. A coding
// that it likes less than the plain form is none that it takes (RFC 9110
// §12.5.3).
func acceptedCodings(values []string, offered ...string) []string {
	if len(values) == 0 {
		return nil
	}
	weights := make(map[string]int, 4)
	for name, weight := range weighted(values) {
		weights[strings.TrimPrefix(name, "x-")] = weight // x-gzip is gzip's old name, §8.4.1.3
	}
	weight := func(coding string) int {
		if w, ok := weights[coding]; ok {
			return w
		}
		return weights["*"]
	}
	accepted := slices.DeleteFunc(offered, func(c string) bool {
		return weight(c) == 0 || weight(c) < weights["identity"]
	})
	slices.SortStableFunc(accepted, func(a, b string) int { return cmp.Compare(weight(b), weight(a)) })
	return accepted
}

// preferredPage chooses the form of an error page: the most wanted of
// text/html, application/json and text/plain that Accept names. Somebody who
// takes anything, as curl and fetch do, gets text.
func preferredPage(values []string) string {
	best, form := 0, "text/plain"
	for kind, weight := range weighted(values) {
		switch {
		case weight <= best:
			continue
		case kind == "text/html", kind == "application/xhtml+xml":
			best, form = weight, "text/html"
		case kind == "application/json", strings.HasPrefix(kind, "application/") && strings.HasSuffix(kind, "+json"):
			best, form = weight, "application/json"
		case kind == "text/plain":
			best, form = weight, "text/plain"
		}
	}
	return form
}
