package nodegroups

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodegroupset"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/cooldown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// infos are the NodeInfos of all node groups, by their templates.
func infos(w *awsworld.World) map[string]*framework.NodeInfo {
	w.T.Helper()
	infos := map[string]*framework.NodeInfo{}
	for _, ng := range w.NodeGroups() {
		info, err := ng.TemplateNodeInfo()
		require.NoError(w.T, err)
		infos[ng.Id()] = named(info, ng.Id())
	}
	return infos
}

// balancing is a Balancing over the core's own processor.
func balancing(w *awsworld.World, viewsOnly bool) *Balancing {
	similar := NewSimilar(w.Provider, nodegroupset.CreateAwsNodeInfoComparator([]string{nodemeta.ZoneAssumed}, config.NewDefaultNodeGroupDifferenceRatios()))
	return &Balancing{NodeGroupSetProcessor: &nodegroupset.BalancingNodeGroupSetProcessor{Comparator: similar}, Provider: w.Provider, ZoneGroupsOnly: viewsOnly}
}

// candidates are the node groups as they are weighed for a scale-up, by ID.
func candidates(w *awsworld.World) map[string]cloudprovider.NodeGroup {
	w.T.Helper()
	able, _, err := (&Launchable{Provider: w.Provider}).Process(nil, w.NodeGroups(), infos(w), nil)
	require.NoError(w.T, err)
	byID := map[string]cloudprovider.NodeGroup{}
	for _, ng := range able {
		byID[ng.Id()] = ng
	}
	return byID
}

// similar are the node groups that may grow in place of this one, by ID.
func similarTo(w *awsworld.World, id string, viewsOnly bool) map[string]cloudprovider.NodeGroup {
	w.T.Helper()
	found, err := balancing(w, viewsOnly).FindSimilarNodeGroups(&cacontext.AutoscalingContext{CloudProvider: w.Provider}, candidates(w)[id], infos(w))
	if err != nil {
		w.T.Fatal(err)
	}
	byID := map[string]cloudprovider.NodeGroup{}
	for _, ng := range found {
		assert.Truef(w.T, byID[ng.Id()] == nil, "%s is similar to %s twice", ng.Id(), id)
		byID[ng.Id()] = ng
	}
	return byID
}

// balanced is how many new nodes each of the node groups gets.
func balanced(w *awsworld.World, newNodes int, groups ...cloudprovider.NodeGroup) map[string]int {
	w.T.Helper()
	infos, err := balancing(w, true).BalanceScaleUpBetweenGroups(nil, groups, newNodes)
	if err != nil {
		w.T.Fatal(err)
	}
	more := map[string]int{}
	for _, info := range infos {
		_, isBare := info.Group.(*aws.NodeGroup)
		assert.Truef(w.T, isBare, "%s is to grow as a %T", info.Group.Id(), info.Group)
		if info.NewSize > info.MaxSize || info.CurrentSize != w.Target(info.Group.Id()) {
			w.T.Errorf("%s is to grow from %d to %d of %d", info.Group.Id(), info.CurrentSize, info.NewSize, info.MaxSize)
		}
		more[info.Group.Id()] = info.NewSize - info.CurrentSize
	}
	return more
}

func TestCandidateMayTakeTheGroupsWholeRest(t *testing.T) {
	w := awsworld.NewDivided(t, nil, awsworld.Divided("a", "m5.large", 0, 4, 9), awsworld.Divided("full", "m5.large", 0, 3, 3), awsworld.Group("b", "m5.large", 0, 1, 5, nil))
	got := map[string]int{}
	for id, ng := range candidates(w) {
		got[id] = ng.MaxSize()
		size, err := ng.TargetSize()
		assert.Truef(t, err == nil && size == w.Target(id), "%s is weighed with a target of %d, %v, want %d", id, size, err, w.Target(id))
	}
	want := map[string]int{"a/" + awsworld.ZoneA: 2 + 5, "a/" + awsworld.ZoneB: 1 + 5, "a/" + awsworld.ZoneC: 1 + 5, "full/" + awsworld.ZoneA: 1, "full/" + awsworld.ZoneB: 1, "full/" + awsworld.ZoneC: 1, "b": 5}
	assert.Empty(t, cmp.Diff(want, got), "maximum sizes (-want +got)")
	_, same := candidates(w)["b"].(*aws.NodeGroup)
	assert.True(t, same, "a group that is not divided is weighed as something else")
	zoneC := candidates(w)["a/"+awsworld.ZoneC]
	require.NoError(t, errors.Join(zoneC.IncreaseSize(5), w.Outcome(zoneC)))
	assert.Empty(t, cmp.Diff(map[string]int{awsworld.ZoneA: 2, awsworld.ZoneB: 1, awsworld.ZoneC: 6}, w.PerZone("a")), "instances by zone (-want +got)")
}

