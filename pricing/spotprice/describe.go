package spotprice

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/asg-autoscaler/asg-autoscaler/pricing"
)

// maxTypesPerCall is below the 200 values that EC2 takes in a filter. A hundred types in six zones fit into one of its pages of 1,000
// prices (EC2 API reference, read 2026-08).
const maxTypesPerCall = 100

// products are EC2's names for Linux, with and without the network that all have today.
var products = []string{"Linux/UNIX", "Linux/UNIX (Amazon VPC)"}

type API = ec2.DescribeSpotPriceHistoryAPIClient

// Pools are the instance types and zones to read prices for: each type in each zone.
type Pools struct {
	Types []string
	Zones []string
}

// Describe returns the prices that hold now, in no order, of up to 100 types. Types that are not sold in a zone have none there. An
// error means that some are missing. It uses filters: by name, one type that the region lacks would fail all the others.
func Describe(ctx context.Context, api API, pools Pools, now time.Time) ([]pricing.SpotQuote, error) {
	latest := map[[2]string]ec2types.SpotPrice{} // by type and zone
	// With now as the start, EC2 returns the prices in effect and later changes.
	pages := ec2.NewDescribeSpotPriceHistoryPaginator(api, &ec2.DescribeSpotPriceHistoryInput{
		StartTime: aws.Time(now),
		Filters: []ec2types.Filter{
			{Name: aws.String("instance-type"), Values: pools.Types},
			{Name: aws.String("availability-zone"), Values: pools.Zones},
			{Name: aws.String("product-description"), Values: products},
		},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("describe spot price history: %w", err)
		}
		for _, p := range page.SpotPriceHistory {
			pool := [2]string{string(p.InstanceType), aws.ToString(p.AvailabilityZone)}
			if !slices.Contains(pools.Types, pool[0]) || !slices.Contains(pools.Zones, pool[1]) {
				continue // EC2 answers only the question, but any other endpoint must not fill the memory
			}
			if before, ok := latest[pool]; !ok || aws.ToTime(before.Timestamp).Before(aws.ToTime(p.Timestamp)) {
				latest[pool] = p
			}
		}
	}
	quotes := make([]pricing.SpotQuote, 0, len(latest))
	for pool, p := range latest {
		perHour, err := strconv.ParseFloat(aws.ToString(p.SpotPrice), 64)
		if err != nil {
			continue
		}
		quotes = append(quotes, pricing.SpotQuote{InstanceType: pool[0], Zone: pool[1], PerHour: perHour, ReadAt: now})
	}
	return quotes, nil
}
