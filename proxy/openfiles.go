package proxy

import "math"

// pairsWithin is how many tunnels a limit of open files has room for, or
// connections of clients, 0 when it is none. Each takes two, one connection to
// each side; what is left serves files and the log, and with a crowd of tunnels
// requests, which must go on when it has taken its share.
func pairsWithin(files uint64) int {
	// More than any machine holds tunnels: some systems write "unlimited" as
	// the largest number, signed or unsigned, others as one beneath it.
	if files > math.MaxInt32 {
		return 0
	}
	return int(files * 95 / 100 / 2)
}
