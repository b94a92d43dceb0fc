package proxy

import "math"

// tunnelsWithin is how many tunnels a limit of open files has room for, 0 when
// it is none. A tunnel takes two, one connection to each side; what is left
// serves requests, files and the log, which must go on when a crowd of tunnels
// has taken its share.
func tunnelsWithin(files uint64) int {
	// More than any machine holds tunnels: some systems write "unlimited" as
	// the largest number, signed or unsigned, others as one beneath it.
	if files > math.MaxInt32 {
		return 0
	}
	return int(files * 95 / 100 / 2)
}
