package admin

import (
	"fmt"
	"net/http"
	"runtime/pprof"
	"strconv"
	"time"
)

// Profiles are made by runtime/pprof: to import net/http/pprof would serve them at
// http.DefaultServeMux as well, and without an end to how long one is made.

const (
	// defaultProfile is for how long the CPU is watched, and maxProfile how long at
	// most.
	defaultProfile = 30 * time.Second
	maxProfile     = 60 * time.Second
)

// listProfiles names what can be asked for.
func listProfiles(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintf(w, "profile?seconds=%d (CPU)\n", int(defaultProfile/time.Second))
	for _, p := range pprof.Profiles() {
		fmt.Fprintf(w, "%s (%d)\n", p.Name(), p.Count())
	}
}

// profile is one of the runtime's, for go tool pprof, or as text with ?debug=1 or 2.
func profile(w http.ResponseWriter, r *http.Request) {
	p := pprof.Lookup(r.PathValue("name"))
	if p == nil {
		http.Error(w, fmt.Sprintf("there is no profile %.40q; GET /debug/pprof/ lists them", r.PathValue("name")), http.StatusNotFound)
		return
	}
	debug, _ := strconv.Atoi(r.URL.Query().Get("debug"))
	if debug > 0 {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	} else {
		w.Header().Set("Content-Type", "application/octet-stream")
	}
	_ = p.WriteTo(w, debug) // whoever asked may have gone away
}

// profileCPU watches the CPU for a while. One watches at a time.
func profileCPU(w http.ResponseWriter, r *http.Request) {
	span := defaultProfile
	if text := r.URL.Query().Get("seconds"); text != "" {
		n, err := strconv.ParseUint(text, 10, 8)
		if err != nil || n == 0 || time.Duration(n)*time.Second > maxProfile {
			http.Error(w, fmt.Sprintf("seconds=%.20q cannot be; write 1 to %d", text, int(maxProfile/time.Second)), http.StatusBadRequest)
			return
		}
		span = time.Duration(n) * time.Second
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	if err := pprof.StartCPUProfile(w); err != nil {
		http.Error(w, "a profile of the CPU is being made already; try again when it is done", http.StatusConflict)
		return
	}
	select {
	case <-time.After(span):
	case <-r.Context().Done():
	}
	pprof.StopCPUProfile()
}
