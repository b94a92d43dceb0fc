package proxy

import (
	"slices"
	"testing"
)

func TestAcceptedCodings(t *testing.T) {
	offer := []string{"br", "zstd", "gzip"}
	for field, want := range map[string][]string{
		"":                               {},
		"gzip":                           {"gzip"},
		"GZIP":                           {"gzip"},
		"x-gzip":                         {"gzip"},
		"gzip, deflate, br, zstd":        {"br", "zstd", "gzip"},
		"gzip;q=1.0, br;q=0.5":           {"gzip", "br"},
		"gzip ; q=0.8 ,zstd;Q=0.9":       {"zstd", "gzip"},
		"*":                              {"br", "zstd", "gzip"},
		"*;q=0":                          {},
		"br;q=0, *":                      {"zstd", "gzip"},
		"gzip, *;q=0":                    {"gzip"},
		"identity":                       {},
		"identity, gzip;q=0.5":           {},
		"identity;q=0.5, gzip":           {"gzip"},
		"identity;q=0":                   {},
		"gzip;q=0":                       {},
		"gzip;q=0.000":                   {},
		"gzip;q=2":                       {},
		"gzip;q=1.5":                     {},
		"gzip;q=0.0001":                  {},
		"gzip;q=":                        {},
		"gzip;q=.5":                      {},
		"gzip;q=-1":                      {},
		"gzip;q=0.5x":                    {},
		",,;q=1,gzip":                    {"gzip"},
		"deflate":                        {},
		"br;q=0.001, zstd;q=0.002, gzip": {"gzip", "zstd", "br"},
	} {
		if got := acceptedCodings([]string{field}, slices.Clone(offer)...); !slices.Equal(got, want) {
			t.Errorf("Accept-Encoding: %s: got %v, want %v", field, got, want)
		}
	}
	if got := acceptedCodings(nil, offer...); len(got) != 0 {
		t.Errorf("without Accept-Encoding: got %v, want none", got)
	}
	if got := acceptedCodings([]string{"gzip;q=0.5", "br"}, slices.Clone(offer)...); !slices.Equal(got, []string{"br", "gzip"}) {
		t.Errorf("over two lines: got %v, want [br gzip]", got)
	}
}

func TestPreferredPage(t *testing.T) {
	for field, want := range map[string]string{
		"":    "text/plain",
		"*/*": "text/plain",
		"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8": "text/html",
		"application/json, text/plain, */*":                                          "application/json",
		"application/problem+json":                                                   "application/json",
		"application/vnd.api+json; ext=x; q=0.9, text/html;q=0.1":                    "application/json",
		"text/html;q=0, application/json;q=0.1":                                      "application/json",
		"text/html;q=0":                                                              "text/plain",
		"text/html;q=0.5, text/plain":                                                "text/plain",
		"application/xhtml+xml":                                                      "text/html",
		"image/png":                                                                  "text/plain",
		"text/event-stream":                                                          "text/plain",
		"text/html;q=nonsense":                                                       "text/plain",
		"application/json;q=0.4, text/html":                                          "text/html",
		"text/html, application/json":                                                "text/html",
		"TEXT/HTML":                                                                  "text/html",
		"image/svg+xml, application/atom+xml":                                        "text/plain",
	} {
		if got := preferredPage([]string{field}); got != want {
			t.Errorf("Accept: %s: got %s, want %s", field, got, want)
		}
	}
}

func FuzzWeighted(f *testing.F) {
	for _, seed := range []string{"gzip, deflate, br, zstd", "gzip;q=0.5,*;q=0", ";;q=1,,", "a;q=1.000;q=0", "text/html;level=\"1,2\";q=0.7"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, field string) {
		for name, weight := range weighted([]string{field}) {
			if name == "" || weight < 0 || weight > 1000 {
				t.Errorf("%q: item %q with weight %d", field, name, weight)
			}
		}
		offer := []string{"br", "zstd", "gzip"}
		for _, c := range acceptedCodings([]string{field}, slices.Clone(offer)...) {
			if !slices.Contains(offer, c) {
				t.Errorf("%q: %q was not offered", field, c)
			}
		}
	})
}