func TestCoolingZoneIsNoCandidate(t *testing.T) {
	w := awsworld.NewDivided(t, nil, awsworld.Divided("a", "m5.large", 0, 0, 9))
	w.AWS.AddShortage(fakeaws.Shortage{Zone: awsworld.ZoneB})
	cooling := func(id string) bool { _, is := w.CoolDown(w.View().Group(id)); return is }
	assert.False(t, cooling("a/"+awsworld.ZoneB), "a view rests before anything failed")
	require.Error(t, w.Grow("a/"+awsworld.ZoneB, 1), "launched where there is no capacity")
	for id, want := range map[string]bool{"a/" + awsworld.ZoneA: false, "a/" + awsworld.ZoneB: true, "a/" + awsworld.ZoneC: false} {
		assert.Equalf(t, want, cooling(id), "%s rests", id)
	}
	candidates := candidates(w)
	assert.Truef(t, len(candidates) == 2 && candidates["a/"+awsworld.ZoneB] == nil, "weighed are %v, want a and c", candidates)
	why, trouble := w.RecentFailure("a/" + awsworld.ZoneB)
	assert.Truef(t, trouble, "%q: the view without capacity has no trouble", why)
	why, trouble = w.RecentFailure("a/" + awsworld.ZoneC)
	assert.Falsef(t, trouble, "a view has the trouble of another: %s", why)
}

func TestSiblingsOfZoneGroupAreSimilar(t *testing.T) {
	w := awsworld.NewDivided(t, nil, awsworld.Divided("a", "m5.large", 0, 4, 9), awsworld.Divided("other", "m5.large", 0, 0, 9), awsworld.Group("b", "m5.large", 0, 0, 5, nil),
		awsworld.Zoned(awsworld.Group("whole", "m5.large", 0, 0, 5, nil), "abc"), awsworld.Divided("gpu", "g4dn.xlarge", 0, 0, 9))
	for _, tt := range []struct {
		id        string
		viewsOnly bool
		want      []string
	}{
		{"a/" + awsworld.ZoneB, true, []string{"a/" + awsworld.ZoneA, "a/" + awsworld.ZoneC}},
		{"a/" + awsworld.ZoneB, false, []string{"a/" + awsworld.ZoneA, "a/" + awsworld.ZoneC, "b", "other/" + awsworld.ZoneA, "other/" + awsworld.ZoneB, "other/" + awsworld.ZoneC, "whole"}},
		{"gpu/" + awsworld.ZoneA, false, []string{"gpu/" + awsworld.ZoneB, "gpu/" + awsworld.ZoneC}},
		{"b", true, nil},
		{"whole", true, nil},
		{"b", false, []string{"a/" + awsworld.ZoneA, "a/" + awsworld.ZoneB, "a/" + awsworld.ZoneC, "other/" + awsworld.ZoneA, "other/" + awsworld.ZoneB, "other/" + awsworld.ZoneC, "whole"}},
	} {
		t.Run(fmt.Sprintf("%s viewsOnly=%t", tt.id, tt.viewsOnly), func(t *testing.T) {
			found := similarTo(w, tt.id, tt.viewsOnly)
			var ids []string
			for id := range found {
				ids = append(ids, id)
			}
			slices.Sort(ids)
			assert.Empty(t, cmp.Diff(tt.want, ids), "similar node groups (-want +got)")
			if view := zoneGroup(w.NodeGroup(tt.id)); view != nil {
				for id, ng := range found {
					if v := zoneGroup(ng); v != nil && v.AutoScalingGroup() == view.AutoScalingGroup() && ng.MaxSize() != w.Target(id) {
						t.Errorf("%s counts for %d more of what is left, as the view does that is weighed", id, ng.MaxSize()-w.Target(id))
					}
				}
			}
		})
	}
	infos := infos(w)
	delete(infos, "a/"+awsworld.ZoneC)
	found, err := balancing(w, true).FindSimilarNodeGroups(&cacontext.AutoscalingContext{CloudProvider: w.Provider}, w.NodeGroup("a/"+awsworld.ZoneA), infos)
	assert.Truef(t, err == nil && len(found) == 1 && found[0].Id() == "a/"+awsworld.ZoneB,
		"similar are %v, %v, want the sibling alone of which a NodeInfo could be made", found, err)
}

