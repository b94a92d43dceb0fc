package frame

import "strings"

// Reserved tells what the extensions agreed upon do to the reserved bits, for
// Rules of the same name. extensions is the value of Sec-WebSocket-Extensions in
// the backend's 101; several such fields are joined with commas. compression is
// true for permessage-deflate (RFC 7692), anyUse for whatever else stands there:
// of an extension not known here no use of the bits is known to be wrong.
func Reserved(extensions string) (compression, anyUse bool) {
	for extension := range strings.SplitSeq(extensions, ",") {
		name, _, _ := strings.Cut(extension, ";")
		switch name = strings.Trim(name, " \t"); {
		case name == "":
		case strings.EqualFold(name, "permessage-deflate"):
			compression = true
		default:
			anyUse = true
		}
	}
	return compression, anyUse
}
