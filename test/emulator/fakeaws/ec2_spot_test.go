package fakeaws

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"
)

func spotPrices() Config {
	return Config{SpotPrices: []SpotPrice{
		{InstanceType: "m5.large", Zone: "us-west-2a", PerHour: 0.035},
		{InstanceType: "m5.large", Zone: "us-west-2b", PerHour: 0.04},
		{InstanceType: "m5.large", Zone: "us-west-2a", PerHour: 0.127, Product: "Windows"},
		{InstanceType: "c5.large", Zone: "us-west-2a", PerHour: 0.03},
	}}
}

// history lists spot prices page by page, each as "type zone product price".
func history(t *testing.T, c clients, in *ec2.DescribeSpotPriceHistoryInput) []string {
	t.Helper()
	var got []string
	for pages := ec2.NewDescribeSpotPriceHistoryPaginator(c.ec2, in); pages.HasMorePages(); {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range page.SpotPriceHistory {
			got = append(got, fmt.Sprintf("%s %s %s %s", p.InstanceType, *p.AvailabilityZone, p.ProductDescription, *p.SpotPrice))
		}
	}
	slices.Sort(got)
	return got
}

func TestSpotPriceInEffectPrecedesItsChanges(t *testing.T) {
	inBubble(t, spotPrices(), func(t *testing.T, s *Server, c clients) {
		pass(time.Minute)
		started := time.Now()
		pass(time.Minute)
		s.SetSpotPrice(SpotPrice{InstanceType: "c5.large", Zone: "us-west-2a", PerHour: 0.05})
		pass(time.Minute)
		ask := func(from time.Time) []string {
			return history(t, c, &ec2.DescribeSpotPriceHistoryInput{StartTime: &from, InstanceTypes: []types.InstanceType{"c5.large"}})
		}
		if diff := cmp.Diff([]string{"c5.large us-west-2a Linux/UNIX 0.030000", "c5.large us-west-2a Linux/UNIX 0.050000"}, ask(started)); diff != "" {
			t.Errorf("since before the change (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"c5.large us-west-2a Linux/UNIX 0.050000"}, ask(time.Now())); diff != "" {
			t.Errorf("from now on (-want +got):\n%s", diff)
		}
	})
}

func TestWrongQuestionAboutSpotPricesIsRefused(t *testing.T) {
	s, c := overHTTP(t, spotPrices())
	_, err := c.ec2.DescribeSpotPriceHistory(t.Context(), &ec2.DescribeSpotPriceHistoryInput{InstanceTypes: []types.InstanceType{"m5.huge"}})
	wantAPIError(t, err, "InvalidParameterValue", "Invalid instance type: [m5.huge]")
	_, err = c.ec2.DescribeSpotPriceHistory(t.Context(), &ec2.DescribeSpotPriceHistoryInput{NextToken: aws.String("x")})
	wantAPIError(t, err, "InvalidNextToken", "")
	s.Deny("DescribeSpotPriceHistory")
	_, err = c.ec2.DescribeSpotPriceHistory(t.Context(), &ec2.DescribeSpotPriceHistoryInput{})
	wantAPIError(t, err, "UnauthorizedOperation", "")
}
