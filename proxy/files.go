package proxy

import "net/http"

// files serves a folder.
type files struct{ route *route }

func newFiles(rt *route) (*files, error) { return &files{rt}, nil }

func (f *files) serve(x *exchange, r *http.Request) { http.NotFound(x, r) }
