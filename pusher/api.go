package pusher

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
)

// publishAPI answers the application for Hub.PublishAPI and Hub.API.
type publishAPI struct {
	hub  *Hub
	keys *accessKeys
}

// API makes the handler by which applications publish and manage; it is to be
// the root of a server of its own. Each request has one of the keys:
//
//	Authorization: Bearer KEY    (or X-API-Key: KEY)
//
// and these are there:
//
//	POST   /channels/{name}           publishes the body as one message
//	POST   /publish                   publishes many messages, one in each line
//	GET    /channels                  lists channels
//	GET    /channels/{name}           tells about one, with its last messages
//	GET    /channels/{name}/presence  lists who listens to it
//	DELETE /channels/{name}/history   forgets its messages
//	DELETE /clients/{id}              ends a connection
//	DELETE /users/{user}              ends all connections of a user
//
// A message is text when the Content-Type says so (text/*, JSON, XML), is that
// of curl -d, or is missing, and binary otherwise. Idempotency-Key and TTL, in
// seconds (RFC 8030 §5.2), are Message.ID and Message.TTL. The answer to a
// message that was taken is 200 and
//
//	{"channel":"board","subscribers":3,"position":"k3v9q2mx.17"}
//
// with "duplicate":true when it had been taken before. Errors are plain words:
// 400 for what cannot be understood, text that is not UTF-8 or an uploaded form,
// 401 for the key, 403 for what it is not for, 404 for the path, 405 for the
// method, 413 for a message longer than Config.MaxMessage, 503 when the store
// has failed and the request may be tried again, 507 when it is full. The rest
// is told by deploy/openapi.yaml.
//
// The error is that of Keys.Validate, or says which key file cannot be used.
func (h *Hub) API(keys Keys) (http.Handler, error) {
	if err := keys.Validate(); err != nil {
		return nil, err
	}
	read, err := newAccessKeys(keys, h.log)
	if err != nil {
		return nil, err
	}
	return &publishAPI{hub: h, keys: read}, nil
}

// PublishAPI is API for one key that is for everything. An empty key admits
// nobody.
func (h *Hub) PublishAPI(key string) http.Handler {
	keys, _ := newAccessKeys([]Key{{ // fails over files alone
		Name: "publish", Secret: key, Channels: []string{"*"}, Rights: []Right{RightPublish, RightRead, RightManage},
	}}, h.log)
	return &publishAPI{hub: h, keys: keys}
}

// refusal is an error answer.
type refusal struct {
	status int
	text   string
}

func (f *refusal) message() string {
	return fmt.Sprintf("%d %s: %s", f.status, http.StatusText(f.status), f.text)
}

func (a *publishAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key, problem := a.authorize(r)
	if key == nil {
		w.Header().Set("WWW-Authenticate", `Bearer realm="publish"`) // RFC 9110 §11.6.1
		a.hub.refuse(w, r, http.StatusUnauthorized, "publish key", problem)
		return
	}
	serve, allow := route(r.Method, r.URL.Path)
	var refused *refusal
	switch {
	case serve != nil:
		refused = serve(a, w, r, key)
	case allow != "":
		w.Header().Set("Allow", allow)
		refused = &refusal{http.StatusMethodNotAllowed, "this path takes " + allow + "; a message is published by POST /channels/NAME, as the body"}
	default:
		refused = &refusal{http.StatusNotFound, "nothing here; publish by POST /channels/NAME with the message as the body"}
	}
	switch {
	case refused == nil:
	case refused.status == http.StatusForbidden:
		a.hub.refuse(w, r, refused.status, "publish key", refused.text, slog.String("key", key.Name))
	default:
		if refused.status == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", "1")
		}
		a.hub.counts.refuse(refused.status)
		http.Error(w, refused.message(), refused.status)
	}
}

// authorize finds the key of r, or says what is wrong with it.
func (a *publishAPI) authorize(r *http.Request) (key *Key, problem string) {
	var secret string
	if values := r.Header["X-Api-Key"]; len(values) > 0 {
		secret = values[0]
	}
	if values := r.Header["Authorization"]; len(values) > 0 && values[0] != "" {
		scheme, token, _ := strings.Cut(values[0], " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return nil, `the Authorization header is not of the form "Authorization: Bearer KEY"`
		}
		secret = strings.TrimSpace(token)
	}
	if secret == "" {
		return nil, `no key; send "Authorization: Bearer KEY" with the publish key`
	}
	if key = a.keys.find(secret); key == nil {
		return nil, "wrong key; send the one that is in this service's key file"
	}
	return key, ""
}

// action answers a request, or says why not.
type action func(a *publishAPI, w http.ResponseWriter, r *http.Request, key *Key) *refusal

// route finds who answers; serve is nil when nobody does. allow is the methods
// that the path takes, "" when there is nothing.
func route(method, path string) (serve action, allow string) {
	kind, rest, deeper := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	_, part, _ := strings.Cut(rest, "/")
	switch {
	case kind == "channels" && !deeper:
		serve, allow = (*publishAPI).list, http.MethodGet
	case kind == "channels" && part == "history":
		serve, allow = (*publishAPI).purge, http.MethodDelete
	case kind == "channels" && part == "presence":
		serve, allow = (*publishAPI).presence, http.MethodGet
	case kind == "channels" && rest != "" && method == http.MethodPost:
		return (*publishAPI).publish, method
	case kind == "channels" && rest != "" && method == http.MethodGet:
		return (*publishAPI).show, method
	case kind == "channels" && rest != "":
		return nil, "GET, POST"
	case kind == "publish" && !deeper:
		serve, allow = (*publishAPI).publishMany, http.MethodPost
	case kind == "clients" && rest != "":
		serve, allow = (*publishAPI).endClient, http.MethodDelete
	case kind == "users" && rest != "":
		serve, allow = (*publishAPI).endUser, http.MethodDelete
	}
	if method != allow {
		return nil, allow
	}
	return serve, allow
}

// channelOf is the channel that the path of r names, if key is for it.
func channelOf(r *http.Request, key *Key, right Right) (string, *refusal) {
	name := strings.TrimPrefix(r.URL.Path, "/channels/")
	name = strings.TrimSuffix(strings.TrimSuffix(name, "/history"), "/presence")
	if !validChannel(name) {
		return "", &refusal{http.StatusBadRequest, channelProblem(name)}
	}
	return name, key.check(right, name)
}

// answer sends v as JSON.
func answer(w http.ResponseWriter, v any) *refusal {
	text, err := json.Marshal(v)
	if err != nil {
		return &refusal{http.StatusInternalServerError, err.Error()}
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(text, '\n')) // who left does not want it
	return nil
}
