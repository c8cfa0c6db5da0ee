package fakeaws

import (
	"fmt"
	"slices"
	"strings"
)

// usableAddresses are the addresses of a subnet with a prefix of 24 bits, without the five that AWS keeps (VPC user guide, "Subnet CIDR
// blocks", read 2026-11).
const usableAddresses = 251

type (
	ec2Subnet struct {
		SubnetID   string `xml:"subnetId"`
		SubnetARN  string `xml:"subnetArn"`
		State      string `xml:"state"`
		VPCID      string `xml:"vpcId"`
		CIDR       string `xml:"cidrBlock"`
		Free       int    `xml:"availableIpAddressCount"`
		Zone       string `xml:"availabilityZone"`
		ZoneID     string `xml:"availabilityZoneId"`
		Default    bool   `xml:"defaultForAz"`
		IPv6Native bool   `xml:"ipv6Native"`
		OwnerID    string `xml:"ownerId"`
	}
	ec2Subnets struct {
		ec2Header
		Subnets   items[ec2Subnet] `xml:"subnetSet"`
		NextToken string           `xml:"nextToken,omitempty"`
	}
)

// describeSubnets knows one subnet for each zone that groups name.
func (a *account) describeSubnets(r *request) (any, error) {
	limit, err := ec2Page(r.form, 5, 1000, 1000)
	if err != nil {
		return nil, err
	}
	filters, err := ec2Filters(r.form, "subnet-id", "availability-zone", "vpc-id")
	if err != nil {
		return nil, err
	}
	all := a.subnets()
	ids := r.form.list("SubnetId")
	for _, id := range ids {
		if !slices.ContainsFunc(all, func(s ec2Subnet) bool { return s.SubnetID == id }) {
			return nil, &apiError{Code: "InvalidSubnetID.NotFound", Message: fmt.Sprintf("The subnet ID '%s' does not exist", id)}
		}
	}
	all = slices.DeleteFunc(all, func(s ec2Subnet) bool {
		return len(ids) > 0 && !slices.Contains(ids, s.SubnetID) || !allHold(filters, s.field)
	})
	found, next, ok := page(all, func(s ec2Subnet) string { return s.SubnetID }, r.form.get("NextToken"), limit)
	if !ok {
		return nil, ec2BadToken
	}
	return &ec2Subnets{Subnets: items[ec2Subnet]{found}, NextToken: next}, nil
}

// subnets are sorted by ID. Each instance takes one address of its zone's, if the Config does not say how many are free.
func (a *account) subnets() []ec2Subnet {
	var out []ec2Subnet
	for n, zone := range a.zones() {
		free, given := a.freeAddresses[zone]
		switch {
		case given && free < 0:
			continue
		case !given:
			free = usableAddresses
			for _, i := range a.instances {
				if i.pool.zone == zone && i.ended.IsZero() {
					free--
				}
			}
		}
		id := subnetID(zone)
		out = append(out, ec2Subnet{SubnetID: id, SubnetARN: "arn:" + a.partition + ":ec2:" + a.region + ":" + a.id + ":subnet/" + id,
			State: "available", VPCID: "vpc-0" + hexID(16, "vpc", a.id), CIDR: fmt.Sprintf("10.0.%d.0/24", n), Free: free,
			Zone: zone, ZoneID: zoneID(a.region, zone), OwnerID: a.id})
	}
	slices.SortFunc(out, func(x, y ec2Subnet) int { return strings.Compare(x.SubnetID, y.SubnetID) })
	return out
}

func (s ec2Subnet) field(name string) (string, bool) {
	switch name {
	case "subnet-id":
		return s.SubnetID, true
	case "availability-zone":
		return s.Zone, true
	}
	return s.VPCID, true
}
