package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/refresh"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/show"
	"github.com/asg-autoscaler/asg-autoscaler/pricing"
	"github.com/asg-autoscaler/asg-autoscaler/pricing/offer"
)

// refreshing is one invocation of asgctl prices refresh.
type refreshing struct {
	from, to, os string
	regions      []string
	timeout      time.Duration
	stall        time.Duration
}

func (c *cli) refresh() *cobra.Command {
	var r refreshing
	cmd := &cobra.Command{
		Use:   "refresh",
		Short: "Make a price file from the offer file that AWS publishes",
		Long: `Makes the price file of a region, as --asg-price-file and asgctl prices --file read it, from AWS's bulk offer file of EC2:
on-demand prices without further software, in shared tenancy, for bare metal else in dedicated tenancy. The offer is JSON,
of one region or of all, gzipped or not, and of any size: asgctl reads it as a stream and keeps no copy. It needs no credentials.

asgctl writes the file after it has read the whole offer, and then as a whole: an offer that is interrupted or cut short leaves
the old file as it is.`,
		Example: "  asgctl prices refresh --region cn-northwest-1 --to prices.csv\n" +
			"  asgctl prices refresh --from ./index.json.gz --region us-east-1,us-west-2 --to ./prices/",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.runRefresh(cmd.Context(), r) },
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&r.regions, "region", nil, "AWS regions, separated by commas. May be repeated. "+
		"If empty: AWS_REGION, AWS_DEFAULT_REGION, the shared configuration file, then the instance metadata.")
	flags.StringVar(&r.from, "from", "", "URL (http, https) or path of the offer file, - for standard input. If empty: the one that AWS publishes for each region.")
	flags.StringVar(&r.to, "to", "-", "File to write, - for standard output; or a folder, for one file <region>.csv of each region.")
	flags.StringVar(&r.os, "os", string(offer.Linux), "Operating system: linux, windows or rhel, the last two with their licence.")
	flags.DurationVar(&r.timeout, "timeout", time.Hour, "Time after which reading is given up, with its unit.")
	flags.DurationVar(&r.stall, "stall-timeout", time.Minute, "Time without a byte after which reading is given up, with its unit.")
	return cmd
}

func (c *cli) runRefresh(ctx context.Context, r refreshing) error {
	if err := c.check(r); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	if len(r.regions) == 0 {
		region, err := c.region(ctx, nil)
		if err != nil {
			return failure{err}
		}
		r.regions = []string{region}
	}
	folder := false
	if info, err := os.Stat(r.to); err == nil && info.IsDir() {
		folder = true
	}
	if !folder && len(r.regions) > 1 {
		return fmt.Errorf("--to=%s: the prices of %d regions need a folder that exists", r.to, len(r.regions))
	}
	fetched, err := refresh.Fetch(ctx, refresh.Options{
		From: r.from, Regions: r.regions, OS: offer.OS(r.os), Stall: r.stall,
		Clock: clock.RealClock{}, Progress: c.stderr,
	})
	if err != nil {
		return failure{fmt.Errorf("%w, nothing was written", err)}
	}
	if r.to == "-" {
		c.report(fetched[0], "")
		if _, err := io.WriteString(c.stdout, fetched[0].List.Format()); err != nil {
			return failure{err}
		}
		return nil
	}
	for _, f := range fetched {
		path := r.to
		if folder {
			path = filepath.Join(r.to, f.Region+".csv")
		}
		if err := refresh.Write(path, f.List.Format()); err != nil {
			return failure{fmt.Errorf("write prices: %w", err)}
		}
		c.report(f, " written to "+r.to)
	}
	return nil
}

// check refuses what cannot be meant.
func (c *cli) check(r refreshing) error {
	sorted := slices.Clone(r.regions)
	slices.Sort(sorted)
	switch {
	case c.format != show.Table:
		return errors.New("-o does not apply: a price file has one form")
	case !slices.Contains(offer.Systems, offer.OS(r.os)):
		return fmt.Errorf("--os=%s: use one of %v", r.os, offer.Systems)
	case r.timeout <= 0 || r.stall <= 0:
		return errors.New("--timeout and --stall-timeout must be above 0")
	case len(slices.Compact(sorted)) < len(r.regions):
		return fmt.Errorf("--region=%s names a region twice", strings.Join(r.regions, ","))
	case slices.Contains(r.regions, ""):
		return errors.New("--region has an empty name in it")
	}
	return nil
}

// maxListed bounds the left-out types that are listed without -v.
const maxListed = 5

// report reports the result for a region.
func (c *cli) report(f refresh.Fetched, where string) {
	fmt.Fprintf(c.stderr, "asgctl: %s: %d prices in %s of %s%s\n",
		f.Region, f.List.Len(), f.List.Currency(), f.List.Origin().Date.Format(time.DateOnly), where)
	for i, l := range f.LeftOut {
		if i == maxListed && c.verbosity == 0 {
			fmt.Fprintf(c.stderr, "asgctl: %s: %d more types left out (-v 1 lists them)\n", f.Region, len(f.LeftOut)-i)
			break
		}
		fmt.Fprintf(c.stderr, "asgctl: %s: %s left out: %s\n", f.Region, l.InstanceType, show.Clean(l.Reason))
	}
	if built := pricing.Embedded(f.Region); built.Origin().Region == f.Region && f.List.Len() < built.Len()*9/10 {
		fmt.Fprintf(c.stderr, "asgctl: %s: the built-in list has %d prices: is the offer whole?\n", f.Region, built.Len())
	}
}
