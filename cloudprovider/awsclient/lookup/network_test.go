package lookup

import (
	"fmt"
	"strings"
	"testing"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/stretchr/testify/assert"
)

func TestNetworkOfAnInstanceIsLookedUp(t *testing.T) {
	own := func(s fakeaws.Subnet) fakeaws.Network {
		return fakeaws.Network{Subnets: map[string]fakeaws.Subnet{"us-west-2a": s}}
	}
	for _, tt := range []struct {
		name    string
		network fakeaws.Network
		want    string // default route, full, closed
	}{
		{"all is well", fakeaws.Network{}, "active false false"},
		{"the main table has no default route", fakeaws.Network{Route: "none"}, "none false false"},
		{"the main table's counts only for others", fakeaws.Network{Route: "none", Subnets: map[string]fakeaws.Subnet{"us-west-2a": {Route: "active"}}}, "active false false"},
		{"the subnet's own table has none", own(fakeaws.Subnet{Route: "none"}), "none false false"},
		{"the target is gone", own(fakeaws.Subnet{Route: "blackhole"}), "blackhole false false"},
		{"no free address", own(fakeaws.Subnet{Full: true}), "active true false"},
		{"a subnet of IPv6 alone has no IPv4 address", own(fakeaws.Subnet{IPv6Only: true}), "active false false"},
		{"one of two groups is closed", fakeaws.Network{ClosedGroups: []string{"sg-1"}}, "active false false"},
		{"both are closed", fakeaws.Network{ClosedGroups: []string{"sg-1", "sg-2"}}, "active false true"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newStartsWorld(t, 1, fakeaws.AutoScalingGroup{}, tt.network, mapped)
			w.look(t)
			n, _ := w.Known().Of(w.ids[0])
			assert.Equal(t, tt.want, fmt.Sprint(n.Route, " ", n.Full, n.Closed))
			assert.Truef(t, n.VPC != "" && n.Subnet != "" && n.Table != "" && strings.Join(n.Groups, " ") == "sg-1 sg-2",
				"%+v, want the IDs of all", n.Network)
		})
	}
}

func TestNetworksOfManyInstancesTakeOneCallOfEachKind(t *testing.T) {
	w := newStartsWorld(t, 100, fakeaws.AutoScalingGroup{Zones: []string{"us-west-2a", "us-west-2b"}},
		fakeaws.Network{Subnets: map[string]fakeaws.Subnet{"us-west-2b": {Route: "none"}}}, mapped)
	w.look(t)
	routes := map[string]int{}
	for _, id := range w.ids {
		n, _ := w.Known().Of(id)
		routes[n.Route]++
	}
	assert.Truef(t, routes["active"] == 50 && routes["none"] == 50, "routes %v, want one for each zone", routes)
	for _, action := range []string{"DescribeInstances", "DescribeRouteTables", "DescribeSubnets", "DescribeSecurityGroups"} {
		assert.Equalf(t, 1, w.aws.Calls()[action], "calls of %s", action)
	}
}

func TestDeniedLooksAtNetworksLeaveTheOthers(t *testing.T) {
	for action, want := range map[string]string{
		"DescribeInstances":      " false false",
		"DescribeRouteTables":    " true true",
		"DescribeSubnets":        "blackhole false true",
		"DescribeSecurityGroups": "blackhole true false",
	} {
		w := newStartsWorld(t, 1, fakeaws.AutoScalingGroup{},
			fakeaws.Network{Route: "blackhole", Subnets: map[string]fakeaws.Subnet{"us-west-2a": {Full: true}}, ClosedGroups: []string{"sg-1", "sg-2"}}, mapped)
		w.aws.Deny(action)
		w.look(t)
		n, known := w.Known().Of(w.ids[0])
		got := fmt.Sprint(n.Route, " ", n.Full, n.Closed)
		assert.Truef(t, got == want && known && n.State == "running", "without %s: %s of an instance that is %q, want %s", action, got, n.State, want)
	}
}
