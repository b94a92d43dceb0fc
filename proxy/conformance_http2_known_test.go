package proxy

// knownHTTP2 are the cases that HTTP/2 by net/http fails, and why: a few of
// them not each time.
func knownHTTP2() map[string]string {
	known := map[string]string{}
	for why, cases := range map[string][]string{
		"net/http hands over what came before it has read the body's end": {
			"a body that is shorter than its length", "a body that is shorter than its length, streamed"},
		"net/http takes the first Content-Length, reads one that is malformed as 0, and compares none with END_STREAM": {
			"a length without a body", "two lengths that differ", "two lengths that agree", "a length as a list", "a length with a sign",
			"a length that is negative", "a length that is no number", "a length that is empty", "a length that wraps 64 bits to 5"},
		"net/http answers DATA that comes behind its own RST_STREAM": {"a length beyond the limit of the route"},
		"net/http has other limits, or none, for these": {
			"what the front offers", "a frame beyond the size", "HEADERS beyond the size", "101 streams at once", "rapid reset",
			"streams that are reset by their own mistake", "malformed requests without end", "CONTINUATION without end",
			"empty CONTINUATION without end", "a header list beyond 32 KiB", "101 fields", "a path beyond 8 KiB", "SETTINGS without end",
			"PING without end", "PRIORITY without end", "empty DATA without end", "a method of 40 letters"},
		"net/http takes a mistake of the connection for one of the stream, or the reverse": {
			"HEADERS whose padding is all there is, and more", "PRIORITY of four bytes"},
		"net/http refuses a setting that stands twice": {"INITIAL_WINDOW_SIZE twice in one frame"},
		"net/http takes a whole URL for a path":        {"an absolute URL as the path"},
		"net/http trims values":                        {"a space at the end of a value"},
		"net/http answers 400 to a malformed request": {
			"Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade to h2c",
			"a handshake of WebSocket, which HTTP/2 has not", "TE other than trailers"},
	} {
		for _, name := range cases {
			known["http2: "+name] = why
		}
	}
	return known
}
