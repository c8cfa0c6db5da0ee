package asg

import (
	"cmp"
	"slices"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
)

// Missing is how many instances AWS still has to launch for the desired capacity, at the smallest weight, so that it is never too few.
func (g *Group) Missing() int {
	return ceilDiv(max(0, g.DesiredCapacity-g.countedCapacity()), g.Source.MinWeight())
}

// notInService is how many instances are missing or still starting, at the smallest weight.
func (g *Group) notInService() int {
	missing := g.DesiredCapacity - g.countedCapacity() + g.capacityOf(func(i *Instance) bool { return i.Lifecycle.Starting() })
	return ceilDiv(max(0, missing), g.Source.MinWeight())
}

// TargetInstances is the desired capacity in instances: the counted and the missing ones, less the overdue.
func (g *Group) TargetInstances() int {
	if !g.Source.Weighted() {
		return g.DesiredCapacity - g.Overdue
	}
	return len(g.Counted()) + g.Missing() - g.Overdue
}

// Withdrawable is how many of the missing instances Withdraw would take back: our own, unless the minimum size or another writer wants them.
func (g *Group) Withdrawable() int {
	if g.withdrawalFailed {
		return 0
	}
	g = g.accepted()
	return (g.DesiredCapacity - g.afterWithdrawal(g.Requested)) / g.Source.MinWeight()
}

// afterWithdrawal is the desired capacity without up to n unfulfilled instances of ours.
func (g *Group) afterWithdrawal(n int) int {
	floor := max(g.MinSize, g.countedCapacity()+g.unshown, g.others)
	return min(g.DesiredCapacity, max(g.DesiredCapacity-min(n, g.Requested)*g.Source.MinWeight(), floor))
}

// MaxInstances is how many instances the group can hold, as far as its weights show: the present ones, and the smallest that still fit.
func (g *Group) MaxInstances() int {
	if !g.Source.Weighted() {
		return g.MaxSize
	}
	return len(g.Counted()) + max(0, g.MaxSize-g.countedCapacity())/g.Source.MinWeight()
}

// MinInstances is the least number of instances, as far as the weights show: the minimum size must remain if the heaviest go.
func (g *Group) MinInstances() int {
	if !g.Source.Weighted() {
		return g.MinSize
	}
	spare := max(0, g.reached()-g.MinSize) / g.heaviest()
	return max(0, len(g.Counted())+g.Missing()-spare)
}

// heaviest is the weight of the heaviest instance, as far as the weights show.
func (g *Group) heaviest() int {
	heaviest := 1
	if g.Missing() > 0 {
		heaviest = g.Source.MinWeight()
	}
	for _, i := range g.Counted() {
		heaviest = max(heaviest, i.Weight)
	}
	return heaviest
}

func (g *Group) countedCapacity() int {
	return g.capacityOf(func(i *Instance) bool { return i.Lifecycle.Counts() })
}

func (g *Group) capacityOf(counts func(*Instance) bool) int {
	capacity := 0
	for at := range g.Instances {
		if i := &g.Instances[at]; counts(i) {
			capacity += i.Weight
		}
	}
	return capacity
}

func (g *Group) instance(id string) *Instance {
	if at := slices.IndexFunc(g.Instances, func(i Instance) bool { return i.ID == id }); at >= 0 {
		return &g.Instances[at]
	}
	return nil
}

// inMotion reports whether the group is expected to look different in a moment.
func (g *Group) inMotion() bool {
	if g.Missing() > 0 || g.stated != g.DesiredCapacity {
		return true
	}
	return slices.ContainsFunc(g.Instances, func(i Instance) bool {
		return i.Lifecycle != "InService" && i.Lifecycle != "Standby"
	})
}

// sameMotion reports whether two readings agree in everything that moves.
func (g *Group) sameMotion(o *Group) bool {
	return g.DesiredCapacity == o.DesiredCapacity && slices.Equal(g.Instances, o.Instances) &&
		(g.Failure == nil) == (o.Failure == nil)
}

// accepted returns the group without the increases that AWS has not accepted.
func (g *Group) accepted() *Group {
	if g.Booked == 0 && len(g.Failed) == 0 {
		return g
	}
	a := *g
	a.DesiredCapacity -= g.bookedCapacity()
	a.Booked, a.Failed, a.booked = 0, nil, nil
	return &a
}

// FailedInstances counts the instances of the failed increases.
func (g *Group) FailedInstances() int {
	failed := 0
	for _, f := range g.Failed {
		failed += f.Instances
	}
	return failed
}

// bookedCapacity is the capacity that AWS has not accepted.
func (g *Group) bookedCapacity() int { return (g.Booked + g.FailedInstances()) * g.Source.MinWeight() }

func ceilDiv(a, b int) int { return (a + b - 1) / b }

func (g *Group) room() int { return (g.MaxSize - g.reached()) / g.Source.MinWeight() }

// excess is the capacity that AWS is about to terminate, or holds while it moves instances.
func (g *Group) excess() int { return max(0, g.countedCapacity()-g.reached()) }

// reached is the desired capacity, or more if a heavy instance has brought more: up to a part of the heaviest one, and up to the
// maximum size. AWS launches nothing until the desired capacity exceeds it.
func (g *Group) reached() int {
	return max(g.DesiredCapacity, min(g.countedCapacity(), g.DesiredCapacity+g.heaviest()-1, g.MaxSize))
}

// endedSince is the capacity of the departing instances that were present, or not yet there, before.
func endedSince(g, before *Group) int {
	return g.capacityOf(func(i *Instance) bool {
		was := before.instance(i.ID)
		return i.Lifecycle.Leaving() && (was == nil || !was.Lifecycle.Leaving())
	})
}

// lightest is the least weight of the counted instances. With weights, AWS launches up to one part of an instance too much, and keeps it.
func lightest(g *Group) int {
	counted := g.Counted()
	if len(counted) == 0 {
		return g.Source.MinWeight()
	}
	return slices.MinFunc(counted, func(a, b Instance) int { return cmp.Compare(a.Weight, b.Weight) }).Weight
}

// shortfall is how many instances of the least weight are still to come out of n, after launched. A heavier instance counts several times.
func (g *Group) shortfall(n int, launched []Instance) int {
	least := g.Source.MinWeight()
	missing := n * least
	for _, i := range launched {
		missing -= i.Weight
	}
	return max(0, missing+least-1) / least
}

func union(list, others []Instance) []Instance {
	for _, o := range others {
		if !slices.ContainsFunc(list, func(i Instance) bool { return i.ID == o.ID }) {
			list = append(list, o)
		}
	}
	return list
}

// newSince returns the counted instances that were not there before, in the zone if one is named. It returns none beyond the growth of the desired
// capacity, because the rest replaces others.
func (g *Group) newSince(before *Group, zone string) []Instance {
	var come []Instance
	grown := g.DesiredCapacity - before.DesiredCapacity
	for _, i := range g.Counted() {
		if grown > 0 && before.instance(i.ID) == nil && (zone == "" || i.Zone == zone) {
			come = append(come, i)
			grown -= i.Weight
		}
	}
	return come
}

func (g *Group) Blocked() bool {
	return slices.ContainsFunc(g.Problems, func(p launchspec.Problem) bool { return p.Blocks })
}

func (g *Group) Counted() []Instance {
	return slices.DeleteFunc(slices.Clone(g.Instances), func(i Instance) bool { return !i.Lifecycle.Counts() })
}
