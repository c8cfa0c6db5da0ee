package fakeaws

import (
	"cmp"
	"maps"
	"slices"
)

// A Network is the account's only VPC. It has a subnet in each zone.
type Network struct {
	Route        string            `json:"route,omitempty"`        // state of the main table's default route: active (default), blackhole or none
	Subnets      map[string]Subnet `json:"subnets,omitempty"`      // by zone, others are as the main table says and have free addresses
	ClosedGroups []string          `json:"closedGroups,omitempty"` // IDs of security groups without rules for what goes out
}

// A Subnet is the subnet of a zone.
type Subnet struct {
	Route    string `json:"route,omitempty"` // as in Network. The subnet then has a route table of its own
	Full     bool   `json:"full,omitempty"`  // it has no free IPv4 address
	IPv6Only bool   `json:"ipv6Only,omitempty"`
}

type (
	ec2Route struct {
		Destination string `xml:"destinationCidrBlock"`
		State       string `xml:"state"`
	}
	ec2Association struct {
		Subnet string `xml:"subnetId,omitempty"`
		Main   bool   `xml:"main"`
	}
	ec2RouteTable struct {
		ID           string                `xml:"routeTableId"`
		VPC          string                `xml:"vpcId"`
		Routes       items[ec2Route]       `xml:"routeSet"`
		Associations items[ec2Association] `xml:"associationSet"`
	}
	ec2RouteTables struct {
		ec2Header
		Tables    items[ec2RouteTable] `xml:"routeTableSet"`
		NextToken string               `xml:"nextToken,omitempty"`
	}
	ec2Subnet struct {
		ID         string `xml:"subnetId"`
		State      string `xml:"state"`
		VPC        string `xml:"vpcId"`
		Free       int    `xml:"availableIpAddressCount"`
		Zone       string `xml:"availabilityZone"`
		IPv6Native bool   `xml:"ipv6Native"`
	}
	ec2Subnets struct {
		ec2Header
		Subnets   items[ec2Subnet] `xml:"subnetSet"`
		NextToken string           `xml:"nextToken,omitempty"`
	}
	ec2Permission struct {
		Protocol string `xml:"ipProtocol"`
	}
	ec2SecurityGroup struct {
		ID   string               `xml:"groupId"`
		Name string               `xml:"groupName"`
		VPC  string               `xml:"vpcId"`
		Out  items[ec2Permission] `xml:"ipPermissionsEgress"`
	}
	ec2SecurityGroups struct {
		ec2Header
		Groups    items[ec2SecurityGroup] `xml:"securityGroupInfo"`
		NextToken string                  `xml:"nextToken,omitempty"`
	}
	ec2GroupID struct {
		ID   string `xml:"groupId"`
		Name string `xml:"groupName"`
	}
)

func (a *account) vpcID() string { return "vpc-0" + hexID(16, "vpc", a.id) }

// securityGroups returns the security groups that an instance has by its launch template, or else the VPC's default one.
func (a *account) securityGroups(i *instance) (groups []ec2GroupID) {
	ids := a.version(i).SecurityGroupIDs
	if len(ids) == 0 {
		ids = []string{"sg-0" + hexID(16, "default group", a.id)}
	}
	for _, id := range ids {
		groups = append(groups, ec2GroupID{id, id})
	}
	return groups
}

// described answers a call that has the filters id and vpc-id with a page of the values, which are sorted by their ID.
func described[T any](a *account, r *request, most int, filter string, all []T, id func(T) string) (found []T, next string, err error) {
	limit, err := ec2Page(r.form, 5, most, 1000)
	if err != nil {
		return nil, "", err
	}
	filters, err := ec2Filters(r.form, filter, "vpc-id")
	if err != nil {
		return nil, "", err
	}
	slices.SortFunc(all, func(x, y T) int { return cmp.Compare(id(x), id(y)) })
	all = slices.DeleteFunc(all, func(v T) bool {
		return !allHold(filters, func(name string) string {
			if name == "vpc-id" {
				return a.vpcID()
			}
			return id(v)
		})
	})
	found, next, ok := page(all, id, r.form.get("NextToken"), limit)
	if !ok {
		return nil, "", ec2BadToken
	}
	return found, next, nil
}

// describeRouteTables knows the main table. A subnet with a route of its own has a table, too.
func (a *account) describeRouteTables(r *request) (any, error) {
	table := func(key, state, subnet string) ec2RouteTable {
		t := ec2RouteTable{ID: "rtb-0" + hexID(16, "table", key), VPC: a.vpcID()}
		t.Routes.Item = []ec2Route{{Destination: "10.0.0.0/8", State: "active"}}
		if state != "none" {
			t.Routes.Item = append(t.Routes.Item, ec2Route{Destination: "0.0.0.0/0", State: first(state, "active")})
		}
		t.Associations.Item = []ec2Association{{Subnet: subnet, Main: subnet == ""}}
		return t
	}
	all := []ec2RouteTable{table("main", a.network.Route, "")}
	for zone, s := range a.network.Subnets {
		if s.Route != "" {
			all = append(all, table(zone, s.Route, subnetID(zone)))
		}
	}
	found, next, err := described(a, r, 100, "route-table-id", all, func(t ec2RouteTable) string { return t.ID })
	return &ec2RouteTables{Tables: items[ec2RouteTable]{found}, NextToken: next}, err
}

func (a *account) describeSubnets(r *request) (any, error) {
	var all []ec2Subnet
	for _, zone := range a.zones() {
		is := a.network.Subnets[zone]
		s := ec2Subnet{ID: subnetID(zone), State: "available", VPC: a.vpcID(), Free: 65_000, Zone: zone, IPv6Native: is.IPv6Only}
		if is.IPv6Only || is.Full {
			s.Free = 0
		}
		all = append(all, s)
	}
	found, next, err := described(a, r, 1000, "subnet-id", all, func(s ec2Subnet) string { return s.ID })
	return &ec2Subnets{Subnets: items[ec2Subnet]{found}, NextToken: next}, err
}

// describeSecurityGroups knows the groups of instances.
func (a *account) describeSecurityGroups(r *request) (any, error) {
	byID := map[string]ec2SecurityGroup{}
	for _, i := range a.instances {
		for _, g := range a.securityGroups(i) {
			group := ec2SecurityGroup{ID: g.ID, Name: g.Name, VPC: a.vpcID()}
			if !slices.Contains(a.network.ClosedGroups, g.ID) {
				group.Out.Item = []ec2Permission{{"-1"}}
			}
			byID[g.ID] = group
		}
	}
	found, next, err := described(a, r, 1000, "group-id", slices.Collect(maps.Values(byID)), func(g ec2SecurityGroup) string { return g.ID })
	return &ec2SecurityGroups{Groups: items[ec2SecurityGroup]{found}, NextToken: next}, err
}