func TestAllOrNothingIsNotSpread(t *testing.T) {
	w := awsworld.NewDivided(t, nil, awsworld.Divided("a", "m5.large", 0, 0, 9), awsworld.Group("b", "m5.large", 0, 0, 9, nil))
	for _, tt := range []struct {
		atomic, viewsOnly bool
		want              int
	}{{false, true, 2}, {true, true, 0}, {false, false, 3}, {true, false, 0}} {
		ctx := &cacontext.AutoscalingContext{CloudProvider: w.Provider, ProvisioningRequestScaleUpMode: tt.atomic}
		found, err := balancing(w, tt.viewsOnly).FindSimilarNodeGroups(ctx, w.NodeGroup("a/"+awsworld.ZoneA), infos(w))
		assert.Truef(t, err == nil && len(found) == tt.want, "%+v: similar are %v, %v", tt, found, err)
	}
}

// spot is the group with spot instances alone.
func spot(g fakeaws.AutoScalingGroup) fakeaws.AutoScalingGroup {
	none := 0
	g.MixedInstancesPolicy = &fakeaws.MixedInstancesPolicy{LaunchTemplate: *g.LaunchTemplate,
		Distribution: fakeaws.Distribution{OnDemandPercentageAboveBaseCapacity: &none}}
	g.LaunchTemplate = nil
	return g
}

func TestInterruptedGroupIsSimilarToInterruptedOnes(t *testing.T) {
	zone := func(letter string) fakeaws.AutoScalingGroup {
		return spot(awsworld.Zoned(awsworld.Group(letter, "m5.large", 0, 0, 9, nil), letter))
	}
	t.Run("zones of a group", func(t *testing.T) {
		w := awsworld.NewDivided(t, nil, spot(awsworld.Divided("a", "m5.large", 0, 0, 9)))
		similarAfterInterruptions(w, true, "a/"+awsworld.ZoneA, "a/"+awsworld.ZoneB, "a/"+awsworld.ZoneC)
	})
	t.Run("a group for each zone", func(t *testing.T) {
		similarAfterInterruptions(awsworld.New(t, nil, zone("a"), zone("b"), zone("c")), false, "a", "b", "c")
	})
}

// similarAfterInterruptions interrupts zone b, then zone c, and compares the node groups that are similar to those of the three zones.
func similarAfterInterruptions(w *awsworld.World, viewsOnly bool, a, b, c string) {
	w.T.Helper()
	for _, tt := range []struct {
		interrupts string
		want       map[string][]string
	}{
		{"", map[string][]string{a: {b, c}, b: {a, c}, c: {a, b}}},
		{awsworld.ZoneB, map[string][]string{a: {c}, b: {a, c}, c: {a}}},
		{awsworld.ZoneC, map[string][]string{a: nil, b: {a, c}, c: {a, b}}},
	} {
		w.Cache.Interrupted(cooldown.Pool{InstanceType: "m5.large", Zone: tt.interrupts}, "EC2 takes an instance back")
		for id, want := range tt.want {
			got := slices.Sorted(maps.Keys(similarTo(w, id, viewsOnly)))
			assert.Truef(w.T, slices.Equal(got, want), "after an interruption in %q, similar to %s are %v, want %v", tt.interrupts, id, got, want)
		}
	}
}

