package group

import (
	"cmp"
	"slices"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
)

// Missing returns the number of instances that AWS still has to launch for the desired capacity, each at the smallest weight.
func (g *Group) Missing() int { return g.InstancesFor(g.DesiredCapacity - g.CountedCapacity()) }

// NotInService returns the number of instances that are missing or still starting, each at the smallest weight.
func (g *Group) NotInService() int {
	return g.InstancesFor(g.DesiredCapacity - g.CountedCapacity() + g.CapacityOf(func(i *Instance) bool { return i.Lifecycle.Starting() }))
}

// TargetInstances is the desired capacity in instances, with those that AWS keeps beyond it: the counted and the missing ones, less the overdue.
func (g *Group) TargetInstances() int {
	if !g.Source.Weighted() {
		return g.Reached() - g.Overdue
	}
	return len(g.Counted()) + g.Missing() - g.Overdue
}

// Withdrawable returns the number of missing instances that Withdraw would take back: our own, unless the minimum size or another writer wants them.
func (g *Group) Withdrawable() int {
	if g.WithdrawalFailed {
		return 0
	}
	g = g.accepted()
	return (g.DesiredCapacity - g.AfterWithdrawal(g.Requested)) / g.Source.MinWeight()
}

// AfterWithdrawal is the desired capacity without up to n unfulfilled instances of ours. While an instance may weigh more than we know, nothing is
// taken back: AWS may count it for the rest of the desired capacity, and would terminate one. AWS does not document whether it states the
// weight in a group that counts vCPUs or memory.
func (g *Group) AfterWithdrawal(n int) int {
	if slices.ContainsFunc(g.Instances, func(i Instance) bool { return i.Unweighed && i.Lifecycle.Counts() }) {
		return g.DesiredCapacity
	}
	floor := max(g.MinSize, g.CountedCapacity()+g.UnshownCapacity, g.OthersWant)
	return min(g.DesiredCapacity, max(g.DesiredCapacity-min(n, g.Requested)*g.Source.MinWeight(), floor))
}

// MaxInstances returns the number of instances that the group can hold by its weights: the present ones, and the smallest that still fit, less
// the overdue, which keep their places.
func (g *Group) MaxInstances() int {
	if !g.Source.Weighted() {
		return g.MaxSize - g.Overdue
	}
	return len(g.Counted()) + max(0, g.MaxSize-g.CountedCapacity())/g.Source.MinWeight() - g.Overdue
}

