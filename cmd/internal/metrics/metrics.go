package metrics

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"wsfront/proxy"
	"wsfront/pusher"
)

// Sources are the parts of a running wsfront that have something to tell, by
// functions that may be called concurrently and return at once; those that take a
// context return when it is done. What a nil function would tell is left out.
// Parts go by name: front, push, and publish for its API.
type Sources struct {
	// Version is that of the program.
	Version string

	// Config tells of the configuration in effect and of reloads.
	Config func() Config

	// Front is Server.Counts, and Certificates is Server.Certificates.
	Front        func() proxy.Counts
	Certificates func() []proxy.CertificateState

	// Push is Hub.Counts of the push service that runs, or false where none does.
	Push func(context.Context) (pusher.Counts, bool)

	// Ready says whether the server should get traffic, as GET /readyz does, and
	// Draining whether it is about to end.
	Ready    func(context.Context) bool
	Draining func() bool

	// Limits tells, for each part, how often each of its limits was reached since
	// the start, by the limit's key in the configuration file. A limit that was
	// never reached is in it with 0.
	Limits map[string]func() map[string]uint64

	// Capacity tells, for each part, how much some of its limits let there be at a
	// time, by the limit's key.
	Capacity map[string]func() map[string]int64

	// Panics tells, for each part, how many faults ended one request or connection
	// since the start.
	Panics map[string]func() uint64
}

// Config is the configuration in effect, and what came of orders to read it again
// since the start.
type Config struct {
	// Version is the same for the same configuration.
	Version string
	// Loaded is since when it is in effect.
	Loaded time.Time
	// Applied and Refused are how many reloads were, and LastRefused says that the
	// last one was: what stands in the file is not what is in effect.
	Applied, Refused uint64
	LastRefused      bool
}

const (
	// answerTimeout is how long an answer may take.
	answerTimeout = 10 * time.Second
	// sourceTimeout is how long a source may take that waits for others, such as the
	// servers that keep the history. Prometheus itself waits 10 s.
	sourceTimeout = 2 * time.Second
	// maxAnswers is how many may be made at a time; to read the heap's figures
	// stops the program for a moment.
	maxAnswers = 4
)

// Handler answers with all that the sources tell at that moment, and what the Go
// runtime and the system know of the process. What cannot be told is left out and
// counted in promhttp_metric_handler_errors_total.
func Handler(s Sources) http.Handler {
	own := prometheus.NewRegistry()
	own.MustRegister( // it panics for two of one name alone
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	families := newFamilies()
	gather := func() ([]*dto.MetricFamily, error) {
		parts := prometheus.NewRegistry()
		parts.MustRegister(&collector{families, s.ask()})
		return prometheus.Gatherers{own, parts}.Gather()
	}
	return promhttp.HandlerFor(prometheus.GathererFunc(gather), promhttp.HandlerOpts{
		Registry:            own,
		ErrorHandling:       promhttp.ContinueOnError,
		Timeout:             answerTimeout,
		MaxRequestsInFlight: maxAnswers,
	})
}
