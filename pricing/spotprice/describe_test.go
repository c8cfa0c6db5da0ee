package spotprice

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

func emulate(t *testing.T, region string, prices ...fakeaws.SpotPrice) (*fakeaws.Server, *ec2.Client) {
	t.Helper()
	server, err := fakeaws.Start(t.Context(), fakeaws.Config{Region: region, SpotPrices: prices})
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	return server, ec2.New(ec2.Options{Region: region, BaseEndpoint: aws.String(server.URL()), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")})
}

func described(t *testing.T, api ec2.DescribeSpotPriceHistoryAPIClient, pools Pools) []string {
	t.Helper()
	quotes, err := Describe(t.Context(), api, pools, time.Now())
	require.NoError(t, err)
	var got []string
	for _, q := range quotes {
		got = append(got, fmt.Sprintf("%s %s %v", q.InstanceType, q.Zone, q.PerHour))
	}
	slices.Sort(got)
	return got
}

func TestDescribeReturnsCurrentLinuxPricesOfZones(t *testing.T) {
	server, api := emulate(t, "cn-north-1",
		fakeaws.SpotPrice{InstanceType: "g4dn.xlarge", Zone: "cn-north-1a", PerHour: 1.7},
		fakeaws.SpotPrice{InstanceType: "g4dn.xlarge", Zone: "cn-north-1a", PerHour: 3.1, Product: "Windows"},
		fakeaws.SpotPrice{InstanceType: "g4dn.xlarge", Zone: "cn-north-1b", PerHour: 1.9, Product: "Linux/UNIX (Amazon VPC)"},
		fakeaws.SpotPrice{InstanceType: "g4dn.xlarge", Zone: "cn-north-1d", PerHour: 0.1},
		fakeaws.SpotPrice{InstanceType: "m5.large", Zone: "cn-north-1a", PerHour: 0.3},
	)
	server.SetSpotPrice(fakeaws.SpotPrice{InstanceType: "g4dn.xlarge", Zone: "cn-north-1a", PerHour: 1.8})
	got := described(t, api, Pools{Types: []string{"g4dn.xlarge", "no.such"}, Zones: []string{"cn-north-1a", "cn-north-1b"}})
	assert.Empty(t, cmp.Diff([]string{"g4dn.xlarge cn-north-1a 1.8", "g4dn.xlarge cn-north-1b 1.9"}, got), "prices (-want +got)")
}

func TestAHundredTypesAndAThousandPricesCostOneCall(t *testing.T) {
	var prices []fakeaws.SpotPrice
	pools := Pools{}
	for i := range 11 {
		pools.Zones = append(pools.Zones, fmt.Sprintf("us-west-2-lax-%da", i))
	}
	for i := range 100 {
		pools.Types = append(pools.Types, fmt.Sprintf("x9z.%dxlarge", i+1))
		for _, zone := range pools.Zones {
			prices = append(prices, fakeaws.SpotPrice{InstanceType: pools.Types[i], Zone: zone, PerHour: 1})
		}
	}
	server, api := emulate(t, "us-west-2", prices...)
	assert.Len(t, described(t, api, pools), 1100, "prices")
	assert.Equal(t, 2, server.Calls()["DescribeSpotPriceHistory"], "calls for 1100 prices")
}

func TestIncompleteAnswerIsAnError(t *testing.T) {
	server, api := emulate(t, "us-west-2", fakeaws.SpotPrice{InstanceType: "m5.large", Zone: "us-west-2a", PerHour: 1})
	pools := Pools{Types: []string{"m5.large"}, Zones: []string{"us-west-2a"}}
	for _, tt := range []struct {
		fault fakeaws.Fault
		want  string
	}{
		{fakeaws.Fault{Code: "AccessDenied"}, "UnauthorizedOperation"},
		{fakeaws.Fault{Code: "Throttling"}, "RequestLimitExceeded"},
		{fakeaws.Fault{Body: fakeaws.Garbled}, "describe spot price history"},
	} {
		server.ClearFaults()
		server.Inject(tt.fault)
		quotes, err := Describe(t.Context(), api, pools, time.Now())
		assert.Truef(t, err != nil && quotes == nil && strings.Contains(err.Error(), tt.want),
			"%+v: %v, error %v, want one with %q", tt.fault, quotes, err, tt.want)
		denied := awsclient.IsDenied(err)
		assert.Truef(t, denied == (tt.fault.Code == "AccessDenied"), "%+v: denied = %v", tt.fault, denied)
	}
}
