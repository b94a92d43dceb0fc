package natsbroker

import (
	"fmt"
	"testing"

	"wsfront/pusher"
)

func TestEpochs_Reach(t *testing.T) {
	// b began after a restart at 100, c after the machine had failed and lost what
	// b and the end of a had stored, d after a restart at 200.
	list := epochs{{"a", 0}, {"b", 100}, {"c", 90}, {"d", 200}}
	for _, test := range []struct {
		epoch string
		seq   uint64
		want  bool
	}{
		{"a", 0, true}, {"a", 90, true}, {"a", 91, false}, {"a", 100, false}, {"a", 250, false},
		{"b", 90, true}, {"b", 91, false}, {"b", 110, false},
		{"c", 10, true}, {"c", 200, true}, {"c", 201, false},
		{"d", 200, true}, {"d", 250, true}, {"d", 251, false},
		{"x", 0, false}, {"", 0, false},
	} {
		if got := list.reaches(pusher.Position{Epoch: test.epoch, Seq: test.seq}, 250); got != test.want {
			t.Errorf("%s.%d: %v, want %v", test.epoch, test.seq, got, test.want)
		}
	}
}

func TestEpochs_ForgottenWithTheirMessages(t *testing.T) {
	list := epochs{{"a", 0}, {"b", 100}, {"c", 200}}.begin("d", 101, 300)
	if got := fmt.Sprint(list); got != "[{b 100} {c 200} {d 300}]" {
		t.Errorf("left are %s", got)
	}
	if got := fmt.Sprint(epochs{{"a", 0}, {"b", 100}}.begin("c", 301, 300)); got != "[{c 300}]" {
		t.Errorf("of a store without messages are left %s", got)
	}
	list = nil
	for i := range maxEpochs + 10 {
		list = list.begin(fmt.Sprintf("e%d", i), 1, uint64(i))
	}
	if len(list) != maxEpochs || list[maxEpochs-1].id != fmt.Sprintf("e%d", maxEpochs+9) || list[0].id != "e10" {
		t.Errorf("%d are left, from %v", len(list), list[0])
	}
}

func FuzzParseEpochs(f *testing.F) {
	for _, seed := range []string{"", "abc123 0\n", "a 1\nb 18446744073709551615\n", "a\n", "A 1\n", "a -1\n", "a 1 2\n", "a 1", " 1\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := parseEpochs(text)
		if err != nil {
			return
		}
		again, err := parseEpochs(list.text())
		if err != nil || fmt.Sprint(again) != fmt.Sprint(list) {
			t.Errorf("%q becomes %v and then %v, %v", text, list, again, err)
		}
	})
}
