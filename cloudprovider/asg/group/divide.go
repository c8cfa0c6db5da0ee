package group

import (
	"maps"
	"slices"
)

// ID names the node group: the Auto Scaling group, or group/zone for a zone group.
func (g *Group) ID() string {
	if g.Zone == "" {
		return g.Name
	}
	return ZoneGroupID(g.Name, g.Zone)
}

func ZoneGroupID(group, zone string) string { return group + "/" + zone }

// ByZone divides the group into its zone groups: first one for each zone that it may launch in, in AWS's order, then one for each other zone with
// instances. Their desired capacities add up to the group's. The missing instances count in the zone with the fewest, where AWS would launch them.
// Their maximum sizes add up to the group's, with the rest dealt out evenly. The minimum size of each assumes that it alone loses all capacity beyond
// the group's minimum. Every instance must have a zone.
func (g *Group) ByZone(among ...string) []*Group { return g.Divide(among, g.Zones) }

// Divide is ByZone with the instances that the minimum size lacks in the zones that are available.
func (g *Group) Divide(among, available []string) []*Group {
	views := g.emptyZoneGroups()
	byZone := make(map[string]*Group, len(views))
	for _, v := range views {
		byZone[v.Zone] = v
	}
	for _, i := range g.Instances {
		v := byZone[i.Zone]
		v.Instances = append(v.Instances, i)
	}
	for _, v := range views {
		v.DesiredCapacity = v.CountedCapacity()
	}
	open := views[:len(g.Zones)]
	g.accepted().dealMissing(open)
	g.accepted().takeExcess(views)
	spare, left := max(0, g.Reached()-g.MinSize), g.MaxSize
	for _, v := range views {
		v.DesiredCapacity += v.BookedCapacity()
		left -= v.DesiredCapacity
	}
	left = max(0, left) // with weights the zone groups may exceed the group, because instances are whole
	for at, v := range views {
		v.MinSize, v.MaxSize, v.most = max(0, v.DesiredCapacity-spare), v.DesiredCapacity, v.DesiredCapacity
		if at < len(open) {
			v.most += left
		}
		if limit, limited := g.ZoneLimits[v.Zone]; limited && at < len(open) {
			v.most = min(v.most, limit.MaxSize)
		}
	}
	able := slices.DeleteFunc(slices.Clone(open), func(v *Group) bool { return !slices.Contains(available, v.Zone) })
	g.level(able, g.MinSize-g.Reached(), func(v *Group) *int { return &v.MinSize })
	growing := slices.DeleteFunc(slices.Clone(open), func(v *Group) bool { return len(among) > 0 && !slices.Contains(among, v.Zone) })
	g.level(growing, left, func(v *Group) *int { return &v.MaxSize })
	for _, v := range views {
		if limit, ok := g.ZoneLimits[v.Zone]; ok {
			v.MaxSize = min(v.MaxSize, limit.MaxSize)
			v.MinSize = max(v.MinSize, min(limit.MinSize, v.most))
		}
	}
	return views
}

// level deals out capacity in whole instances: to the smallest zone groups first, to the first of equals first, to none beyond its most.
func (g *Group) level(views []*Group, capacity int, of func(*Group) *int) {
	weight := g.Source.MinWeight()
	for left := capacity / weight; left > 0; {
		var lowest []*int
		gap, space := left, left // the distance to the next size above the lowest, and the space in the lowest
		for _, v := range views {
			size, most := of(v), v.most
			switch {
			case *size+weight > most:
			case len(lowest) == 0 || *size < *lowest[0]:
				if len(lowest) > 0 {
					gap = max(1, (*lowest[0]-*size)/weight)
				}
				lowest, space = []*int{size}, (most-*size)/weight
			case *size == *lowest[0]:
				lowest, space = append(lowest, size), min(space, (most-*size)/weight)
			default:
				gap = min(gap, max(1, (*size-*lowest[0])/weight))
			}
		}
		if len(lowest) == 0 {
			return
		}
		rounds := max(1, min(gap, space, left/len(lowest)))
		for _, size := range lowest[:min(len(lowest), left)] {
			*size += rounds * weight
			left -= rounds
		}
	}
}