func TestOnDemandGroupTakesNoPlaceOfASpotGroup(t *testing.T) {
	mixed := spot(awsworld.Group("mixed", "m5.large", 0, 1, 9, nil)) // its next instances are spot ones
	mixed.MixedInstancesPolicy.Distribution.OnDemandBaseCapacity = 1
	w := awsworld.New(t, nil, spot(awsworld.Group("spot", "m5.large", 0, 0, 9, nil)), mixed, awsworld.Group("on-demand", "m5.large", 0, 0, 9, nil))
	for id, want := range map[string][]string{"spot": {"mixed"}, "mixed": {"spot"}, "on-demand": {"mixed", "spot"}} {
		got := slices.Sorted(maps.Keys(similarTo(w, id, false)))
		assert.Equalf(t, want, got, "similar to %s", id)
	}
}

func TestScaleUpIsSpreadWithinSharedMaximum(t *testing.T) {
	w := awsworld.NewDivided(t, nil, awsworld.Divided("even", "m5.large", 0, 0, 9), awsworld.Divided("tight", "m5.large", 0, 3, 5), awsworld.Divided("full", "m5.large", 0, 3, 3),
		awsworld.Divided("uneven", "m5.large", 0, 0, 20), awsworld.Group("plain", "m5.large", 0, 0, 4, nil))
	require.NoError(t, w.Grow("uneven/"+awsworld.ZoneB, 5))
	views := func(name, letters string) (ids []string) {
		for _, letter := range letters {
			ids = append(ids, name+"/cn-northwest-1"+string(letter))
		}
		return ids
	}
	for _, tt := range []struct {
		name     string
		groups   []string
		newNodes int
		want     []int // of each of the groups
		anyOrder bool  // which of equals is first, is the core's own affair
	}{
		{"evenly", views("even", "abc"), 6, []int{2, 2, 2}, false},
		{"as far as the group allows", views("even", "abc"), 100, []int{3, 3, 3}, false},
		{"all that is left to one", views("even", "b"), 100, []int{9}, false},
		{"all that is left to two", views("even", "ca"), 100, []int{5, 4}, true}, // by AWS's order of zones, a is dealt to first
		{"one", views("even", "abc"), 1, []int{1, 0, 0}, true},
		{"two left for three", views("tight", "abc"), 6, []int{1, 1, 0}, true},
		{"nothing left", views("full", "abc"), 6, []int{0, 0, 0}, false},
		{"those with fewer first", views("uneven", "abc"), 7, []int{4, 0, 3}, false},
		{"two groups", slices.Concat(views("even", "abc"), views("tight", "abc")), 100, []int{3, 3, 3, 1, 1, 0}, true},
		{"two groups mixed", []string{"tight/" + awsworld.ZoneA, "even/" + awsworld.ZoneA, "tight/" + awsworld.ZoneC, "even/" + awsworld.ZoneC}, 100, []int{1, 5, 1, 4}, true},
		{"and one that is not divided", append(views("even", "abc"), "plain"), 100, []int{3, 3, 3, 4}, false},
		{"and one that is not divided, evenly", append(views("even", "abc"), "plain"), 4, []int{1, 1, 1, 1}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var groups []cloudprovider.NodeGroup
			candidates := candidates(w)
			for at, id := range tt.groups { // the first as it is weighed, the others as similar ones
				if at == 0 {
					groups = append(groups, candidates[id])
				} else if v := similarTo(w, tt.groups[0], false)[id]; v != nil {
					groups = append(groups, v)
				} else {
					groups = append(groups, w.NodeGroup(id))
				}
			}
			more := balanced(w, tt.newNodes, groups...)
			var got []int
			for _, id := range tt.groups {
				got = append(got, more[id])
			}
			if tt.anyOrder {
				slices.Sort(got)
				slices.Sort(tt.want)
			}
			assert.Truef(t, slices.Equal(got, tt.want), "%v get %v, want %v", tt.groups, got, tt.want)
		})
	}
}

