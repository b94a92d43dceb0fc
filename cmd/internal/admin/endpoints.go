package admin

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"
)

// unknownPath is the answer to a path that is not served, of this version and of
// those before it.
const unknownPath = "404 page not found"

// endpoint is a method and path, and what answers it.
type endpoint struct {
	pattern string
	handle  http.HandlerFunc
	served  bool
	// lasts is how long the answer may take, 0 for as long as its handler likes.
	lasts time.Duration
	// public answers those who have shown no token where one is needed; nil turns
	// them away.
	public http.HandlerFunc
}

// listTimeout is for answers that can be long.
const listTimeout = 2 * time.Minute

// endpoints are all that are known; those without a source are not served.
func endpoints(s Sources) []endpoint {
	const quick = requestTimeout
	page, metrics := serve(s.Page), serve(s.Metrics)
	return []endpoint{
		{"GET /healthz", healthy, true, quick, healthy},
		{"GET /readyz", s.readyz, s.NotReady != nil, quick, s.readyzBriefly},
		{"GET /status", s.status, s.Status != nil, quick, nil},
		{"GET /tunnels", s.listTunnels, s.Tunnels != nil, listTimeout, nil},
		{"DELETE /tunnels/{id}", s.closeTunnel, s.CloseTunnel != nil, quick, nil},
		{"GET /channels", s.channels, s.Channels != nil, listTimeout, nil},
		{"GET /certificates", s.certificates, s.Certificates != nil, quick, nil},
		{"GET /failures", s.failures, s.Failures != nil, quick, nil},
		{"GET /config", s.config, s.Config != nil, quick, nil},
		{"GET /metrics", metrics, s.Metrics != nil, quick, nil},
		{"POST /reload", ordered(s.Reload), s.Reload != nil, quick, nil},
		{"POST /upgrade", ordered(s.Upgrade), s.Upgrade != nil, upgradeTimeout, nil},
		{"GET /debug/pprof/{$}", listProfiles, s.Pprof, quick, nil},
		{"GET /debug/pprof/profile", profileCPU, s.Pprof, maxProfile + quick, nil},
		{"GET /debug/pprof/{name}", profile, s.Pprof, listTimeout, nil},
		// The page shows nothing by itself: it asks for the token.
		{"GET /{$}", page, s.Page != nil, quick, page},
		{"GET /page/{file}", page, s.Page != nil, quick, page},
		{"GET /events", page, s.Page != nil, 0, nil},
	}
}

func serve(h http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(w, r) }
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

// readyzBriefly leaves out why: that names sites and backends.
func (s Sources) readyzBriefly(w http.ResponseWriter, r *http.Request) {
	if len(s.NotReady(r.Context())) > 0 {
		http.Error(w, "not ready", http.StatusServiceUnavailable)
		return
	}
	io.WriteString(w, "ready\n")
}

func (s Sources) config(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/yaml") // RFC 9512
	_, _ = w.Write(s.Config())
}

func (s Sources) status(w http.ResponseWriter, r *http.Request) {
	answer := s.Status(r.Context())
	answer.NotReady, answer.Sites = orNone(answer.NotReady), orNone(answer.Sites)
	answer.Certificates, answer.Failures = orNone(answer.Certificates), orNone(answer.Failures)
	writeJSON(w, http.StatusOK, answer)
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
