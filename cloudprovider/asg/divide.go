package asg

import (
	"maps"
	"slices"
)

// ID names the node group: the Auto Scaling group, or group/zone for a zonal view.
func (g *Group) ID() string {
	if g.Zone == "" {
		return g.Name
	}
	return ViewID(g.Name, g.Zone)
}

// ViewID names the node group that is a zonal view.
func ViewID(group, zone string) string { return group + "/" + zone }

// launchZones are the zones that the group may launch in, each once.
func (g *Group) launchZones() []string {
	zones := make([]string, 0, len(g.Zones))
	for _, zone := range g.Zones {
		if !slices.Contains(zones, zone) {
			zones = append(zones, zone)
		}
	}
	return zones
}

// ByZone divides the group into its zonal views: one for each zone that it may launch in, in AWS's order, then one for each
// other in which it has instances. Their desired capacities add up to that of the group: what is missing counts where AWS
// would launch it, in the zone that has the least. Their maximum sizes add up to that of the group: what is left of it is
// dealt out evenly. The minimum size of each is what it would have if all that the group has beyond its own were taken from
// it alone. Every instance of the group must have a zone.
func (g *Group) ByZone(among ...string) []*Group { return g.divide(among, g.launchZones()) }

// divide is ByZone where instances that the minimum size lacks are to be launched in the zones that are awake.
func (g *Group) divide(among, awake []string) []*Group {
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
		v.DesiredCapacity = v.countedCapacity()
	}
	open := views[:len(g.launchZones())]
	g.dealMissing(open)
	g.takeExcess(views)
	spare, left := max(0, g.DesiredCapacity-g.MinSize), max(0, g.MaxSize-sizes(views))
	for at, v := range views {
		v.MinSize, v.MaxSize, v.most = max(0, v.DesiredCapacity-spare), v.DesiredCapacity, v.DesiredCapacity
		if at < len(open) {
			v.most = g.zoneLimits[v.Zone].most(v.DesiredCapacity + left)
		}
	}
	able := slices.DeleteFunc(slices.Clone(open), func(v *Group) bool { return !slices.Contains(awake, v.Zone) })
	g.level(able, g.MinSize-g.DesiredCapacity, func(v *Group) (*int, int) { return &v.MinSize, v.most })
	growing := slices.DeleteFunc(slices.Clone(open), func(v *Group) bool { return len(among) > 0 && !slices.Contains(among, v.Zone) })
	g.level(growing, left, func(v *Group) (*int, int) { return &v.MaxSize, v.most })
	for _, v := range views {
		if limit, ok := g.zoneLimits[v.Zone]; ok {
			v.MaxSize = min(v.MaxSize, limit.MaxSize)
			v.MinSize = max(v.MinSize, min(limit.MinSize, v.most))
		}
	}
	return views
}

// sizes add up to what the views desire together. With weights that may be more than the group does: whole instances.
func sizes(views []*Group) int {
	capacity := 0
	for _, v := range views {
		capacity += v.DesiredCapacity
	}
	return capacity
}

// level deals out capacity evenly: to the views that have the least first, to the first of equals first, to none beyond its
// most. What is less than an instance is not dealt out.
func (g *Group) level(views []*Group, capacity int, of func(*Group) (size *int, most int)) {
	weight := g.Source.MinWeight()
	for left := capacity / weight; left > 0; {
		var lowest []*int
		gap, room := left, left // to the next above the lowest, and in them
		for _, v := range views {
			size, most := of(v)
			switch {
			case *size+weight > most:
			case len(lowest) == 0 || *size < *lowest[0]:
				if len(lowest) > 0 {
					gap = max(1, (*lowest[0]-*size)/weight)
				}
				lowest, room = []*int{size}, (most-*size)/weight
			case *size == *lowest[0]:
				lowest, room = append(lowest, size), min(room, (most-*size)/weight)
			default:
				gap = min(gap, max(1, (*size-*lowest[0])/weight))
			}
		}
		if len(lowest) == 0 {
			return
		}
		rounds := max(1, min(gap, room, left/len(lowest)))
		for _, size := range lowest[:min(len(lowest), left)] {
			*size += rounds * weight
			left -= rounds
		}
	}
}

// emptyZoneGroups are the zonal views without instances and sizes.
func (g *Group) emptyZoneGroups() []*Group {
	zones, others := g.launchZones(), map[string]bool{}
	for _, i := range g.Instances {
		if !slices.Contains(zones, i.Zone) {
			others[i.Zone] = true
		}
	}
	zones = append(zones, slices.Sorted(maps.Keys(others))...)
	views := make([]*Group, len(zones))
	for at, zone := range zones {
		v := *g
		v.Zone, v.Zones, v.Instances = zone, []string{zone}, nil
		v.Requested, v.Overdue, v.others, v.unshown = 0, 0, 0, 0
		views[at] = &v
	}
	return views
}

// dealMissing has the instances that AWS still has to launch count in the views. Those that are ours to withdraw come last
// but for the overdue, as they do where the group is one.
func (g *Group) dealMissing(views []*Group) {
	missing, withdrawable := g.Missing(), g.Withdrawable()
	if len(views) == 0 {
		return // a reading that names no zone
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

// takeExcess has the capacity that counts beyond what is desired count no more in the views: AWS is about to end it, or holds it
// for a moment while it moves instances. Where AWS would begin is where there is most.
func (g *Group) takeExcess(views []*Group) {
	if g.Source.Weighted() {
		return // a part of an instance more than is desired stays
	}
	for range g.excess() {
		least(views, func(v *Group) int { return -v.DesiredCapacity }).DesiredCapacity--
	}
}

// least is the view of which there is the least, the first of several.
func least(views []*Group, size func(*Group) int) *Group {
	return slices.MinFunc(views, func(a, b *Group) int { return size(a) - size(b) })
}

// most is the size, or the greatest that the limits of a --nodes flag allow; there is no limit to the zero NamedGroup.
func (n NamedGroup) most(size int) int {
	if n.Name == "" {
		return size
	}
	return min(size, n.MaxSize)
}

// MostInstances is how many instances a zonal view could hold if it alone got what is left of the group's maximum size, as far
// as weights can tell. Of a whole group it is MaxInstances.
func (g *Group) MostInstances() int {
	alone := *g
	if g.Zone != "" {
		alone.MaxSize = g.most
	}
	return alone.MaxInstances()
}

// roomIn is how many instances the maximum size leaves room for in a zone; "" is any.
func (g *Group) roomIn(zone string) int {
	if _, limited := g.zoneLimits[zone]; zone == "" || !limited {
		return g.room()
	}
	if v := g.zoneGroupIn(zone); v != nil {
		return (v.most - v.DesiredCapacity) / g.Source.MinWeight()
	}
	return 0
}

// zoneGroupIn is the group's zonal view in the zone, or nil.
func (g *Group) zoneGroupIn(zone string) *Group {
	if zone == "" {
		return nil
	}
	for _, v := range g.ByZone() {
		if v.Zone == zone {
			return v
		}
	}
	return nil
}
