package screen

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// number is what figures are made of.
type number interface {
	~int | ~int64 | ~uint64 | ~float64
}

// Bytes writes a number of bytes in units of 1000, such as 1.2 kB.
func Bytes[N number](n N) string {
	v := float64(n)
	if v < 999.5 {
		return strconv.FormatFloat(math.Round(v), 'f', -1, 64) + " B"
	}
	units := "kMGTPE"
	i := -1
	for v >= 999.5 && i < len(units)-1 { // which would be written as 1000
		v /= 1000
		i++
	}
	if v < 9.95 {
		return fmt.Sprintf("%.1f %cB", v, units[i])
	}
	return fmt.Sprintf("%.0f %cB", v, units[i])
}

// Count writes a number with a comma before each three digits.
func Count[N number](n N) string {
	digits := strconv.FormatFloat(math.Round(float64(n)), 'f', -1, 64)
	sign := ""
	if digits[0] == '-' {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

// Rate writes how many there were in a second.
func Rate(perSecond float64) string {
	if perSecond > 0 && perSecond < 9.95 {
		return fmt.Sprintf("%.1f", perSecond)
	}
	return Count(perSecond)
}

// Age writes how long something lasted, in two units at most: 42s, 4m12s, 2h13m,
// 3d4h.
func Age(d time.Duration) string {
	const day = 24 * time.Hour
	d = max(d, 0)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm%ds", d/time.Minute, d%time.Minute/time.Second)
	case d < day:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	case d < 100*day:
		return fmt.Sprintf("%dd%dh", d/day, d%day/time.Hour)
	}
	return fmt.Sprintf("%dd", d/day)
}

// ago is how long it is since a time, in one unit.
func ago(now, t time.Time) string {
	d := max(now.Sub(t), 0)
	for _, unit := range []time.Duration{24 * time.Hour, time.Hour, time.Minute} {
		if d >= unit {
			d = d.Truncate(unit)
			break
		}
	}
	text := Age(d)
	if i := strings.IndexFunc(text, unicode.IsLetter) + 1; i < len(text) { // the second unit is 0
		text = text[:i]
	}
	return text + " ago"
}

// Left writes how long a certificate lasts: 65 days, 5h3m, or expired.
func Left(now, end time.Time) string {
	const day = 24 * time.Hour
	left := end.Sub(now)
	switch {
	case left <= 0:
		return "expired"
	case left < 2*day:
		return Age(left)
	}
	return fmt.Sprintf("%d days", left/day)
}

// Ping writes a round trip of some seconds, or - where there was none.
func Ping(seconds float64) string {
	switch ms := seconds * 1000; {
	case seconds <= 0:
		return "-"
	case ms < 9.95:
		return fmt.Sprintf("%.1f ms", ms)
	case seconds < 9.95:
		return fmt.Sprintf("%.0f ms", ms)
	default:
		return fmt.Sprintf("%.0f s", seconds)
	}
}

// plural writes a count and what is counted.
func plural[N number](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return Count(n) + " " + many
}
