package top

import (
	tea "charm.land/bubbletea/v2"
)

// keys are what the keys do, as the help shows it.
func keys() [][2]string {
	return [][2]string{
		{"tab, shift+tab", "the next list, the one before"},
		{"j, k, arrows", "the next row, the one before; also page up and down, home and end"},
		{"s", "another order of tunnels: rate, age, bytes, messages, idle"},
		{"/", "show only rows with a text in them; enter keeps it, esc ends it"},
		{"x, K", "close the chosen tunnel, once you confirm"},
		{"?", "this help"},
		{"q, ctrl+c", "end"},
	}
}

// key does what a key is for.
func (m *model) key(msg tea.KeyPressMsg) tea.Cmd {
	name := msg.String()
	switch {
	case name == "ctrl+c":
		return tea.Quit
	case name == "ctrl+z":
		return tea.Suspend
	case m.closing != "":
		id := m.closing
		m.closing = ""
		if name == "y" {
			m.note = "closing " + id
			return m.closeTunnel(id)
		}
		m.note = "not closed"
		return nil
	case m.editing:
		m.edit(msg)
		return nil
	case m.help:
		m.help = false
		if name == "q" {
			return tea.Quit
		}
		return nil
	}
	m.note = ""
	return m.command(name)
}

// command does what a key is for that is none of an answer.
func (m *model) command(name string) tea.Cmd {
	list := &m.lists[m.tab]
	page := max(m.room, 1)
	switch name {
	case "q":
		return tea.Quit
	case "?":
		m.help = true
	case "tab", "right", "l":
		m.tab = (m.tab + 1) % tabs
	case "shift+tab", "left", "h":
		m.tab = (m.tab + tabs - 1) % tabs
	case "down", "j":
		list.move(1)
	case "up", "k":
		list.move(-1)
	case "pgdown", "space", "ctrl+f":
		list.move(page)
	case "pgup", "ctrl+b":
		list.move(-page)
	case "home", "g":
		list.move(-len(list.keys))
	case "end", "G":
		list.move(len(list.keys))
	case "s":
		m.order = m.order.next()
		m.arrange()
		list.move(-len(list.keys))
	case "/":
		m.editing = true
	case "esc":
		m.filter = ""
		m.arrange()
	case "x", "K":
		if m.tab == tunnelsTab {
			m.closing = list.chosen
		}
	}
	return nil
}

// edit changes the filter.
func (m *model) edit(msg tea.KeyPressMsg) {
	switch msg.String() {
	case "enter":
		m.editing = false
	case "esc":
		m.editing, m.filter = false, ""
	case "backspace":
		if r := []rune(m.filter); len(r) > 0 {
			m.filter = string(r[:len(r)-1])
		}
	case "ctrl+u":
		m.filter = ""
	default:
		m.filter += msg.Text
	}
	m.arrange()
}
