package pusher

import (
	"slices"
	"testing"
)

func TestChannelPattern_NamesOneOrABeginning(t *testing.T) {
	for _, c := range []struct {
		pattern, channel string
		want             bool
	}{
		{"board", "board", true}, {"board", "board2", false}, {"board", "boar", false}, {"board", "Board", false},
		{"user.7.*", "user.7.mail", true}, {"user.7.*", "user.7.", true}, {"user.7.*", "user.7", false}, {"user.7.*", "user.77.x", false},
		{"*", "anything", true},
	} {
		if got := channelPattern(c.pattern).match(c.channel); got != c.want {
			t.Errorf("%q and %q: %v", c.pattern, c.channel, got)
		}
	}
	for pattern, want := range map[channelPattern]bool{
		"board": true, "b*": true, "*": true, "": false, "**": false, "a*b": false, "a b": false, "a*b*": false, "a/*": false,
	} {
		if got := pattern.valid(); got != want {
			t.Errorf("%q is valid: %v", pattern, got)
		}
	}
	if channelPattern("a*").exact() || !channelPattern("a").exact() {
		t.Error("exact")
	}
}

func TestBound_KeepsWhatAPatternNames(t *testing.T) {
	got := bound([]string{"b", "x", "user.7.a"}, []channelPattern{"user.7.*", "b", "*b"})
	if !slices.Equal(got, []string{"b", "user.7.a"}) {
		t.Errorf("got %q", got)
	}
	if got := bound([]string{"b"}, nil); got != nil {
		t.Errorf("got %q of no patterns", got)
	}
}
