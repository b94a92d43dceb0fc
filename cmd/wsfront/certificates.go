package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"wsfront/cmd/internal/admin"
	"wsfront/cmd/internal/screen"
	"wsfront/proxy"
)

// newCertificates tells when each certificate ends.
func newCertificates() *cobra.Command {
	var (
		f        stateFlags
		expiring days
		asJSON   bool
	)
	cmd := &cobra.Command{
		Use:   "certificates",
		Short: "Say when each certificate ends, and what is wrong with it",
		Long: `Lists the certificates of the running server: names, where each comes from, who
issued it, when it ends, and what is wrong with it.

The exit status is 0 if the server answers. With --expiring it is 1 if one ends
within that time, has ended or is missing: made for cron. Those of the internal
CA do not count: they last for days alone, and are made anew by themselves.`,
		Example: `  wsfront certificates
  wsfront certificates --expiring 14d`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := f.dir()
			if err != nil {
				return err
			}
			list, err := admin.GetCertificates(cmd.Context(), dir)
			if err != nil {
				return err
			}
			now := time.Now()
			if err := show(cmd, asJSON, list, func(s screen.Style) string { return s.Certificates(now, list.Certificates) }); err != nil {
				return err
			}
			if !cmd.Flags().Changed("expiring") {
				return nil
			}
			if slices.ContainsFunc(list.Certificates, func(c proxy.CertificateState) bool {
				byItself := c.Problem == "" && (c.Source == "internal" || c.NotAfter.IsZero()) // made for who asks
				return !byItself && c.NotAfter.Before(now.Add(time.Duration(expiring)))
			}) {
				return exitStatus(1)
			}
			return nil
		},
	}
	f.add(cmd)
	cmd.Flags().Var(&expiring, "expiring", "end with exit status 1 if one ends within `TIME`, such as 14d or 36h")
	cmd.Flags().BoolVar(&asJSON, "json", false, "write them as JSON")
	return cmd
}

// days is a flag's time that may be written in days.
type days time.Duration

// Set is that of pflag.Value, as are String and Type.
func (d *days) Set(text string) error {
	if number, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseUint(number, 10, 16); err == nil {
			*d = days(n) * days(24*time.Hour)
			return nil
		}
	}
	t, err := time.ParseDuration(text)
	if err != nil || t < 0 {
		return fmt.Errorf("write a time such as 14d or 36h")
	}
	*d = days(t)
	return nil
}

func (d *days) String() string {
	if *d == 0 {
		return ""
	}
	return time.Duration(*d).String()
}

func (d *days) Type() string { return "TIME" }
