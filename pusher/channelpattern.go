package pusher

import (
	"fmt"
	"strings"
)

// channelPattern names channels: one by its name, or, with a * at its end, all
// whose names begin with what stands before it. A * alone is every channel.
type channelPattern string

// exact reports whether p names one channel.
func (p channelPattern) exact() bool { return !strings.HasSuffix(string(p), "*") }

// match reports whether p names channel.
func (p channelPattern) match(channel string) bool {
	if prefix, ok := strings.CutSuffix(string(p), "*"); ok {
		return strings.HasPrefix(channel, prefix)
	}
	return channel == string(p)
}

// valid reports whether p can name any channel.
func (p channelPattern) valid() bool {
	prefix, ok := strings.CutSuffix(string(p), "*")
	return ok && prefix == "" || validChannel(prefix)
}

// problem says what to write instead of a pattern that is not valid.
func (p channelPattern) problem() string {
	return fmt.Sprintf("%.80q names no channels; write a channel's name, 1 to %d letters (a-z), digits or any of _-=@,.;: , "+
		"or the beginning of names with a * behind it, such as user.7.*", string(p), maxChannelName)
}

// bound is the part of want that a pattern names.
func bound(want []string, patterns []channelPattern) []string {
	var granted []string
	for _, channel := range want {
		for _, p := range patterns {
			if p.match(channel) {
				granted = append(granted, channel)
				break
			}
		}
	}
	return granted
}
