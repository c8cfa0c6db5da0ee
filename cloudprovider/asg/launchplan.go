package asg

import (
	"fmt"
	"slices"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/cooldown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
)

// synchronously reports whether the group's next instances are launched synchronously, and if not, why.
func (c *Cache) synchronously(g *group.Group) (bool, error) {
	if c.options.LaunchMode == LaunchDesiredCapacity {
		return false, nil
	}
	e := c.notSynchronous(g)
	if e != nil && c.options.LaunchMode == LaunchSynchronous {
		return false, e
	}
	return e == nil, nil
}

// notSynchronous returns why LaunchInstances does not serve the group now, or nil.
func (c *Cache) notSynchronous(g *group.Group) *notSynchronous {
	if e := launchableSynchronously(g); e != nil {
		return e
	}
	if why, open := c.calls.launch.Open(g.Name); open {
		return &notSynchronous{fmt.Sprintf("AWS does not answer LaunchInstances (%s)", why), "wait: it is tried again after some minutes"}
	}
	return c.refusals.of(g.Name)
}

// plan divides n instances among the available zones of the group, or puts them all into the one named zone. The zone with the fewest instances comes
// first, and AWS's order decides among equals. A zone whose cool-down has just ended gets one as a probe.
func (c *Cache) plan(g *group.Group, named string, n int) []launchRequest {
	have, want, most := map[string]int{}, map[string]int{}, map[string]int{}
	for _, i := range g.Counted() {
		have[i.Zone]++
	}
	var open []string
	for _, zone := range g.LaunchZones() {
		if _, closed := c.available.inZone(g, zone); closed || named != "" && zone != named {
			continue
		}
		open = append(open, zone)
	}
	open = c.available.leastInterrupted(g, open)
	for _, zone := range open {
		most[zone] = n
		if !slices.ContainsFunc(g.Pools(zone), func(p cooldown.Pool) bool { return !c.available.failed.Probing(g.Name, p) }) {
			most[zone] = 1
		}
	}
	for range n {
		best := ""
		for _, zone := range open {
			if want[zone] < most[zone] && (best == "" || have[zone]+want[zone] < have[best]+want[best]) {
				best = zone
			}
		}
		if best == "" {
			break
		}
		want[best]++
	}
	var orders []launchRequest
	for _, zone := range open {
		for part := 0; want[zone] > 0; part++ {
			count := min(want[zone], launchesPerCall)
			orders = append(orders, launchRequest{group: g.Name, zone: zone, count: count, batch: part, alone: named != ""})
			want[zone] -= count
		}
	}
	return orders
}
