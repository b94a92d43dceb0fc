package frame

import "testing"

func TestFollower_AheadLeadsToTheNextBoundary(t *testing.T) {
	for _, rules := range []Rules{{}, {Validate: true}} {
		var f Follower
		f.Init(FromBackend, &rules)
		stream := append([]byte{0x82, 126, 1, 0}, make([]byte, 256)...)
		stream = append(stream, AppendClose(nil, FromBackend, 1000, "")...)
		if f.Ahead() != 0 {
			t.Fatalf("%d bytes ahead before the first one, want 0", f.Ahead())
		}
		first := 3 // within a header
		f.Feed(stream[:first], 0)
		at := first
		for at < len(stream) && (at == first || !f.AtBoundary()) {
			n := max(int(f.Ahead()), 1)
			f.Feed(stream[at:at+n], 0)
			at += n
		}
		if at != 4+256 {
			t.Errorf("%+v: the boundary was found after %d bytes, want %d", rules, at, 4+256)
		}
	}
}
