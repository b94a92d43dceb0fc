package metrics

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
)

// process is what runs, with which configuration, and whether it is to be asked.
type process struct {
	build                                      family
	config, loaded, reloads, lastReloadApplied family
	ready, draining                            family
	capacity, limits, panics                   family
}

func newProcess() process {
	return process{
		build:             gauge("wsfront_build_info", "What runs: the version of wsfront, and of Go.", "version", "goversion"),
		config:            gauge("wsfront_config_info", "The version of the configuration in effect.", "version"),
		loaded:            gauge("wsfront_config_last_reload_success_timestamp_seconds", "Since when the configuration is in effect, in seconds since 1970."),
		reloads:           counter("wsfront_config_reloads_total", "Reloads, by what came of them.", "result"),
		lastReloadApplied: gauge("wsfront_config_last_reload_successful", "0 while the file has a configuration that was refused, 1 otherwise."),
		ready:             gauge("wsfront_ready", "1 while the server should get traffic, as /readyz tells."),
		draining:          gauge("wsfront_draining", "1 while the server is about to end."),
		capacity:          gauge("wsfront_limit", "How much a limit of the configuration lets there be at a time; queue_total is in bytes.", "part", "limit"),
		limits:            counter("wsfront_limit_reached_total", "How often a limit of the configuration was reached since the start.", "part", "limit"),
		panics:            counter("wsfront_panics_total", "Faults in wsfront that ended one request or connection since the start.", "part"),
	}
}

func (f process) collect(to chan<- prometheus.Metric, v *values) {
	f.build.send(to, 1, v.version, runtime.Version())
	if c := v.config; c != nil {
		f.config.send(to, 1, c.Version)
		f.loaded.send(to, float64(c.Loaded.Unix()))
		f.reloads.send(to, float64(c.Applied), "applied")
		f.reloads.send(to, float64(c.Refused), "refused")
		f.lastReloadApplied.sendFlag(to, !c.LastRefused)
	}
	if v.ready != nil {
		f.ready.sendFlag(to, *v.ready)
	}
	if v.draining != nil {
		f.draining.sendFlag(to, *v.draining)
	}
	for part, most := range v.capacity {
		sendEach(f.capacity, to, most, part)
	}
	for part, hits := range v.limits {
		sendEach(f.limits, to, hits, part)
	}
	sendEach(f.panics, to, v.panics)
}