func TestNoSplitExceedsTheGroupsMaximum(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	var groups []fakeaws.AutoScalingGroup
	for n := range 12 {
		size := r.IntN(8)
		g := awsworld.Divided(fmt.Sprintf("g%02d", n), "m5.large", r.IntN(size+1), size, size+r.IntN(10))
		if n%3 == 2 {
			g = awsworld.Weighted(g.Name, g.Min, g.Desired)
			g = awsworld.Zoned(g, "abc")
			g.Tags[asg.TagZonal], g.SuspendedProcesses = "true", []string{"AZRebalance"}
		}
		groups = append(groups, g)
	}
	w := awsworld.NewDivided(t, nil, groups...)
	all := w.NodeGroups()
	require.Len(t, all, 36, "node groups")
	for range 500 {
		var some []cloudprovider.NodeGroup
		candidates := candidates(w)
		for _, at := range r.Perm(len(all))[:1+r.IntN(9)] {
			some = append(some, candidates[all[at].Id()])
		}
		asked := 1 + r.IntN(30)
		got, room := map[string]int{}, map[string]int{}
		for _, ng := range some {
			g := w.View().AutoScalingGroup(zoneGroup(ng).AutoScalingGroup())
			room[g.Name] = max(0, g.MaxInstances()-g.TargetInstances())
		}
		total, possible := 0, 0
		for id, more := range balanced(w, asked, some...) {
			got[w.GroupName(id)] += more
			total += more
		}
		for name, left := range room {
			possible += left
			require.Truef(t, got[name] <= left, "%s gets %d more, and has room for %d", name, got[name], left)
		}
		require.Truef(t, total == min(asked, possible), "%d of %d new nodes were dealt out, with room for %d", total, asked, possible)
	}
}

func TestZoneGroupOfRemovedZoneCannotGrow(t *testing.T) {
	w := awsworld.NewDivided(t, nil, awsworld.Divided("a", "m5.large", 0, 6, 12), awsworld.Zoned(awsworld.Group("other", "m5.large", 0, 0, 9, nil), "c"))
	require.NoError(t, w.AWS.EditGroup("a", fakeaws.GroupEdit{Zones: []string{awsworld.ZoneA, awsworld.ZoneB}}))
	w.Reread()
	able := candidates(w)
	for id, most := range map[string]int{"a/" + awsworld.ZoneA: 8, "a/" + awsworld.ZoneB: 8, "a/" + awsworld.ZoneC: 2} { // of 12, six are left
		if size, err := able[id].TargetSize(); size != 2 || err != nil || able[id].MaxSize() != most {
			t.Errorf("%s has %d nodes of at most %d, error %v, want 2 of %d", id, size, able[id].MaxSize(), err, most)
		}
	}
	if got := similarTo(w, "a/"+awsworld.ZoneA, true)["a/"+awsworld.ZoneC]; got != nil && got.MaxSize() > 2 {
		t.Errorf("the view of the zone may grow to %d in place of another", got.MaxSize())
	}
	got := balanced(w, 6, able["a/"+awsworld.ZoneA], able["a/"+awsworld.ZoneB], able["a/"+awsworld.ZoneC])
	assert.Equalf(t, 0, got["a/"+awsworld.ZoneC], "of 6 nodes %v are dealt to the zone", got)
	gone := w.NodeGroup("a/" + awsworld.ZoneC)
	assert.ErrorIs(t, gone.IncreaseSize(1), asg.ErrNotZonal, "an increase in the zone, want ErrNotZonal")
	assert.ErrorIs(t, gone.AtomicIncreaseSize(1), asg.ErrNotZonal, "all or nothing in the zone, want ErrNotZonal")
	assert.Empty(t, cmp.Diff(map[string]int{awsworld.ZoneA: 2, awsworld.ZoneB: 2, awsworld.ZoneC: 2}, w.PerZone("a")), "instances by zone (-want +got)")
}

