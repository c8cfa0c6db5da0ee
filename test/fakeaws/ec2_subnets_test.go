package fakeaws

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"
)

// free returns the free addresses of subnets by zone.
func free(t *testing.T, c clients, in *ec2.DescribeSubnetsInput) map[string]int {
	t.Helper()
	got := map[string]int{}
	for pages := ec2.NewDescribeSubnetsPaginator(c.ec2, in); pages.HasMorePages(); {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range page.Subnets {
			got[aws.ToString(s.AvailabilityZone)] = int(aws.ToInt32(s.AvailableIpAddressCount))
		}
	}
	return got
}

func TestSubnetsHaveFreeAddresses(t *testing.T) {
	config := oneGroup(func(g *AutoScalingGroup) { g.Desired = 3 })
	config.FreeAddresses = map[string]int{"us-west-2b": 7, "us-west-2c": -1}
	_, c := overHTTP(t, config)
	if diff := cmp.Diff(map[string]int{"us-west-2a": 250, "us-west-2b": 7}, free(t, c, &ec2.DescribeSubnetsInput{})); diff != "" {
		t.Errorf("subnets differ (-want +got):\n%s", diff)
	}
	groups, err := c.autoscaling.DescribeAutoScalingGroups(t.Context(), &autoscaling.DescribeAutoScalingGroupsInput{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := aws.ToString(groups.AutoScalingGroups[0].VPCZoneIdentifier), subnetID("us-west-2a")+","+subnetID("us-west-2b")+","+subnetID("us-west-2c"); got != want {
		t.Errorf("subnets of the group: %s, want %s", got, want)
	}
	if diff := cmp.Diff(map[string]int{"us-west-2b": 7}, free(t, c, &ec2.DescribeSubnetsInput{SubnetIds: []string{subnetID("us-west-2b")}})); diff != "" {
		t.Errorf("one subnet differs (-want +got):\n%s", diff)
	}
	byID := &ec2.DescribeSubnetsInput{Filters: []types.Filter{byFilter("subnet-id", subnetID("us-west-2a"), subnetID("us-west-2c"))}}
	if diff := cmp.Diff(map[string]int{"us-west-2a": 250}, free(t, c, byID)); diff != "" {
		t.Errorf("subnets by filter differ (-want +got):\n%s", diff)
	}
	_, err = c.ec2.DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{SubnetIds: []string{"subnet-0gone"}})
	wantAPIError(t, err, "InvalidSubnetID.NotFound", "The subnet ID 'subnet-0gone' does not exist")
}
