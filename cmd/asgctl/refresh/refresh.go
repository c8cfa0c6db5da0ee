package refresh

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/pricing/offer"
)

// Options select the offer.
type Options struct {
	// From is the URL or path of an offer, "-" for standard input, or "" for AWS's own, one per region.
	From    string
	Regions []string // at least one
	OS      offer.OS
	Stall   time.Duration // the fetch fails after so long without a byte
	Clock   clock.PassiveClock
	// Progress receives a line now and then.
	Progress io.Writer
}

// Fetched are the prices of one region.
type Fetched struct {
	Region string
	offer.Prices
}

// Fetch reads the offers, one after the other, and returns the prices of each region, in the order of Options.Regions.
func Fetch(ctx context.Context, o Options) ([]Fetched, error) {
	if o.From != "" {
		return fetch(ctx, o, o.From, o.Regions)
	}
	var all []Fetched
	for _, region := range o.Regions {
		from, err := URL(region)
		if err != nil {
			return nil, err
		}
		fetched, err := fetch(ctx, o, from, []string{region})
		if err != nil {
			return nil, err
		}
		all = append(all, fetched...)
	}
	return all, nil
}

// URL returns the address of AWS's offer of a region. China has its own, under its own names (quoted by kubernetes/autoscaler
// pull request 3528 and used by OpenCost). Partitions without a reachable offer are errors.
func URL(region string) (string, error) {
	switch {
	case !validRegion(region):
		return "", fmt.Errorf("%.50q is not the code of a region, such as eu-central-1", region)
	case strings.HasPrefix(region, "cn-"):
		return "https://pricing.cn-north-1.amazonaws.com.cn/offers/v1.0/cn/AmazonEC2/current/" + region + "/index.json", nil
	case strings.HasPrefix(region, "us-gov-"), strings.Count(region, "-") == 2:
		return "https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/AmazonEC2/current/" + region + "/index.json", nil
	}
	return "", fmt.Errorf("nothing is known of where the prices of %q are published: say --from", region)
}

// validRegion reports whether a code can stand in a path and name a file.
func validRegion(region string) bool {
	return strings.Count(region, "-") >= 2 && strings.Trim(region, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// fetch reads one offer.
func fetch(ctx context.Context, o Options, from string, regions []string) ([]Fetched, error) {
	for _, region := range regions {
		if !validRegion(region) {
			return nil, fmt.Errorf("%.50q is not the code of a region, such as eu-central-1", region)
		}
	}
	in, err := open(ctx, from, o)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	prices, err := offer.Read(in, offer.Options{Regions: regions, OS: o.OS, Source: in.name})
	in.finish()
	if cause := in.interrupted(); err != nil && cause != nil {
		err = cause
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", in.name, err)
	}
	fetched := make([]Fetched, len(prices))
	for i, p := range prices {
		fetched[i] = Fetched{Region: regions[i], Prices: p}
	}
	return fetched, nil
}