// Run under the race detector: views that grow, shrink, are read, and are one group in between.
func TestZoneGroupsAreSafeForConcurrentUse(t *testing.T) {
	w := awsworld.NewDivided(t, nil, awsworld.Divided("a", "m5.large", 0, 6, 200))
	zoneGroups := map[string]cloudprovider.NodeGroup{}
	for _, ng := range w.NodeGroups() {
		zoneGroups[ng.Id()] = ng
	}
	var all sync.WaitGroup
	repeat := func(do func(i int)) {
		all.Go(func() {
			for i := range 20 {
				do(i)
			}
		})
	}
	failed := map[int]group.FailedIncrease{} // by ID: each shows in a loop
	look := func() {
		w.NextLoop()
		for _, f := range w.Cache.Snapshot().Group("a").Failed {
			failed[f.ID] = f
		}
	}
	repeat(func(i int) {
		if err := w.AWS.Resume("a", "AZRebalance"); i%5 == 1 && err != nil {
			t.Error(err)
		}
		assert.NoError(t, w.AWS.Suspend("a", "AZRebalance"))
		assert.NoError(t, w.Cache.Refresh(context.WithoutCancel(t.Context())))
		look()
	})
	var mu sync.Mutex
	launched := map[string]int{}
	for _, zone := range []string{awsworld.ZoneA, awsworld.ZoneB, awsworld.ZoneC} {
		ng := zoneGroups["a/"+zone]
		repeat(func(int) {
			switch err := ng.IncreaseSize(1); {
			case err == nil:
				mu.Lock()
				launched[zone]++
				mu.Unlock()
			case !errors.Is(err, asg.ErrNotZonal):
				t.Error(err)
			}
		})
	}
	repeat(func(int) {
		candidates := map[string]cloudprovider.NodeGroup{}
		for _, ng := range w.NodeGroups() {
			_, _ = ng.TargetSize()
			instances, _ := ng.Nodes()
			for _, i := range instances {
				_, _ = w.NodeGroupForNode(awsworld.Node(i.Id, i.Id))
			}
			_, _ = ng.TemplateNodeInfo()
			candidates[ng.Id()] = ng
		}
		for _, ng := range candidates {
			_, _ = balancing(w, true).BalanceScaleUpBetweenGroups(nil, []cloudprovider.NodeGroup{ng}, 3)
		}
	})
	all.Wait()
	require.NoError(t, w.AwaitIncreases(t.Context()))
	look()
	for _, f := range failed {
		if launched[f.Zone] -= f.Instances; !errors.Is(f.Err, asg.ErrNotZonal) {
			t.Error(f.Err)
		}
	}
	want := map[string]int{}
	for _, zone := range []string{awsworld.ZoneA, awsworld.ZoneB, awsworld.ZoneC} {
		want[zone] = 2 + launched[zone]
	}
	diff := cmp.Diff(want, w.PerZone("a"))
	assert.Truef(t, diff == "" && len(launched) == 3, "launched %v, instances by zone (-want +got):\n%s", launched, diff)
	n := w.AWS.Calls()["SetDesiredCapacity"]
	assert.Truef(t, n == 0, "the desired capacity was set %d times", n)
}

// Each of the groups may grow by itself up to the cap.
func TestBalancedGroupsShareASpendCap(t *testing.T) {
	for most, want := range map[float64]int{100: 9, 4.2: 4, 1.1: 1} {
		w := awsworld.NewAWS(t, nil, awsworld.Group("a", "m5.large", 0, 0, 9, nil), awsworld.Group("b", "m5.large", 0, 0, 9, nil),
			awsworld.Divided("c", "m5.large", 0, 0, 9)).RestartedWith(func(o *asg.Options, p *aws.Options) {
			o.LaunchMode, p.SpendCaps = asg.LaunchAuto, []decision.SpendCap{{Of: decision.WholeCluster, PerHour: most}}
		})
		byID := candidates(w)
		infos, err := balancing(w, false).BalanceScaleUpBetweenGroups(&cacontext.AutoscalingContext{}, slices.Collect(maps.Values(byID)), 9)
		sum := 0
		for _, i := range infos {
			sum += i.NewSize - i.CurrentSize
			assert.Truef(t, i.NewSize != i.CurrentSize, "cap %v: %s is to grow by nothing", most, i.Group.Id())
		}
		assert.Truef(t, err == nil && sum == want, "cap %v: %d new nodes, %v, want %d", most, sum, err, want)
	}
}

