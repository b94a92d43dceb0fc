package config

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// parseSize reads a number of bytes: 65536, 64KiB, 100MiB, 1GiB.
func parseSize(s string) (int64, error) {
	digits := s[:len(s)-len(strings.TrimLeft(s, "0123456789"))]
	unit := strings.TrimLeft(s[len(digits):], " ")
	shift, ok := map[string]uint{"": 0, "B": 0, "KiB": 10, "MiB": 20, "GiB": 30, "TiB": 40}[unit]
	switch {
	case digits == "" || strings.HasPrefix(unit, "."):
		return 0, fmt.Errorf("%q is no size; write whole bytes or a unit, such as 65536, 64KiB or 100MiB", s)
	case !ok:
		if meant, known := map[byte]string{'k': "KiB", 'm': "MiB", 'g': "GiB", 't': "TiB"}[unit[0]|0x20]; known {
			return 0, fmt.Errorf("%q has an unknown unit; write %s%s", s, digits, meant)
		}
		return 0, fmt.Errorf("%q has an unknown unit; write KiB, MiB or GiB, as in %sMiB", s, digits)
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	switch {
	case err != nil || n > math.MaxInt64>>shift:
		return 0, fmt.Errorf("%q is more than can be counted; write less, such as 1GiB", s)
	case n == 0:
		return 0, fmt.Errorf("0 is no size here; write one such as 1MiB, or remove the key for its default")
	}
	return n << shift, nil
}

// parseCount reads a number of things: 1, 1000.
func parseCount(s string) (int64, error) {
	n, err := strconv.ParseUint(s, 10, 31)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return 0, fmt.Errorf("%q is more than can be counted; write less, such as 1000", s)
	case err != nil:
		return 0, fmt.Errorf("%q is no number here; write a whole one, such as 1000", s)
	case n == 0:
		return 0, errors.New("0 is no number here; write one such as 1000, or remove the key for its default")
	}
	return int64(n), nil
}

// parseDuration reads a time with its unit, as Go writes them, and days: 30s,
// 1h30m, 365d.
func parseDuration(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err == nil && n <= 36500 {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	d, err := time.ParseDuration(s)
	switch {
	case err == nil:
		return d, nil
	case isNumber(s):
		return 0, fmt.Errorf("%q has no unit; write %ss, %sm or %sh", s, s, s, s)
	}
	return 0, fmt.Errorf("%q is no time; write a number with a unit, such as 500ms, 30s, 5m, 24h or 365d", s)
}

func isNumber(s string) bool {
	_, err := strconv.ParseFloat(s, 64)
	return err == nil
}

// parseBool reads on, off, true and false.
func parseBool(s string) (bool, error) {
	switch strings.ToLower(s) {
	case "on", "true":
		return true, nil
	case "off", "false":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither on nor off; write on or off", s)
}

// parsePrefix reads a range of addresses; a bare address is a range of one.
func parsePrefix(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil && addr.Zone() == "" {
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return netip.Prefix{}, fmt.Errorf("%q is neither an address nor a range of them; write one such as 10.0.0.7 or 10.0.0.0/8", s)
	case p != p.Masked():
		return netip.Prefix{}, fmt.Errorf("%q has bits behind its length; write %s, or %s for the one address", s, p.Masked(), p.Addr())
	}
	return p, nil
}
