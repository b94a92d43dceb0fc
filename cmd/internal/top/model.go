package top

import (
	"context"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"wsfront/cmd/internal/admin"
	"wsfront/cmd/internal/screen"
	"wsfront/proxy"
	"wsfront/pusher"
)

// model is what the screen shows, and what its user does. Only the program calls
// it, one call at a time.
type model struct {
	ctx      context.Context // ends what is under way when the program ends
	state    string
	interval time.Duration
	colour   bool

	width, height int
	room          int     // rows of the list in view
	before        reading // the last one
	frame         Frame
	failed        error     // of the last attempt to read
	failedSince   time.Time // when attempts began to fail

	tab     tab
	order   Order
	filter  string
	editing bool // the filter
	help    bool
	closing string // the tunnel whose closing is to be confirmed
	note    string // what came of the last order

	// What the filter leaves, in its order.
	tunnels  []*Tunnel
	channels []pusher.ChannelState
	failures []proxy.FailureState
	routes   []Route
	lists    [tabs]position
}

// position is where the user is in a list.
type position struct {
	keys   []string // of the rows
	chosen string   // key
	row    int      // of chosen
	first  int      // row in view
}

// The messages of the program's own making.
type (
	readMsg struct {
		reading reading
		err     error
	}
	dueMsg    struct{}
	closedMsg struct {
		id  string
		err error
	}
)

// newModel is the model after the first reading.
func newModel(ctx context.Context, o Options, first reading) *model {
	m := &model{ctx: ctx, state: o.State, interval: o.Interval, order: o.Sort, colour: screen.For(o.Out).Colour, width: 80, height: 24, before: first}
	m.frame = newFrame(nil, first)
	m.arrange()
	return m
}

// Init is that of tea.Model, as are Update and View.
func (m *model) Init() tea.Cmd { return m.wait }

// read makes a command of the program: it runs in a goroutine of its own, which
// the context ends, and so it has copies of what it needs.
func (m *model) read() tea.Cmd {
	ctx, state, order := m.ctx, m.state, m.order
	return func() tea.Msg {
		r, err := read(ctx, state, order)
		return readMsg{r, err}
	}
}

// wait is a command, which ends when the next reading is due.
func (m *model) wait() tea.Msg {
	timer := time.NewTimer(m.interval)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-m.ctx.Done():
	}
	return dueMsg{}
}

func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case dueMsg:
		return m, m.read()
	case readMsg:
		m.take(msg)
		return m, m.wait
	case closedMsg:
		m.note = "closed " + screen.Clean(msg.id)
		if msg.err != nil {
			m.note = "not closed: " + screen.Clean(msg.err.Error())
		}
	case tea.PasteMsg:
		if m.editing {
			m.filter += msg.Content
			m.arrange()
		}
	case tea.KeyPressMsg:
		return m, m.key(msg)
	}
	return m, nil
}

// take takes what was read, or that nothing was.
func (m *model) take(msg readMsg) {
	if msg.err != nil {
		if m.failed == nil {
			m.failedSince = time.Now()
		}
		m.failed = msg.err
		return
	}
	m.failed = nil
	m.frame = newFrame(&m.before, msg.reading)
	m.before = msg.reading
	m.arrange()
}

// arrange makes the lists anew. What is chosen stays so while it is there; then
// what came into its place is. At the top of a list that is always the first.
func (m *model) arrange() {
	filter := strings.ToLower(m.filter)
	m.tunnels = slices.DeleteFunc(slices.Clone(m.frame.Tunnels), func(t *Tunnel) bool { return !t.matches(filter) })
	sortTunnels(m.tunnels, m.order)
	m.routes = slices.DeleteFunc(slices.Clone(m.frame.Routes), func(r Route) bool { return !r.matches(filter) })
	sortRoutes(m.routes)
	m.channels = slices.DeleteFunc(slices.Clone(m.frame.Channels), func(c pusher.ChannelState) bool { return !matches(filter, c.Name) })
	m.failures = slices.DeleteFunc(slices.Clone(m.frame.Failures), func(x proxy.FailureState) bool { return !failureMatches(x, filter) })
	setKeys(&m.lists[tunnelsTab], m.tunnels, func(t *Tunnel) string { return t.ID })
	setKeys(&m.lists[routesTab], m.routes, func(r Route) string { return r.Site + " " + r.Route })
	setKeys(&m.lists[channelsTab], m.channels, func(c pusher.ChannelState) string { return c.Name })
	setKeys(&m.lists[failuresTab], m.failures, failureKey)
}

func setKeys[T any](p *position, rows []T, key func(T) string) {
	p.keys = p.keys[:0]
	for _, row := range rows {
		p.keys = append(p.keys, key(row))
	}
	if i := slices.Index(p.keys, p.chosen); i >= 0 && p.row > 0 {
		p.row = i
	}
	p.move(0)
}

// move chooses the row that many rows on, as far as there are any.
func (p *position) move(by int) {
	p.row = max(min(p.row+by, len(p.keys)-1), 0)
	p.chosen = ""
	if len(p.keys) > 0 {
		p.chosen = p.keys[p.row]
	}
}

// view keeps the chosen row among those in view, and gives the first and the one
// behind the last.
func (p *position) view(room int) (from, to int) {
	room = max(room, 1)
	p.first = max(min(p.first, p.row, len(p.keys)-room), p.row-room+1, 0)
	return p.first, min(p.first+room, len(p.keys))
}

// closeTunnel is the command that closes a tunnel.
func (m *model) closeTunnel(id string) tea.Cmd {
	ctx, state := m.ctx, m.state
	return func() tea.Msg { return closedMsg{id, admin.CloseTunnel(ctx, state, id)} }
}