func TestAGroupAtZeroIsComparedByItsTemplate(t *testing.T) {
	inZone := func(g fakeaws.AutoScalingGroup, zone string) fakeaws.AutoScalingGroup {
		g.Zones = []string{zone}
		return g
	}
	team := map[string]string{awsworld.Template + "label/team": "dsp"}
	w := awsworld.New(t, nil,
		awsworld.Group("live", "m5.large", 0, 1, 5, team),
		awsworld.Group("other-live", "m5.large", 0, 1, 5, nil),
		inZone(awsworld.Group("zero", "m5.large", 0, 0, 5, team), "cn-northwest-1b"),
		inZone(awsworld.Group("starting", "m5.large", 0, 2, 5, team), "cn-northwest-1b"),
		awsworld.Group("zero-other-label", "m5.large", 0, 0, 5, map[string]string{awsworld.Template + "label/team": "web"}),
		awsworld.Group("zero-other-type", "g4dn.xlarge", 0, 0, 5, team))
	similar := NewSimilar(w.Provider, nodegroupset.CreateAwsNodeInfoComparator(nil, config.NewDefaultNodeGroupDifferenceRatios()))

	// liveNode is the template's node with what only a real one has.
	liveNode := func(id string) *framework.NodeInfo {
		info, err := w.NodeGroup(id).TemplateNodeInfo()
		require.NoError(t, err)
		n := info.Node().DeepCopy()
		n.Labels["k8s.io/cloud-provider-aws"] = "0123"
		n.Status.Capacity["hugepages-2Mi"] = *n.Status.Capacity.Name("pods", "DecimalSI")
		n.Status.Allocatable["hugepages-2Mi"] = n.Status.Capacity["hugepages-2Mi"]
		return named(framework.NewNodeInfo(n, nil), id)
	}
	fromTemplate := func(id string) *framework.NodeInfo {
		info, err := w.NodeGroup(id).TemplateNodeInfo()
		require.NoError(t, err)
		return named(info, id)
	}
	for _, tt := range []struct {
		name string
		a, b *framework.NodeInfo
		want bool
	}{
		{name: "same but for the zone", a: liveNode("live"), b: fromTemplate("zero"), want: true},
		{name: "the other way round", a: fromTemplate("zero"), b: liveNode("live"), want: true},
		{name: "with instances that are no nodes yet", a: liveNode("live"), b: fromTemplate("starting"), want: true},
		{name: "another label", a: liveNode("live"), b: fromTemplate("zero-other-label")},
		{name: "another type", a: liveNode("live"), b: fromTemplate("zero-other-type")},
		{name: "two groups with nodes are compared by them", a: liveNode("live"), b: liveNode("other-live")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, similar(tt.a, tt.b), "similar")
		})
	}
}

func TestObservedFactsMakeNoGroupDifferent(t *testing.T) {
	w := awsworld.New(t, nil, awsworld.Group("seen", "m5.large", 0, 2, 5, nil), awsworld.Group("unseen", "m5.large", 0, 0, 5, nil))
	nodes := w.Cluster
	real := w.Members("seen", map[string]string{"team": "dsp"})
	nodes.Put(t, real...)
	w.NextLoop()
	nodes.Drop(t, real...)
	w.Emptied("seen")
	core := nodegroupset.CreateAwsNodeInfoComparator(nil, config.NewDefaultNodeGroupDifferenceRatios())
	seen, err := w.NodeGroup("seen").TemplateNodeInfo()
	require.NoError(t, err)
	unseen, err := w.NodeGroup("unseen").TemplateNodeInfo()
	require.NoError(t, err)
	require.False(t, core(seen, unseen), "the templates are alike to the core: this proves nothing")
	if similar := NewSimilar(w.Provider, core); !similar(named(seen, "seen"), named(unseen, "unseen")) {
		t.Error("two groups that differ in nothing but what was seen of them are not balanced")
	}
}

// The core compares each group that may grow with all groups, and raises several in a loop.
func TestTemplatesToCompareAreMadeOnce(t *testing.T) {
	const count = 30
	var groups []fakeaws.AutoScalingGroup
	for n := range count {
		groups = append(groups, awsworld.Group(fmt.Sprint("group-", n), "m5.large", 0, 0, 5, nil))
	}
	w := awsworld.New(t, nil, groups...)
	compared := map[*framework.NodeInfo]bool{}
	similar := NewSimilar(w.Provider, func(a, b *framework.NodeInfo) bool {
		compared[a], compared[b] = true, true
		return false
	})
	var infos []*framework.NodeInfo
	for _, g := range groups {
		info, err := w.NodeGroup(g.Name).TemplateNodeInfo()
		require.NoError(t, err)
		infos = append(infos, named(info, g.Name))
	}
	for range 2 {
		for _, a := range infos {
			for _, b := range infos {
				similar(a, b)
			}
		}
		require.NoError(t, w.Grow("group-0", 1))
	}
	assert.Len(t, compared, 2*count, "NodeInfos, the given ones included")
}

func named(info *framework.NodeInfo, id string) *framework.NodeInfo {
	nodemeta.NodeGroup.Set(info.Node(), id)
	return info
}
