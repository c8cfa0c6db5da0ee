package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/show"
	"github.com/asg-autoscaler/asg-autoscaler/pricing/offer"
)

func (c *cli) refresh() *cobra.Command {
	from, to, system, timeout := "", "", "", time.Duration(0)
	cmd := &cobra.Command{
		Use: "refresh", Short: "Make a price file from the offer file that AWS publishes",
		Long: `Makes the price file of a region, as --asg-price-file and asgctl prices --file read it, from AWS's bulk offer file of EC2:
on-demand prices without further software, in shared tenancy, for bare metal else in dedicated tenancy. The offer is JSON,
of one region or of all, gzipped or not, and of any size: asgctl reads it as a stream and keeps no copy. It needs no credentials.

asgctl writes the file after it has read the whole offer: an offer that is interrupted or cut short leaves the old file as it is.`,
		Example: "  asgctl prices refresh --region cn-northwest-1 --to prices.csv\n" +
			"  asgctl prices refresh --from ./index.json.gz --region us-east-1 --to ./prices/",
		Args: cobra.NoArgs, PreRunE: c.asText, RunE: func(cmd *cobra.Command, _ []string) error {
			if !slices.Contains(offer.Systems, offer.OS(system)) {
				return fmt.Errorf("--os=%s: use one of %v", system, offer.Systems)
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			region, err := c.region(ctx, nil)
			if err != nil {
				return failure{err}
			}
			prices, err := c.fetch(ctx, from, offer.Options{Region: region, OS: offer.OS(system)})
			if err != nil {
				return failure{fmt.Errorf("%w, nothing was written", err)}
			}
			if info, err := os.Stat(to); err == nil && info.IsDir() {
				to = filepath.Join(to, region+".csv")
			}
			if to == "-" {
				_, err = io.WriteString(c.stdout, prices.List.Format())
			} else {
				err = os.WriteFile(to, []byte(prices.List.Format()), 0o644)
			}
			if err != nil {
				return failure{fmt.Errorf("write prices: %w", err)}
			}
			fmt.Fprintf(c.stderr, "asgctl: %s: %d prices in %s of %s\n", region, prices.List.Len(), prices.List.Currency(), prices.List.Origin().Date.Format(time.DateOnly))
			for _, l := range prices.LeftOut {
				fmt.Fprintln(c.stderr, "asgctl: left out", show.Clean(l))
			}
			return nil
		},
	}
	c.regionFlag(cmd)
	flags := cmd.Flags()
	flags.StringVar(&from, "from", "", "URL (http, https) or path of the offer file, - for standard input. If empty: the one that AWS publishes for the region.")
	flags.StringVar(&to, "to", "-", "File to write, - for standard output; or a folder, for <region>.csv in it.")
	flags.StringVar(&system, "os", string(offer.Linux), "Operating system: linux, windows or rhel, the last two with their licence.")
	flags.DurationVar(&timeout, "timeout", time.Hour, "Time after which reading is given up, with its unit.")
	return cmd
}

// fetch reads the offer from a URL, a path or, for "-", standard input, or for "" the one that AWS publishes.
func (c *cli) fetch(ctx context.Context, from string, o offer.Options) (prices offer.Prices, err error) {
	if from == "" {
		if from, err = offerURL(o.Region); err != nil {
			return prices, err
		}
	}
	o.Source, _, _ = strings.Cut(from, "?") // a presigned URL has a secret there
	in, err := open(ctx, from)
	if err == nil {
		defer in.Close()
		defer context.AfterFunc(ctx, func() { _ = in.Close() })() // a pipe may have nothing for a long time
		fmt.Fprintf(c.stderr, "asgctl: reading %s, which may take minutes\n", o.Source)
		prices, err = offer.Read(in, o)
	}
	if err != nil {
		return prices, fmt.Errorf("%s: %w", o.Source, cmp.Or(ctx.Err(), err))
	}
	return prices, nil
}

func open(ctx context.Context, from string) (io.ReadCloser, error) {
	if from == "-" {
		from = "/dev/stdin"
	}
	if !strings.HasPrefix(from, "http://") && !strings.HasPrefix(from, "https://") {
		return os.Open(from)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, from, http.NoBody)
	if err != nil {
		return nil, errors.New("this is no URL")
	}
	response, err := http.DefaultClient.Do(request)
	if failed := (*url.Error)(nil); errors.As(err, &failed) {
		return nil, failed.Err
	}
	if response.StatusCode != http.StatusOK {
		_ = response.Body.Close()
		return nil, fmt.Errorf("the server answers %.100q: is there such an offer? --from takes another URL, or a file", response.Status)
	}
	return response.Body, nil
}

// offerURL returns the address of AWS's offer of a region. China has its own, under its own names (quoted by kubernetes/autoscaler
// pull request 3528 and used by OpenCost). Partitions without a reachable offer are errors.
func offerURL(region string) (string, error) {
	host := "pricing.us-east-1.amazonaws.com/offers/v1.0/aws"
	if strings.HasPrefix(region, "cn-") {
		host = "pricing.cn-north-1.amazonaws.com.cn/offers/v1.0/cn"
	}
	if strings.Trim(region, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || strings.Count(region, "-") != 2 && !strings.HasPrefix(region, "us-gov-") {
		return "", fmt.Errorf("nothing is known of where the prices of region %.50q are published: say --from", region)
	}
	return "https://" + host + "/AmazonEC2/current/" + region + "/index.json", nil
}
