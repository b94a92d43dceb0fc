package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ErrUnknownOrder is for an order that a server of an earlier version does not
// know.
var ErrUnknownOrder = errors.New("the server that runs is of a version that does not know this; restart it")

// Reload orders the server of a state folder to read its configuration again.
// The error is the server's own, or says that none runs.
func Reload(ctx context.Context, state string) error {
	return order(ctx, state, http.MethodPost, "/reload", requestTimeout)
}

// Upgrade orders the server of a state folder to have another process take its
// place, and returns when that one serves. The error is the server's own, or says
// that none runs.
func Upgrade(ctx context.Context, state string) error {
	return order(ctx, state, http.MethodPost, "/upgrade", upgradeTimeout)
}

// Health asks the server of a state folder whether it serves. The error says
// what is wrong, or that none runs.
func Health(ctx context.Context, state string) error {
	return order(ctx, state, http.MethodGet, "/healthz", requestTimeout)
}

// GetStatus asks the server of a state folder how it fares. Its errors are as
// Health's, and so are those of what follows.
func GetStatus(ctx context.Context, state string) (Status, error) {
	return get[Status](ctx, state, "/status")
}

// TunnelQuery says which tunnels are wanted. The zero value wants the newest.
type TunnelQuery struct {
	// Sort is age (the newest first), bytes or messages (those that moved the most
	// first), or idle (those in which nothing moved for longest). "" is age.
	Sort string
	// Route is the route whose tunnels are wanted, "" for all.
	Route string
	// Limit is how many at most; 0 is as many as the server gives.
	Limit int
}

func (q TunnelQuery) encode() string {
	v := url.Values{}
	if q.Sort != "" {
		v.Set("sort", q.Sort)
	}
	if q.Route != "" {
		v.Set("route", q.Route)
	}
	if q.Limit > 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	return v.Encode()
}

// GetTunnels lists tunnels that are open.
func GetTunnels(ctx context.Context, state string, q TunnelQuery) (TunnelList, error) {
	return get[TunnelList](ctx, state, "/tunnels?"+q.encode())
}

// CloseTunnel has a tunnel closed. That there is none of the id is an error.
func CloseTunnel(ctx context.Context, state, id string) error {
	return order(ctx, state, http.MethodDelete, "/tunnels/"+url.PathEscape(id), requestTimeout)
}

// GetChannels lists channels.
func GetChannels(ctx context.Context, state string) (ChannelList, error) {
	return get[ChannelList](ctx, state, "/channels")
}

// GetCertificates lists the certificates.
func GetCertificates(ctx context.Context, state string) (CertificateList, error) {
	return get[CertificateList](ctx, state, "/certificates")
}

// GetFailures lists what failed last.
func GetFailures(ctx context.Context, state string) (FailureList, error) {
	return get[FailureList](ctx, state, "/failures")
}

// get asks for JSON.
func get[T any](ctx context.Context, state, path string) (T, error) {
	var answer T
	text, err := ask(ctx, state, http.MethodGet, path, requestTimeout)
	if err != nil {
		return answer, err
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return answer, fmt.Errorf("understand the server's answer: %w; is this wsfront of the same version as the one that runs?", err)
	}
	return answer, nil
}

// order asks for something to be done.
func order(ctx context.Context, state, method, path string, within time.Duration) error {
	_, err := ask(ctx, state, method, path, within)
	return err
}

// ask sends one request to the server of a state folder. An answer other than
// 200 is an error, in the server's words.
func ask(ctx context.Context, state, method, path string, within time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", Socket(state))
	}}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+SocketHost+path, nil)
	if err != nil {
		return nil, fmt.Errorf("ask the server: %w", err)
	}
	resp, err := transport.RoundTrip(req)
	switch {
	case errors.Is(err, os.ErrPermission):
		return nil, fmt.Errorf("no permission for %s; run this as the user that runs wsfront", Socket(state))
	case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		hint := "name the folder by --state or the file by --config"
		if os.Geteuid() != 0 { // whose own folder is not that of the service
			hint = "a service's own is for root or its user: run this by sudo; or " + hint
		}
		return nil, fmt.Errorf("no wsfront runs with the state folder %s; %s", state, hint)
	case err != nil:
		return nil, fmt.Errorf("ask the server: %w", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("read the server's answer: %w", err)
	}
	text := strings.TrimSpace(string(answer))
	switch {
	case resp.StatusCode == http.StatusNotFound && text == unknownPath, resp.StatusCode == http.StatusMethodNotAllowed:
		return nil, ErrUnknownOrder
	case resp.StatusCode != http.StatusOK:
		return nil, errors.New(text)
	}
	return answer, nil
}
