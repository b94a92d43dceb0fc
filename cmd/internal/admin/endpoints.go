package admin

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
)

// unknownPath is the answer to a path that is not served, of this version and of
// those before it.
const unknownPath = "404 page not found"

// endpoint is a method and path, and what answers it.
type endpoint struct {
	pattern string
	handle  http.HandlerFunc
	served  bool
}

// endpoints are all that are served with these sources.
func endpoints(s Sources) []endpoint {
	all := []endpoint{
		{"GET /healthz", healthy, true},
		{"GET /readyz", s.readyz, s.NotReady != nil},
		{"GET /status", s.status, s.Status != nil},
		{"GET /tunnels", s.listTunnels, s.Tunnels != nil},
		{"DELETE /tunnels/{id}", s.closeTunnel, s.CloseTunnel != nil},
		{"GET /channels", s.channels, s.Channels != nil},
		{"GET /certificates", s.certificates, s.Certificates != nil},
		{"GET /failures", s.failures, s.Failures != nil},
		{"POST /reload", ordered(s.Reload), s.Reload != nil},
		{"POST /upgrade", ordered(s.Upgrade), s.Upgrade != nil},
	}
	if s.Metrics != nil {
		all = append(all, endpoint{"GET /metrics", s.Metrics.ServeHTTP, true})
	}
	return all
}

func mux(s Sources) *http.ServeMux {
	m := http.NewServeMux()
	for _, e := range endpoints(s) {
		if e.served {
			m.HandleFunc(e.pattern, e.handle)
		}
	}
	return m
}

func healthy(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok\n") }

// ordered has something done.
func ordered(order func() error) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if err := order(); err != nil {
			http.Error(w, err.Error(), http.StatusConflict)
			return
		}
		io.WriteString(w, "done\n")
	}
}

// readyz is for load balancers and orchestrators, which look at the status, and
// for people, who read why.
func (s Sources) readyz(w http.ResponseWriter, r *http.Request) {
	reasons := s.NotReady(r.Context())
	status := http.StatusOK
	if len(reasons) > 0 {
		status = http.StatusServiceUnavailable
	}
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		writeJSON(w, status, Readiness{Ready: len(reasons) == 0, NotReady: orNone(reasons)})
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	if len(reasons) == 0 {
		reasons = []string{"ready"}
	}
	io.WriteString(w, strings.Join(reasons, "\n")+"\n")
}

func (s Sources) status(w http.ResponseWriter, r *http.Request) {
	writeJSON(w, http.StatusOK, s.Status(r.Context()))
}

func (s Sources) channels(w http.ResponseWriter, r *http.Request) {
	limit, ok := limitOf(w, r)
	if !ok {
		return
	}
	list, err := s.Channels(r.Context(), limit)
	if err != nil {
		http.Error(w, "the channels cannot be listed now: "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	list.Channels = orNone(list.Channels)
	writeJSON(w, http.StatusOK, list)
}

func (s Sources) certificates(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, CertificateList{orNone(s.Certificates())})
}

func (s Sources) failures(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, FailureList{orNone(s.Failures())})
}

// orNone makes an empty list of none, which JSON tells apart.
func orNone[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// writeJSON answers with one value. Whoever asked may have gone away meanwhile,
// which is nobody's fault.
func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