// MinInstances is the least number of instances by the weights: the minimum size must remain if the heaviest go, or be reached. An instance goes
// either with the capacity that AWS keeps beyond the desired one or with the desired one, as Terminate does it.
func (g *Group) MinInstances() int {
	if !g.Source.Weighted() {
		return g.MinSize
	}
	spare := max(0, g.Covered()-g.Overdue*g.Source.MinWeight()-g.MinSize) / g.heaviest()
	spare += max(0, min(g.Kept(), g.Reached()-g.MinSize)) / g.heaviest()
	return max(0, g.TargetInstances()-spare) + g.InstancesFor(g.MinSize-g.Reached())
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

func (g *Group) CountedCapacity() int {
	return g.CapacityOf(func(i *Instance) bool { return i.Lifecycle.Counts() })
}

func (g *Group) CapacityOf(counts func(*Instance) bool) int {
	capacity := 0
	for at := range g.Instances {
		if i := &g.Instances[at]; counts(i) {
			capacity += i.Weight
		}
	}
	return capacity
}

func (g *Group) Instance(id string) *Instance {
	if at := slices.IndexFunc(g.Instances, func(i Instance) bool { return i.ID == id }); at >= 0 {
		return &g.Instances[at]
	}
	return nil
}

// InMotion reports whether the group is expected to look different in a moment.
func (g *Group) InMotion() bool {
	return g.Missing() > 0 || g.StatedCapacity != g.DesiredCapacity || slices.ContainsFunc(g.Instances, func(i Instance) bool {
		return i.Lifecycle != "InService" && i.Lifecycle != "Standby" && !i.Lifecycle.Retained()
	})
}

// SameMotion reports whether two readings agree in everything that moves. AWS promises no order of the instances.
func (g *Group) SameMotion(o *Group) bool {
	return g.DesiredCapacity == o.DesiredCapacity && (g.Failure == nil) == (o.Failure == nil) &&
		(slices.Equal(g.Instances, o.Instances) || slices.Equal(g.byID(), o.byID()))
}

func (g *Group) byID() []Instance {
	return slices.SortedFunc(slices.Values(g.Instances), func(a, b Instance) int { return cmp.Compare(a.ID, b.ID) })
}

// accepted returns the group without the increases that AWS has not accepted.
func (g *Group) accepted() *Group {
	if g.Booked == 0 && len(g.Failed) == 0 {
		return g
	}
	a := *g
	a.DesiredCapacity -= g.BookedCapacity()
	a.Booked, a.Failed, a.BookedIn = 0, nil, nil
	return &a
}

func (g *Group) FailedInstances() int {
	failed := 0
	for _, f := range g.Failed {
		failed += f.Instances
	}
	return failed
}

// BookedCapacity is the capacity that AWS has not accepted.
func (g *Group) BookedCapacity() int { return (g.Booked + g.FailedInstances()) * g.Source.MinWeight() }

// InstancesFor returns the number of instances of the least weight that bring the capacity.
func (g *Group) InstancesFor(capacity int) int {
	least := g.Source.MinWeight()
	return max(0, capacity+least-1) / least
}

func (g *Group) Room() int { return (g.MaxSize - g.Reached()) / g.Source.MinWeight() }

// Excess is the capacity that AWS is about to terminate, or holds while it moves instances.
func (g *Group) Excess() int { return max(0, g.CountedCapacity()-g.Reached()) }

// Reached is the desired capacity, or the capacity beyond it that AWS does not end. AWS launches nothing until the desired capacity exceeds it.
func (g *Group) Reached() int { return g.Covered() + g.Kept() }

// Held is the desired capacity with the capacity that AWS keeps beyond it. A raise that covers just this does not change it.
func (g *Group) Held() int {
	if g.Kept() > 0 {
		return g.Reached()
	}
	return g.DesiredCapacity
}

// Kept is the capacity that remains only because instances are protected from scale-in, as none is before it is in service, after somebody lowered
// the desired capacity. It is 0 where AWS may be moving instances and end some soon, and in a zone group, whose desired capacity has it.
func (g *Group) Kept() int {
	if g.Zone != "" || g.Operation.Text != "" || g.CapacityRebalance || g.Maintenance.MaxHealthyPercent > 100 {
		return 0
	}
	return max(0, g.Protected()-g.Covered())
}

// Protected is the capacity that AWS ends for no lower size of the group.
func (g *Group) Protected() int {
	return g.CapacityOf(func(i *Instance) bool { return i.Protected && i.Lifecycle.Counts() && !i.Lifecycle.Starting() })
}

// Covered is the desired capacity, or more if a heavy instance has brought more: up to a part of the heaviest one, and up to AWS's maximum size.
func (g *Group) Covered() int {
	return max(g.DesiredCapacity, min(g.CountedCapacity(), g.DesiredCapacity+g.heaviest()-1, max(g.MaxSize, g.AWSMax)))
}

// EndedSince is the capacity of the departing instances that were present, or not yet there, before.
func (g *Group) EndedSince(before *Group) int {
	return g.CapacityOf(func(i *Instance) bool { return i.endedSince(before) })
}

func (i *Instance) endedSince(before *Group) bool {
	was := before.Instance(i.ID)
	return i.Lifecycle.Leaving() && (was == nil || !was.Lifecycle.Leaving())
}

// LeftUncounted reports whether the instance does not count and is not in EndedSince: it has left the group, or was on its way out before.
func (g *Group) LeftUncounted(before *Group, id string) bool {
	i := g.Instance(id)
	return i == nil || !i.Lifecycle.Counts() && !i.endedSince(before)
}

// Lightest is the least weight of the counted instances. With weights, AWS launches up to one part of an instance too much, and keeps it.
func (g *Group) Lightest() int {
	counted := g.Counted()
	if len(counted) == 0 {
		return g.Source.MinWeight()
	}
	return slices.MinFunc(counted, func(a, b Instance) int { return cmp.Compare(a.Weight, b.Weight) }).Weight
}

// Shortfall returns the number of instances of the least weight that are still to come out of n, after launched.
func (g *Group) Shortfall(n int, launched []Instance) int {
	missing := n * g.Source.MinWeight()
	for _, i := range launched {
		missing -= i.Weight
	}
	return g.InstancesFor(missing)
}

// NewSince returns the counted instances that were not there before, in the zone if one is named, but none that only replace others.
func (g *Group) NewSince(before *Group, zone string) []Instance {
	var come []Instance
	grown := g.DesiredCapacity - before.DesiredCapacity
	for _, i := range g.Counted() {
		if grown > 0 && before.Instance(i.ID) == nil && (zone == "" || i.Zone == zone) {
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

// NotBegun returns the number of missing instances that AWS has not begun to launch, of which it has begun some. Each of these counts at the
// greatest weight.
func (g *Group) NotBegun(begun int) int {
	if g.Source.CountsHardware() {
		return 0 // nobody knows how much they bring
	}
	left := g.DesiredCapacity - g.CountedCapacity() - begun*g.Source.MaxWeight()
	return max(0, left) / g.Source.MinWeight()
}
