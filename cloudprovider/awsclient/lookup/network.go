package lookup

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// Network is an instance's way out. Empty and false mean that nothing is wrong, or that it is not known.
type Network struct {
	VPC, Subnet, Table, Route string // three IDs, and EC2's state of the default route or "none"
	Groups                    []string
	Full, Closed              bool     // the subnet has no free IPv4 address, and the security groups let nothing out
	Names                     []string // by which a node of the instance may be called, and its addresses
	Launched                  time.Time
}

// networks returns the networks of instances by one call for each kind of object. A call that fails leaves its facts unknown.
func (s *starts) networks(ctx context.Context, ids []string) map[string]Network {
	out, err := s.api.DescribeInstances(ctx, &ec2.DescribeInstancesInput{Filters: append(filter("instance-id", ids), filter("instance-state-name", []string{"running"})...)})
	if err != nil || len(out.Reservations) == 0 {
		return nil
	}
	found, in, tables, routes, full, closed := map[string]Network{}, map[string][]string{}, map[string]string{}, map[string]string{}, map[string]bool{}, map[string]bool{}
	for _, r := range out.Reservations {
		for _, i := range r.Instances {
			n := Network{VPC: awssdk.ToString(i.VpcId), Subnet: awssdk.ToString(i.SubnetId), Launched: awssdk.ToTime(i.LaunchTime)}
			host, _, _ := strings.Cut(awssdk.ToString(i.PrivateDnsName), ".")
			for _, name := range []*string{i.InstanceId, &host, i.PrivateDnsName, i.PrivateIpAddress, i.Ipv6Address} {
				if awssdk.ToString(name) != "" {
					n.Names = append(n.Names, *name)
				}
			}
			for _, g := range i.SecurityGroups {
				n.Groups = append(n.Groups, awssdk.ToString(g.GroupId))
			}
			in["vpc-id"], in["subnet-id"], in["group-id"] = append(in["vpc-id"], n.VPC), append(in["subnet-id"], n.Subnet), append(in["group-id"], n.Groups...)
			found[awssdk.ToString(i.InstanceId)] = n
		}
	}
	if out, err := s.api.DescribeRouteTables(ctx, &ec2.DescribeRouteTablesInput{Filters: filter("vpc-id", in["vpc-id"])}); err == nil && out.NextToken == nil {
		for _, t := range out.RouteTables {
			id := awssdk.ToString(t.RouteTableId)
			routes[id] = "none"
			for _, r := range t.Routes {
				if (awssdk.ToString(r.DestinationCidrBlock) == "0.0.0.0/0" || awssdk.ToString(r.DestinationIpv6CidrBlock) == "::/0") && routes[id] != "active" {
					routes[id] = string(r.State)
				}
			}
			for _, a := range t.Associations {
				if a.SubnetId != nil || awssdk.ToBool(a.Main) {
					tables[awssdk.ToString(cmp.Or(a.SubnetId, t.VpcId))] = id
				}
			}
		}
	}
	if out, err := s.api.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{Filters: filter("subnet-id", in["subnet-id"])}); err == nil {
		for _, n := range out.Subnets {
			full[awssdk.ToString(n.SubnetId)] = n.AvailableIpAddressCount != nil && *n.AvailableIpAddressCount == 0 && !awssdk.ToBool(n.Ipv6Native)
		}
	}
	if out, err := s.api.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{Filters: filter("group-id", in["group-id"])}); err == nil {
		for _, g := range out.SecurityGroups {
			closed[awssdk.ToString(g.GroupId)] = len(g.IpPermissionsEgress) == 0
		}
	}
	for id, n := range found {
		n.Table, n.Full = cmp.Or(tables[n.Subnet], tables[n.VPC]), full[n.Subnet]
		n.Route, n.Closed = routes[n.Table], len(n.Groups) > 0 && !slices.ContainsFunc(n.Groups, func(g string) bool { return !closed[g] })
		found[id] = n
	}
	return found
}

func filter(name string, values []string) []ec2types.Filter {
	return []ec2types.Filter{{Name: awssdk.String(name), Values: slices.Compact(slices.Sorted(slices.Values(values)))}}
}
