package group

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
)

// lifecycles are all states that an instance of a group can be in.
var lifecycles = []Lifecycle{"Pending", "Pending:Wait", "Pending:Proceed", "Quarantined", "InService", "EnteringStandby", "Standby", "Detaching",
	"Detached", "Terminating", "Terminating:Wait", "Terminating:Proceed", "Terminated"}

// anyGroup is a group as chance has it: with weights or without, instances in zones that it has left, more or fewer of them
// than desired, and limits that may be narrower than what is there.
func anyGroup(r *rand.Rand) *Group {
	g := &Group{Name: "g", Zones: []string{"c", "a", "b", "d"}[:1+r.IntN(4)]}
	weights := []int{1}
	if r.IntN(2) == 0 {
		weights = []int{1 + r.IntN(3), 1 + r.IntN(6), 2 + r.IntN(8)}
		for _, w := range weights {
			g.Source.Overrides = append(g.Source.Overrides, launchspec.Override{InstanceType: fmt.Sprint("t", w), Weight: w})
		}
	}
	zones := append([]string{"y", "x"}[:r.IntN(3)], g.Zones...)
	mostly := lifecycles[r.IntN(len(lifecycles))]
	for n := range r.IntN(20) {
		i := Instance{ID: fmt.Sprintf("i-%02d", n), Zone: zones[r.IntN(len(zones))], Lifecycle: "InService", Weight: weights[r.IntN(len(weights))], Protected: r.IntN(4) > 0}
		if r.IntN(3) == 0 {
			i.Lifecycle = mostly
		} else if r.IntN(3) == 0 {
			i.Lifecycle = lifecycles[r.IntN(len(lifecycles))]
		}
		g.Instances = append(g.Instances, i)
	}
	g.DesiredCapacity = max(0, g.CountedCapacity()-4+r.IntN(16))
	g.MinSize = r.IntN(g.DesiredCapacity + 5)
	g.MaxSize = g.MinSize + r.IntN(30)
	if r.IntN(3) > 0 {
		g.MaxSize = max(g.MaxSize, g.DesiredCapacity)
	}
	g.Requested = r.IntN(g.Missing() + 1)
	g.WithdrawalFailed = r.IntN(8) == 0
	g.OthersWant = r.IntN(2) * r.IntN(g.DesiredCapacity+1)
	if r.IntN(2) == 0 { // as markOverdue has it
		g.Overdue = max(0, min(g.Missing(), (g.DesiredCapacity-g.MinSize)/g.Source.MinWeight())-g.Withdrawable())
	}
	return g
}

// limit gives some zones of the group limits of their own.
func limit(g *Group, r *rand.Rand) {
	g.ZoneLimits = map[string]Named{}
	for _, zone := range append([]string{"x"}, g.Zones...) {
		if least := r.IntN(4); r.IntN(2) == 0 {
			g.ZoneLimits[zone] = Named{Name: "g/" + zone, MinSize: least, MaxSize: least + r.IntN(10)}
		}
	}
}

// total adds up what each of the views has.
func total(views []*Group, of func(*Group) int) int {
	sum := 0
	for _, v := range views {
		sum += of(v)
	}
	return sum
}

// placeholders are how many missing instances the core is shown.
func placeholders(g *Group) int { return max(0, g.TargetInstances()-len(g.Counted())) }

// removable is the capacity of the heaviest instances that the core may take from a node group by its minimum.
func removable(g *Group) int {
	var weights []int
	for _, i := range g.Counted() {
		weights = append(weights, i.Weight)
	}
	slices.Sort(weights)
	capacity := 0
	for n := range max(0, g.TargetInstances()-g.MinInstances()) {
		if n < len(weights) {
			capacity += weights[len(weights)-1-n]
		} else {
			capacity += g.Source.MinWeight() // one that is missing
		}
	}
	return capacity
}

// dealt is the maximum size of each view, by zone, if left is dealt out one instance at a time: to the view that has least, the
// first of equals, and to none beyond its most.
func dealt(views []*Group, left int) map[string]int {
	sizes := map[string]int{}
	for _, v := range views {
		sizes[v.Zone] = v.DesiredCapacity
	}
	for weight := views[0].Source.MinWeight(); left >= weight; left -= weight {
		var lowest *Group
		for _, v := range views {
			if sizes[v.Zone]+weight <= v.most && (lowest == nil || sizes[v.Zone] < sizes[lowest.Zone]) {
				lowest = v
			}
		}
		if lowest == nil {
			break
		}
		sizes[lowest.Zone] += weight
	}
	return sizes
}

