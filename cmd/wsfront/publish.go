package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// maxLine is the longest line of standard input: that of the publish API's
// default max_message.
const maxLine = 1 << 20

func newPublish() *cobra.Command {
	var (
		server stateFlags
		api    publishFlags
		every  time.Duration
		id     string
		ttl    time.Duration
	)
	cmd := &cobra.Command{
		Use:   "publish CHANNEL [TEXT]",
		Short: "Publish a message, a timed message, or each line of standard input",
		Long: `Publishes TEXT to everybody who listens to CHANNEL. Without TEXT each line of
standard input is a message. With --every the message is sent again and again;
without TEXT it is then one that tells its number and the time.

While lines or timed messages are sent, a push service that is away for a while
is waited for. Each message is sent with an Idempotency-Key of its own, so that
trying again publishes nothing twice.`,
		Example: `  wsfront publish board "hello, everybody"
  wsfront publish board --every 1.5s
  tail -f /var/log/syslog | wsfront publish board`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := newPublisher(server, api, args[0])
			if err != nil {
				return err
			}
			p.warn = cmd.ErrOrStderr()
			p.ttl = ttl
			switch {
			case cmd.Flags().Changed("ttl") && ttl < time.Second:
				return errors.New("--ttl needs a second or more, such as 90s")
			case cmd.Flags().Changed("id") && (len(args) == 1 || cmd.Flags().Changed("every")):
				return errors.New("--id is for one message; give TEXT, and no --every")
			case every < 0 || cmd.Flags().Changed("every") && every == 0:
				return errors.New("--every needs a time above zero, such as 1.5s")
			case every > 0:
				return p.timed(cmd.Context(), every, args[1:])
			case len(args) == 2:
				return p.send(cmd.Context(), message{cmp.Or(id, rand.Text()), args[1]})
			}
			return p.lines(cmd.Context(), cmd.InOrStdin())
		},
	}
	cmd.Flags().DurationVar(&every, "every", 0, "send the message again after each `TIME`, such as 1.5s")
	cmd.Flags().StringVar(&id, "id", "", "`KEY` of the message (Idempotency-Key): what was sent with it in the last minutes is not published again (default a random one)")
	cmd.Flags().DurationVar(&ttl, "ttl", 0, "`TIME` for which the message is kept, such as 90s (default as long as the channel's history allows)")
	server.add(cmd)
	api.add(cmd)
	return cmd
}

// publisher sends messages to one channel by the publish API.
type publisher struct {
	url    string
	key    string
	client *http.Client
	warn   io.Writer
	ttl    time.Duration // 0: none
}

// message is a text with what makes sending it again harmless.
type message struct{ id, text string }

// newPublisher finds the publish API's address and key: by flags, by the
// configuration file, or where a server that runs by flags puts them.
func newPublisher(server stateFlags, flags publishFlags, channel string) (*publisher, error) {
	file, err := server.file()
	if err != nil {
		return nil, err
	}
	if flags.listen != "" {
		file.Push.Publish.Listen = flags.listen
	}
	api := file.PublishAPI()
	address := api.Listen
	if address == "off" {
		return nil, errors.New("push.publish.listen is off in the configuration file; give it an address there")
	}
	p := &publisher{url: "http://" + address, client: &http.Client{Timeout: 30 * time.Second}}
	if socket, ok := strings.CutPrefix(address, "unix:"); ok {
		p.url = "http://localhost"
		p.client.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		}}
	} else if strings.HasPrefix(address, ":") {
		p.url = "http://127.0.0.1" + address
	}
	p.url += "/channels/" + url.PathEscape(channel)
	if p.key, err = flags.secret(); err != nil || p.key != "" {
		return p, err
	}
	b, err := os.ReadFile(api.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("no key for the publish API: %w; wsfront run makes it at its first start, else name it by --publish-key or --state", err)
	}
	// Of several keys the first, as the service itself takes it.
	if words := strings.Fields(string(b)); len(words) > 0 {
		p.key = words[0]
	}
	return p, nil
}

// send publishes one message.
func (p *publisher) send(ctx context.Context, m message) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, strings.NewReader(m.text))
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+p.key)
	req.Header.Set("Content-Type", "text/plain; charset=utf-8")
	req.Header.Set("Idempotency-Key", m.id)
	if p.ttl > 0 {
		req.Header.Set("TTL", strconv.FormatInt(int64((p.ttl+time.Second-1)/time.Second), 10))
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return &unreachable{err}
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	switch {
	case err != nil:
		return &unreachable{err}
	case resp.StatusCode == http.StatusServiceUnavailable:
		return &unreachable{fmt.Errorf("%s: %s", resp.Status, bytes.TrimSpace(answer))}
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("publish: %s: %s", resp.Status, bytes.TrimSpace(answer))
	}
	return nil
}

// unreachable is a failure that may pass by itself.
type unreachable struct{ err error }

func (u *unreachable) Error() string {
	return fmt.Sprintf("publish: %v; is wsfront running, and is this the address of its publish API?", u.err)
}

func (u *unreachable) Unwrap() error { return u.err }

// persist sends a message, and while the service is away tries again.
func (p *publisher) persist(ctx context.Context, text string) error {
	m := message{rand.Text(), text}
	for wait := 250 * time.Millisecond; ; wait = min(2*wait, 10*time.Second) {
		err := p.send(ctx, m)
		var away *unreachable
		if !errors.As(err, &away) || ctx.Err() != nil {
			return err
		}
		fmt.Fprintf(p.warn, "%v; trying again in %v\n", err, wait)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// timed sends the message at once and then after each interval, until ctx is
// done.
func (p *publisher) timed(ctx context.Context, every time.Duration, text []string) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		tell := timedMessage(time.Now())
		if len(text) > 0 {
			tell = text[0]
		}
		if err := p.persist(ctx, tell); err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// lines sends each line as it comes, until the input or ctx ends.
func (p *publisher) lines(ctx context.Context, in io.Reader) error {
	scanner := bufio.NewScanner(in)
	scanner.Buffer(nil, maxLine)
	lines := make(chan string)
	// A read of standard input cannot be called off: where ctx ends first,
	// this goroutine ends with the process.
	go func() {
		defer close(lines)
		for scanner.Scan() {
			select {
			case lines <- scanner.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return nil
		case line, ok := <-lines:
			switch {
			case !ok && scanner.Err() != nil:
				return fmt.Errorf("read standard input: %w", scanner.Err())
			case !ok:
				return nil
			}
			if err := p.persist(ctx, line); err != nil && ctx.Err() == nil {
				return err
			}
		}
	}
}

// timedMessage is the message that the founding page's server sent.
func timedMessage(now time.Time) string {
	var id [16]byte
	rand.Read(id[:])
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80 // a random UUID (RFC 9562 §5.4)
	return fmt.Sprintf("websocket test: received msg [%x-%x-%x-%x-%x] from server at <%s>",
		id[:4], id[4:6], id[6:8], id[8:10], id[10:], now.Format(time.DateTime))
}
