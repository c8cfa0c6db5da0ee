package ledger

import (
	"maps"
	"slices"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
)

// Book enters that AWS will be asked for n more instances, in the zone if one is named.
func (l *Ledger) Book(zone string, n int) {
	l.underWay.wanted[zone] += n
}

// BookedInZonesOnly reports whether AWS will be asked for instances, and for all of them in named zones.
func (l *Ledger) BookedInZonesOnly() bool {
	return len(l.underWay.wanted) > 0 && l.underWay.wanted[""] == 0
}

// NextIncrease enters that AWS is now asked for the bookings for any zone, or else those for all named zones. It returns them, or nil if there is none.
// EndIncrease must follow.
func (l *Ledger) NextIncrease() map[string]int {
	u := &l.underWay
	switch n, anyZone := u.wanted[""]; {
	case len(u.wanted) == 0:
		return nil
	case anyZone:
		u.asked = map[string]int{"": n}
		delete(u.wanted, "")
	default:
		u.asked, u.wanted = u.wanted, map[string]int{}
	}
	u.from, u.before = l.group.Held(), make(map[string]bool, len(l.group.Instances))
	for at := range l.group.Instances {
		u.before[l.group.Instances[at].ID] = true
	}
	return maps.Clone(u.asked)
}

// EndIncrease ends what NextIncrease began. It returns how many instances did not come by zone, which count until they are dismissed.
func (l *Ledger) EndIncrease(errs map[string]error) (short map[string]int) {
	u := &l.underWay
	short, failed := map[string]int{}, slices.Clone(u.failed)
	for _, zone := range slices.Sorted(maps.Keys(errs)) {
		if errs[zone] == nil {
			continue
		}
		if short[zone] = u.awaited(l.group, zone); short[zone] > 0 {
			u.count++
			failed = append(failed, group.FailedIncrease{ID: u.count, Zone: zone, Instances: short[zone], Err: errs[zone]})
		}
	}
	u.failed, u.asked, u.before = failed, nil, nil
	return short
}

// Dismiss ends the counting of the failed increases for which done returns true.
func (l *Ledger) Dismiss(done func(group.FailedIncrease) bool) {
	l.underWay.failed = slices.DeleteFunc(slices.Clone(l.underWay.failed), done)
}

// BeginLoop dismisses the failed increases that a whole loop could see, and reports whether there are any.
func (l *Ledger) BeginLoop() (dismissed bool) {
	u := &l.underWay
	before := len(u.failed)
	l.Dismiss(func(f group.FailedIncrease) bool { return f.ID <= u.shown })
	u.shown = u.count
	return len(u.failed) < before
}

// awaited returns how many of the instances that AWS is being asked for have not come: all growth since counts for them.
func (u *underWay) awaited(g *group.Group, zone string) int {
	come := g.Held() - u.from
	if zone != "" {
		come = g.CapacityOf(func(i *group.Instance) bool {
			return i.Lifecycle.Counts() && i.Zone == zone && !u.before[i.ID]
		})
	}
	return max(0, u.asked[zone]-max(0, come)/g.Source.MinWeight())
}

// unlisted is the capacity that AWS is launching in named zones, counts in the desired capacity, and does not list yet. It is awaited in its zones.
func (u *underWay) unlisted(g *group.Group) int {
	awaited := 0
	for zone := range u.asked {
		if zone != "" {
			awaited += u.awaited(g, zone)
		}
	}
	if awaited == 0 {
		return 0
	}
	listed := g.CapacityOf(func(i *group.Instance) bool { return i.Lifecycle.Counts() && !u.before[i.ID] })
	return min(awaited*g.Source.MinWeight(), max(0, g.Held()-u.from-listed))
}

// Shown returns the group with the increases that are under way or have failed.
func (l *Ledger) Shown() *group.Group {
	u := &l.underWay
	if len(u.wanted)+len(u.asked)+len(u.failed) == 0 {
		return l.group
	}
	g := *l.group
	g.BookedIn, g.Failed = maps.Clone(u.wanted), u.failed
	for zone := range u.asked {
		g.BookedIn[zone] += u.awaited(l.group, zone)
	}
	g.DesiredCapacity -= u.unlisted(l.group)
	for _, n := range g.BookedIn {
		g.Booked += n
	}
	g.DesiredCapacity = g.Reached() + g.BookedCapacity()
	return &g
}
