package chaos

import (
	"slices"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// Zonal plans have an account of their own. Its groups of several zones are wholly on-demand or wholly spot, with AZRebalance
// suspended, so all of them can be scaled zone by zone. Half of the plans take the permission and whole zones away, too.

const (
	zoneC = "cn-northwest-1c"

	zonalTag  = "asg-autoscaler.github.io/zonal"
	rebalance = "AZRebalance"

	dbPool = "db" // of the pods that need a zone
)

var zones = []string{zoneA, zoneB, zoneC}

// zonalGroups are the groups of zonal plans. The minimum of web-od, and the maximum of the db groups, hold over all their zones
// together. The pods of a plan want more than they allow at times, and at its end.
func zonalGroups() []fakeaws.AutoScalingGroup {
	divided := func(name, pool string, g fakeaws.AutoScalingGroup) fakeaws.AutoScalingGroup {
		g.SuspendedProcesses = []string{rebalance}
		if g.Zones == nil {
			g.Zones = zones
		}
		return group(name, pool, g)
	}
	spot := func(template string, types ...string) *fakeaws.MixedInstancesPolicy {
		policy := &fakeaws.MixedInstancesPolicy{LaunchTemplate: fakeaws.LaunchTemplateRef{Name: template}, Distribution: spotAlone()}
		for _, name := range types {
			policy.Overrides = append(policy.Overrides, fakeaws.Override{InstanceType: name})
		}
		return policy
	}
	web, gpu := &fakeaws.LaunchTemplateRef{Name: "web"}, &fakeaws.LaunchTemplateRef{Name: "gpu"}
	return []fakeaws.AutoScalingGroup{
		divided("web-od", webPods, fakeaws.AutoScalingGroup{Min: 2, Max: 10, Desired: 2, LaunchTemplate: web}),
		divided("web-spot", webPods, fakeaws.AutoScalingGroup{Max: 8, MixedInstancesPolicy: spot("web", "m5.large", "m5a.large", "m4.large")}),
		group("web-a", webPods, fakeaws.AutoScalingGroup{Max: 8, Zones: []string{zoneA}, LaunchTemplate: web}),
		divided("db-od", dbPool, fakeaws.AutoScalingGroup{Min: 1, Max: mostOfDB, Desired: 1, LaunchTemplate: web}),
		divided("db-spot", dbPool, fakeaws.AutoScalingGroup{Max: mostOfDB, MixedInstancesPolicy: spot("web", "m5.large", "m5a.large", "m4.large")}),
		divided("gpu-spot", gpuPods, fakeaws.AutoScalingGroup{Max: 4, Zones: []string{zoneA, zoneB}, MixedInstancesPolicy: spot("gpu", "g4dn.xlarge", "g4dn.2xlarge")}),
		group("gpu-od", gpuPods, fakeaws.AutoScalingGroup{Max: 4, Zones: []string{zoneB}, LaunchTemplate: gpu}),
	}
}

// mostOfDB is the maximum size of each db group: the pods that need a zone take that in the end, each a node of its own.
const mostOfDB = mostDisks + mostPinned

// dividedNames are the groups that are scaled zone by zone.
func dividedNames() []string {
	var names []string
	for _, g := range zonalGroups() {
		if divided(g) {
			names = append(names, g.Name)
		}
	}
	return names
}

func divided(g fakeaws.AutoScalingGroup) bool { return len(g.Zones) > 1 }

// Each of zonalShortages leaves every workload, in every zone that its pods need, a group with capacity.
var zonalShortages = []fakeaws.Shortage{
	{CapacityType: "spot"},
	{CapacityType: "spot", Zone: zoneA},
	{CapacityType: "spot", Zone: zoneB},
	{CapacityType: "spot", Zone: zoneC},
	{InstanceType: "m5.large"},
	{InstanceType: "m5.large", Zone: zoneC},
	{InstanceType: "g4dn.xlarge"},
}

// Final numbers of the pods that need a zone, at most. Before, there are up to as many as there are volumes.
const (
	mostDisks  = 4
	mostPinned = 2
)

// zonal draws the extra steps of zonal plans: pods that need a zone, and obstacles to scaling groups zone by zone.
func (d *draft) zonal() []Step {
	steps := []Step{{Kind: Pods, Target: diskPods, Count: 1 + d.IntN(mostDisks)}}
	for range 2 + d.IntN(3) {
		s := Step{At: d.seconds(0.5, Length.Seconds()-4), Kind: Pods, Target: pick(d.Rand, []string{diskPods, pinnedPods, evenPods})}
		s.Count = d.IntN(volumes + 1)
		steps = append(steps, s)
	}
	for _, last := range []Step{{Target: diskPods, Count: mostDisks}, {Target: pinnedPods, Count: mostPinned}, {Target: evenPods, Count: 5}} {
		steps = append(steps, Step{At: Length - d.seconds(0.2, 3), Kind: Pods, Target: last.Target, Count: 1 + d.IntN(last.Count)})
	}
	kinds := []func() Step{d.rebalancing, d.zonalTag}
	if d.IntN(2) == 0 {
		memorable := []func() Step{d.launchRefused, d.zoneOut}
		steps = append(steps, d.placed(pick(d.Rand, memorable)()))
		kinds = append(kinds, memorable...)
	}
	for range 2 + d.IntN(3) {
		steps = append(steps, d.placed(pick(d.Rand, kinds)()))
	}
	return steps
}

func (d *draft) launchRefused() Step {
	return Step{Kind: LaunchRefused, For: d.seconds(1, 6), Fault: &fakeaws.Fault{Action: launchAction, Code: accessDenied}}
}

func (d *draft) zoneOut() Step {
	return Step{Kind: ZoneOut, For: d.seconds(2, 8), Shortage: &fakeaws.Shortage{Zone: pick(d.Rand, zones)}}
}

func (d *draft) rebalancing() Step {
	return Step{Kind: Rebalancing, For: d.seconds(1, 6), Target: pick(d.Rand, dividedNames())}
}

func (d *draft) zonalTag() Step {
	no, wrong := "false", "perhaps"
	return Step{Kind: ZonalTag, For: d.seconds(1, 6), Target: pick(d.Rand, dividedNames()),
		Tags: map[string]*string{zonalTag: pick(d.Rand, []*string{&no, &no, &wrong})}}
}

const (
	accessDenied = "AccessDenied"
	launchAction = "LaunchInstances"
)

// refused reports whether the autoscaler saw in the plan that LaunchInstances is denied, or alone not answered, which it remembers for up
// to a quarter of an hour. A person who gives the permission back restarts the autoscaler, and the end of such a plan does the same.
func (p Plan) refused() bool {
	return p.Zonal && slices.ContainsFunc(p.Steps, func(s Step) bool {
		f := s.Fault
		return f != nil && (f.Action == launchAction && f.Code != "Throttling" || f.Action == "" && f.Code == accessDenied)
	})
}

// zoneOut reports whether a zone that pods need had no capacity at all, which the autoscaler remembers for minutes.
func (p Plan) zoneOut() bool {
	return p.Zonal && slices.ContainsFunc(p.Steps, func(s Step) bool { return s.Kind == ZoneOut })
}

// startsAnew reports whether the replicas are started anew once the faults are over. After a zone without capacity, every
// second plan waits until that is forgotten.
func (p Plan) startsAnew() bool { return p.refused() || p.zoneOut() && p.Seed/4%2 == 0 }