func (g *Group) emptyZoneGroups() []*Group {
	others := map[string]bool{}
	for _, i := range g.Instances {
		if !slices.Contains(g.Zones, i.Zone) {
			others[i.Zone] = true
		}
	}
	zones := slices.Concat(g.Zones, slices.Sorted(maps.Keys(others)))
	views := make([]*Group, len(zones))
	for at, zone := range zones {
		v := *g
		v.Zone, v.Zones, v.Instances = zone, []string{zone}, nil
		v.Requested, v.Overdue, v.OthersWant, v.UnshownCapacity = 0, 0, 0, 0
		v.Booked, v.Failed, v.BookedIn = 0, nil, nil
		views[at] = &v
	}
	if len(views) > 0 {
		g.dealBooked(views)
	}
	return views
}

// dealBooked counts the increases under way and the failed ones in their zone groups, and those in any zone in the first.
func (g *Group) dealBooked(views []*Group) {
	in := func(zone string) *Group {
		return views[max(0, slices.IndexFunc(views, func(v *Group) bool { return v.Zone == zone }))]
	}
	for zone, n := range g.BookedIn {
		in(zone).Booked += n
	}
	for _, f := range g.Failed {
		v := in(f.Zone)
		v.Failed = append(v.Failed, f)
	}
}

// dealMissing counts the missing instances in the zone groups. Our withdrawable ones come last but for the overdue, as in a whole group.
func (g *Group) dealMissing(views []*Group) {
	missing, withdrawable := g.Missing(), g.Withdrawable()
	if len(views) == 0 {
		return // the reading names no zone
	}
	for at := range missing {
		v := least(views, func(v *Group) int { return v.DesiredCapacity })
		v.DesiredCapacity += g.Source.MinWeight()
		switch {
		case at >= missing-g.Overdue:
			v.Overdue++
		case at >= missing-g.Overdue-withdrawable:
			v.Requested++
		}
	}
}

// takeExcess takes the capacity beyond the desired one off the zone groups, largest first, where AWS would begin to terminate it.
func (g *Group) takeExcess(views []*Group) {
	if g.Source.Weighted() {
		return // AWS keeps a part of an instance too much
	}
	for range g.Excess() {
		least(views, func(v *Group) int { return -v.DesiredCapacity }).DesiredCapacity--
	}
}

// least returns the smallest zone group, the first of equals.
func least(views []*Group, size func(*Group) int) *Group {
	return slices.MinFunc(views, func(a, b *Group) int { return size(a) - size(b) })
}

// MostInstances is MaxInstances of a zone group that alone gets the rest of the group's maximum size, and of a whole group.
func (g *Group) MostInstances() int {
	alone := *g
	if g.Zone != "" {
		alone.MaxSize = g.most
	}
	return alone.MaxInstances()
}

// RoomIn returns the number of further instances that the maximum size allows in a zone, "" for any.
func (g *Group) RoomIn(zone string) int {
	if _, limited := g.ZoneLimits[zone]; zone == "" || !limited {
		return g.Room()
	}
	if v := g.zoneGroupIn(zone); v != nil {
		return (v.most - v.DesiredCapacity) / g.Source.MinWeight()
	}
	return 0
}

// OverdueIn returns the number of overdue instances that count in a zone, "" for any.
func (g *Group) OverdueIn(zone string) int {
	if v := g.zoneGroupIn(zone); v != nil {
		return v.Overdue
	}
	return g.Overdue
}

func (g *Group) zoneGroupIn(zone string) *Group {
	for _, v := range g.ByZone() {
		if v.Zone == zone && zone != "" { // as an endpoint's instances without a zone have
			return v
		}
	}
	return nil
}
