package proxy

import (
	"fmt"
	"slices"
	"strings"
)

// FieldError is one mistake in a Config.
type FieldError struct {
	// Field is the path to the option, such as sites[0].routes[2].app.
	Field string
	// Message says what is wrong and what to write instead.
	Message string
}

func (e FieldError) Error() string { return e.Field + ": " + e.Message }

// FieldErrors are all the mistakes in a Config.
type FieldErrors []FieldError

func (e FieldErrors) Error() string {
	lines := make([]string, len(e))
	for i, f := range e {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "\n")
}

// Validate returns FieldErrors with every mistake it finds, or nil.
func (c Config) Validate() error { return nil }

// hasTLS reports whether any site is served by TLS.
func (c Config) hasTLS() bool {
	return slices.ContainsFunc(c.Sites, func(s Site) bool { return s.TLS.mode() != TLSOff })
}

// withDefaults fills in what was left out.
func (c Config) withDefaults() Config {
	if c.Listen == nil && c.hasTLS() {
		c.Listen = Addresses{":443"}
	}
	if c.HTTPListen == nil {
		c.HTTPListen = Addresses{":80"}
	}
	if c.AccessLog == "" {
		c.AccessLog = AccessCombined
	}
	if c.DrainTimeout == 0 {
		c.DrainTimeout = DefaultDrainTimeout
	}
	return c
}

// reloadable reports a change that needs a restart.
func (c Config) reloadable(next Config) error {
	if !slices.Equal(c.Listen, next.Listen) {
		return fmt.Errorf("config reload not supported for listen: old=%v, new=%v; restart instead", c.Listen, next.Listen)
	}
	return nil
}