// wrong is what must hold of every group's views and does not hold of these.
func wrong(g *Group, views []*Group) (found []string) {
	must := func(holds bool, format string, args ...any) {
		if !holds {
			found = append(found, fmt.Sprintf(format, args...))
		}
	}
	same := func(what string, of func(*Group) int) {
		must(total(views, of) == of(g), "%s: %d over all views, %d in the group", what, total(views, of), of(g))
	}
	same("target", (*Group).TargetInstances)
	same("missing", (*Group).Missing)
	same("overdue", func(g *Group) int { return g.Overdue })
	same("placeholders", placeholders)
	most := max(g.MaxInstances(), g.TargetInstances())
	if g.ZoneLimits == nil {
		same("withdrawable", (*Group).Withdrawable)
		must(total(views, (*Group).MaxInstances) == most, "maximum: %d over all views, %d in the group", total(views, (*Group).MaxInstances), most)
	} else {
		must(total(views, (*Group).Withdrawable) <= g.Withdrawable(), "withdrawable: %d over all views, %d in the group", total(views, (*Group).Withdrawable), g.Withdrawable())
		must(total(views, (*Group).MaxInstances) <= most, "maximum: %d over all views, %d in the group", total(views, (*Group).MaxInstances), most)
	}
	if !g.Source.Weighted() && g.ZoneLimits == nil {
		size := func(v *Group) int { return v.MaxSize }
		must(total(views, size) == max(g.MaxSize, g.Reached()), "maximum size: %d over all views, %d in the group of %d", total(views, size), g.MaxSize, g.DesiredCapacity)
	}
	if least := func(v *Group) int { return v.MinSize }; !g.Source.Weighted() && g.ZoneLimits == nil && g.MinSize >= g.Reached() && g.MaxSize >= g.MinSize {
		same("minimum that is not reached", least)
	}
	left := g.MaxSize - total(views, func(v *Group) int { return v.DesiredCapacity })
	byTurns := dealt(views, left)
	var instances []Instance
	for at, v := range views {
		must(v.Zone != "" && slices.Equal(v.Zones, []string{v.Zone}) && v.ID() == "g/"+v.Zone, "view of %q in %v is named %q", v.Zone, v.Zones, v.ID())
		must(slices.IndexFunc(views, func(o *Group) bool { return o.Zone == v.Zone }) == at, "two views of %s", v.Zone)
		must(g.Reached()-removable(v) >= min(g.MinSize, g.Reached()), "%s: taking %d brings the group of %d below its minimum of %d", v.ID(), removable(v), g.Reached(), g.MinSize)
		must(v.MinSize <= max(v.DesiredCapacity, v.most), "%s: minimum %d of %d, and never more than %d", v.ID(), v.MinSize, v.DesiredCapacity, v.most)
		instances = append(instances, v.Instances...)
		for _, i := range v.Instances {
			must(i.Zone == v.Zone, "%s has %s of %s", v.ID(), i.ID, i.Zone)
		}
		limited, isLimited := g.ZoneLimits[v.Zone]
		share := byTurns[v.Zone]
		if isLimited {
			share = min(share, limited.MaxSize)
		}
		must(v.MaxSize == share, "%s: maximum size %d, dealt by turns %d", v.ID(), v.MaxSize, share)
		most := v.DesiredCapacity
		if slices.Contains(g.Zones, v.Zone) {
			most += max(0, left)
			if isLimited {
				most = min(most, limited.MaxSize)
			}
		}
		alone := *v
		alone.MaxSize = most
		must(v.MostInstances() == alone.MaxInstances(), "%s: at most %d instances with all that is left, want %d", v.ID(), v.MostInstances(), alone.MaxInstances())
	}
	byID := func(a, b Instance) int { return strings.Compare(a.ID, b.ID) }
	slices.SortFunc(instances, byID)
	must(slices.Equal(instances, slices.SortedFunc(slices.Values(g.Instances), byID)), "instances are lost, or in two views: %v", instances)
	return found
}

func TestZoneGroupsAddUpToGroup(t *testing.T) {
	seen := map[string]int{}
	for seed := range uint64(20_000) {
		r := rand.New(rand.NewPCG(seed, 7))
		g := anyGroup(r)
		if r.IntN(4) == 0 {
			limit(g, r)
		}
		for what, is := range map[string]bool{"weights": g.Source.Weighted(), "excess": g.Excess() > 0, "withdrawable": g.Withdrawable() > 0,
			"overdue": g.Overdue > 0, "narrowed": g.MaxSize < g.DesiredCapacity, "kept": g.Kept() > 0, "below the minimum": g.DesiredCapacity < g.MinSize,
			"zone limits": len(g.ZoneLimits) > 0, "withdrawable and overdue": g.Withdrawable() > 0 && g.Overdue > 0} {
			if is {
				seen[what]++
			}
		}
		before := *g
		before.Instances, before.Zones = slices.Clone(g.Instances), slices.Clone(g.Zones)
		views := g.ByZone()
		for _, w := range wrong(g, views) {
			t.Errorf("seed %d: %s", seed, w)
		}
		if !reflect.DeepEqual(&before, g) {
			t.Errorf("seed %d: the group itself was changed:\n%s", seed, cmp.Diff(&before, g, inside))
		}
		if again := g.ByZone(); !reflect.DeepEqual(views, again) {
			t.Errorf("seed %d: divided again, it gives other views:\n%s", seed, cmp.Diff(views, again, inside))
		}
		if t.Failed() {
			t.Fatalf("group %+v", g)
		}
	}
	assert.Len(t, seen, 9, "chance made too little of")
	for what, count := range seen {
		assert.Truef(t, count >= 100, "chance made but %d groups with: %s", count, what)
	}
}

