package doctor

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/shellword"
)

const (
	// fewAddresses is a number of free addresses that one node with a usual number of pods may take at once.
	fewAddresses = 16
	// subnetsPerCall is the most values of one filter (EC2 user guide, "List and filter your resources", read 2026-11). A page holds 1,000.
	subnetsPerCall = 200
)

func checkAddresses(ctx context.Context, in *installation, c *Check) (looked bool) {
	if in.groups.missing(c) {
		return false
	}
	of := map[string][]string{} // subnets by group
	ids := map[string]bool{}
	in.eachGroup(func(g *asg.Group) {
		for id := range strings.SplitSeq(aws.ToString(in.byName[g.Name].VPCZoneIdentifier), ",") {
			if id = strings.TrimSpace(id); id != "" {
				of[g.Name], ids[id] = append(of[g.Name], id), true
			}
		}
	})
	subnets, err := in.subnets(ctx, slices.Sorted(maps.Keys(ids)))
	if err != nil {
		c.skip("the free addresses of subnets", brief(err), "ec2:DescribeSubnets, which the shipped policy leaves out because only this check uses it")
		return false
	}
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		switch s, there := subnets[id]; {
		case !there:
			c.find("subnet "+id, "it does not exist, so that launches there fail", "DescribeSubnets does not show it, and DescribeAutoScalingGroups names it",
				"aws ec2 describe-subnets --query 'Subnets[].SubnetId', then aws autoscaling update-auto-scaling-group --vpc-zone-identifier")
		case free(s) < fewAddresses:
			c.find("subnet "+id, fmt.Sprintf("it has %s left in zone %s: launches there fail, or their pods get none", plural(free(s), "free address"), aws.ToString(s.AvailabilityZone)),
				"AvailableIpAddressCount of DescribeSubnets", "aws ec2 describe-network-interfaces --filters Name=subnet-id,Values="+shellword.Quote(id))
		}
	}
	in.eachGroup(func(g *asg.Group) {
		sum, limited := 0, len(of[g.Name]) > 0
		for _, id := range of[g.Name] {
			s, known := subnets[id]
			limited = limited && known && !aws.ToBool(s.Ipv6Native)
			sum += free(s)
		}
		if room := g.MaxSize - g.DesiredCapacity; limited && room > sum {
			c.find(group(g), fmt.Sprintf("it may grow by %d, and its subnets have %s left", room, plural(sum, "free address")),
				"AvailableIpAddressCount of DescribeSubnets", "aws ec2 describe-subnets --subnet-ids "+strings.Join(of[g.Name], " "))
		}
	})
	return true
}

// free is the number of free addresses. A subnet with IPv6 alone does not run out.
func free(s ec2types.Subnet) int {
	if aws.ToBool(s.Ipv6Native) {
		return maxGroups * fewAddresses
	}
	return int(aws.ToInt32(s.AvailableIpAddressCount))
}

// subnets describes subnets by ID. One that does not exist is missing.
func (in *installation) subnets(ctx context.Context, ids []string) (map[string]ec2types.Subnet, error) {
	found := map[string]ec2types.Subnet{}
	for part := range slices.Chunk(ids, subnetsPerCall) {
		out, err := in.clients.EC2.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{Filters: []ec2types.Filter{{Name: aws.String("subnet-id"), Values: part}}})
		if err != nil {
			return nil, err
		}
		for _, s := range out.Subnets {
			found[aws.ToString(s.SubnetId)] = s
		}
	}
	return found, nil
}
