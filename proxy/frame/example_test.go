package frame_test

import (
	"errors"
	"fmt"

	"wsfront/proxy/frame"
)

// A direction's bytes go through Feed before they are passed on. A frame that
// breaks a rule does not pass, and the sender is told so by a Close frame, put
// into the opposite direction.
func Example() {
	rules := &frame.Rules{MaxMessage: 100} // shared by all tunnels
	var fromBackend frame.Follower
	fromBackend.Init(frame.FromBackend, rules)

	reads := [][]byte{
		[]byte("\x81\x05hel"),      // a text message
		[]byte("lo\x82"),           // its end, and a header's first byte
		[]byte("\x7e\x01\x00\x00"), // 256 bytes are too many
	}
	for _, rest := range reads {
		for len(rest) > 0 {
			pass, next, err := fromBackend.Feed(rest, 0)
			fmt.Printf("pass %q, at a boundary: %v\n", pass, fromBackend.AtBoundary())
			if violation := (*frame.Violation)(nil); errors.As(err, &violation) {
				fmt.Println("refused:", violation.Code, violation)
				closing := frame.AppendClose(nil, frame.FromClient, violation.Code, violation.Reason)
				fmt.Println("to the backend:", len(closing), "bytes")
				return
			}
			rest = next
		}
	}
	// Output:
	// pass "\x81\x05hel", at a boundary: false
	// pass "lo", at a boundary: true
	// pass "", at a boundary: true
	// refused: 1009 message too big
	// to the backend: 23 bytes
}