// inside has cmp look into groups.
var inside = cmp.AllowUnexported(Group{})

func TestRestIsDealtAmongNamedZones(t *testing.T) {
	for seed := range uint64(5_000) {
		r := rand.New(rand.NewPCG(seed, 8))
		g := anyGroup(r)
		if r.IntN(4) == 0 {
			limit(g, r)
		}
		all := g.ByZone()
		var among []string
		for _, zone := range g.Zones {
			if r.IntN(2) == 0 {
				among = append(among, zone)
			}
		}
		if len(among) == 0 {
			continue
		}
		rooms := 0
		for at, v := range g.ByZone(among...) {
			if got := v.MaxSize > v.DesiredCapacity; got && !slices.Contains(among, v.Zone) {
				t.Errorf("seed %d: %s may grow to %d from %d, and is not among %v", seed, v.ID(), v.MaxSize, v.DesiredCapacity, among)
			}
			if v.TargetInstances() != all[at].TargetInstances() || v.MostInstances() != all[at].MostInstances() || v.MinInstances() != all[at].MinInstances() {
				t.Errorf("seed %d: %s is another among %v: %+v and %+v", seed, v.ID(), among, v, all[at])
			}
			if slices.Contains(among, v.Zone) && v.MaxSize < all[at].MaxSize {
				t.Errorf("seed %d: %s gets less among %v than among all: %d and %d", seed, v.ID(), among, v.MaxSize, all[at].MaxSize)
			}
			rooms += max(0, v.MaxInstances()-v.TargetInstances())
		}
		left := max(0, g.MaxInstances()-g.TargetInstances())
		if rooms > left || g.ZoneLimits == nil && rooms != left {
			t.Errorf("seed %d: room for %d among %v, %d in the group", seed, rooms, among, left)
		}
		if t.Failed() {
			t.Fatalf("group %+v", g)
		}
	}
}

func TestReadingWithoutZonesDividesByInstances(t *testing.T) {
	g := &Group{Name: "g", DesiredCapacity: 5, MaxSize: 9, MinSize: 7, Instances: []Instance{{ID: "i-1", Zone: "a", Lifecycle: "InService", Weight: 1}}}
	views := g.ByZone()
	assert.Truef(t, len(views) == 1 && len(views[0].Instances) == 1 && views[0].MostInstances() == 1,
		"views %+v, want one, of the instance, that cannot grow", views)
	g.Instances = nil
	assert.Empty(t, g.ByZone(), "views of a group without zones and instances, want none")
}

func TestStatesThatDoNotLastAreMotion(t *testing.T) {
	for state, want := range map[Lifecycle]bool{"InService": false, "Standby": false, "Terminating:Retained": false,
		"Pending": true, "Terminating:Wait": true, "ReplacingRootVolume:Wait": true} {
		g := &Group{Instances: []Instance{{ID: "i-1", Lifecycle: state, Weight: 1}}}
		g.DesiredCapacity = g.CountedCapacity()
		g.StatedCapacity = g.DesiredCapacity
		assert.Equalf(t, want, g.InMotion(), "a group with an instance in state %s is in motion", state)
	}
}

// The group counts 2 or 3 for an instance, or its hardware. Nobody knows which one AWS is launching.
func TestBegunLaunchMayBringTheGreatestWeight(t *testing.T) {
	g := &Group{DesiredCapacity: 8, Instances: []Instance{{ID: "i-1", Lifecycle: "InService", Weight: 1}},
		Source: launchspec.Source{Overrides: []launchspec.Override{{Weight: 2}, {Weight: 3}}}}
	assert.Equal(t, 2, g.NotBegun(1), "instances of weight 2 in what is left of 7 beside one of weight 3")
	g.Source.CapacityUnit = "vcpu"
	assert.Equal(t, 0, g.NotBegun(1), "instances beside one of an unknown number of vCPUs")
}
