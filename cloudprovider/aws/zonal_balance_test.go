package aws

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodegroupset"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/test/fakeaws"
)

// infos are the NodeInfos of all node groups, by their templates.
func (w *world) infos() map[string]*framework.NodeInfo {
	w.t.Helper()
	infos := map[string]*framework.NodeInfo{}
	for _, ng := range w.NodeGroups() {
		info, err := ng.TemplateNodeInfo()
		if err != nil {
			w.t.Fatal(err)
		}
		infos[ng.Id()] = named(info, ng.Id())
	}
	return infos
}

// balancing is a Balancing over the core's own processor.
func (w *world) balancing(viewsOnly bool) *Balancing {
	similar := NewSimilar(w.Provider, nodegroupset.CreateAwsNodeInfoComparator([]string{LabelZoneAssumed}, config.NewDefaultNodeGroupDifferenceRatios()))
	return NewBalancing(w.Provider, &nodegroupset.BalancingNodeGroupSetProcessor{Comparator: similar}, viewsOnly)
}

// candidates are the node groups as they are weighed for a scale-up, by ID.
func (w *world) candidates() map[string]cloudprovider.NodeGroup {
	w.t.Helper()
	able, _, err := NewLaunchable(w.Provider).Process(nil, w.NodeGroups(), w.infos(), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	byID := map[string]cloudprovider.NodeGroup{}
	for _, ng := range able {
		byID[ng.Id()] = ng
	}
	return byID
}

// similar are the node groups that may grow in place of this one, by ID.
func (w *world) similar(id string, viewsOnly bool) map[string]cloudprovider.NodeGroup {
	w.t.Helper()
	found, err := w.balancing(viewsOnly).FindSimilarNodeGroups(&cacontext.AutoscalingContext{CloudProvider: w.Provider}, w.candidates()[id], w.infos())
	if err != nil {
		w.t.Fatal(err)
	}
	byID := map[string]cloudprovider.NodeGroup{}
	for _, ng := range found {
		if byID[ng.Id()] != nil {
			w.t.Errorf("%s is similar to %s twice", ng.Id(), id)
		}
		byID[ng.Id()] = ng
	}
	return byID
}

// balanced is how many new nodes each of the node groups gets.
func (w *world) balanced(newNodes int, groups ...cloudprovider.NodeGroup) map[string]int {
	w.t.Helper()
	infos, err := w.balancing(true).BalanceScaleUpBetweenGroups(nil, groups, newNodes)
	if err != nil {
		w.t.Fatal(err)
	}
	more := map[string]int{}
	for _, info := range infos {
		if _, isBare := info.Group.(*NodeGroup); !isBare {
			w.t.Errorf("%s is to grow as a %T", info.Group.Id(), info.Group)
		}
		if info.NewSize > info.MaxSize || info.CurrentSize != w.target(info.Group.Id()) {
			w.t.Errorf("%s is to grow from %d to %d of %d", info.Group.Id(), info.CurrentSize, info.NewSize, info.MaxSize)
		}
		more[info.Group.Id()] = info.NewSize - info.CurrentSize
	}
	return more
}

func TestAViewIsWeighedWithAllThatIsLeftOfItsGroup(t *testing.T) {
	w := newDividedWorld(t, nil, divided("a", "m5.large", 0, 4, 9), divided("full", "m5.large", 0, 3, 3), group("b", "m5.large", 0, 1, 5, nil))
	got := map[string]int{}
	for id, ng := range w.candidates() {
		got[id] = ng.MaxSize()
		if size, err := ng.TargetSize(); err != nil || size != w.target(id) {
			t.Errorf("%s is weighed with a target of %d, %v, want %d", id, size, err, w.target(id))
		}
	}
	want := map[string]int{"a/" + zoneA: 2 + 5, "a/" + zoneB: 1 + 5, "a/" + zoneC: 1 + 5, "full/" + zoneA: 1, "full/" + zoneB: 1, "full/" + zoneC: 1, "b": 5}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("maximum sizes (-want +got):\n%s", diff)
	}
	if _, same := w.candidates()["b"].(*NodeGroup); !same {
		t.Error("a group that is not divided is weighed as something else")
	}
	if err := w.candidates()["a/"+zoneC].IncreaseSize(5); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{zoneA: 2, zoneB: 1, zoneC: 6}, w.perZone("a")); diff != "" {
		t.Errorf("instances by zone (-want +got):\n%s", diff)
	}
}

func TestAZoneThatRestsIsNotWeighed(t *testing.T) {
	w := newDividedWorld(t, nil, divided("a", "m5.large", 0, 0, 9))
	w.aws.AddShortage(fakeaws.Shortage{Zone: zoneB})
	if w.ViewRests("a/" + zoneB) {
		t.Error("a view rests before anything failed")
	}
	if err := w.nodeGroup("a/" + zoneB).IncreaseSize(1); err == nil {
		t.Fatal("launched where there is no capacity")
	}
	for id, want := range map[string]bool{"a/" + zoneA: false, "a/" + zoneB: true, "a/" + zoneC: false, "a": false, "unknown": false} {
		if got := w.ViewRests(id); got != want {
			t.Errorf("%s rests: %t, want %t", id, got, want)
		}
	}
	candidates := w.candidates()
	if len(candidates) != 2 || candidates["a/"+zoneB] != nil {
		t.Errorf("weighed are %v, want a and c", candidates)
	}
	if why, trouble := w.Trouble("a/" + zoneB); !trouble {
		t.Errorf("%q: the view without capacity has no trouble", why)
	}
	if why, trouble := w.Trouble("a/" + zoneC); trouble {
		t.Errorf("a view has the trouble of another: %s", why)
	}
}

func TestSimilarToAViewAreItsSiblings(t *testing.T) {
	w := newDividedWorld(t, nil, divided("a", "m5.large", 0, 4, 9), divided("other", "m5.large", 0, 0, 9), group("b", "m5.large", 0, 0, 5, nil),
		zoned(group("whole", "m5.large", 0, 0, 5, nil), "abc"), divided("gpu", "g4dn.xlarge", 0, 0, 9))
	for _, tt := range []struct {
		id        string
		viewsOnly bool
		want      []string
	}{
		{"a/" + zoneB, true, []string{"a/" + zoneA, "a/" + zoneC}},
		{"a/" + zoneB, false, []string{"a/" + zoneA, "a/" + zoneC, "b", "other/" + zoneA, "other/" + zoneB, "other/" + zoneC, "whole"}},
		{"gpu/" + zoneA, false, []string{"gpu/" + zoneB, "gpu/" + zoneC}},
		{"b", true, nil},
		{"whole", true, nil},
		{"b", false, []string{"a/" + zoneA, "a/" + zoneB, "a/" + zoneC, "other/" + zoneA, "other/" + zoneB, "other/" + zoneC, "whole"}},
	} {
		t.Run(fmt.Sprintf("%s viewsOnly=%t", tt.id, tt.viewsOnly), func(t *testing.T) {
			found := w.similar(tt.id, tt.viewsOnly)
			var ids []string
			for id := range found {
				ids = append(ids, id)
			}
			slices.Sort(ids)
			if diff := cmp.Diff(tt.want, ids); diff != "" {
				t.Errorf("similar node groups (-want +got):\n%s", diff)
			}
			if view := zonalView(w.nodeGroup(tt.id)); view != nil {
				for id, ng := range found {
					if v := zonalView(ng); v != nil && v.name == view.name && ng.MaxSize() != w.target(id) {
						t.Errorf("%s counts for %d more of what is left, as the view does that is weighed", id, ng.MaxSize()-w.target(id))
					}
				}
			}
		})
	}
	infos := w.infos()
	delete(infos, "a/"+zoneC)
	found, err := w.balancing(true).FindSimilarNodeGroups(&cacontext.AutoscalingContext{CloudProvider: w.Provider}, w.nodeGroup("a/"+zoneA), infos)
	if err != nil || len(found) != 1 || found[0].Id() != "a/"+zoneB {
		t.Errorf("similar are %v, %v, want the sibling alone of which a NodeInfo could be made", found, err)
	}
}

// The room of a set of similar node groups, by which the core caps a scale-up, is that of their Auto Scaling groups.
func TestWhatIsLeftOfAGroupCountsOnceInASetOfSimilarNodeGroups(t *testing.T) {
	w := newDividedWorld(t, nil, divided("a", "m5.large", 0, 4, 9))
	for id, ng := range w.candidates() {
		room := ng.MaxSize() - w.target(id)
		for other, similar := range w.similar(id, false) {
			room += similar.MaxSize() - w.target(other)
		}
		if room != 5 {
			t.Errorf("%s and those similar to it have room for %d, want 5", id, room)
		}
	}
}

func TestAScaleUpIsSpreadOverViewsWithinWhatIsLeftOfTheirGroups(t *testing.T) {
	w := newDividedWorld(t, nil, divided("even", "m5.large", 0, 0, 9), divided("tight", "m5.large", 0, 3, 5), divided("full", "m5.large", 0, 3, 3),
		divided("uneven", "m5.large", 0, 0, 20), group("plain", "m5.large", 0, 0, 4, nil))
	if err := w.nodeGroup("uneven/" + zoneB).IncreaseSize(5); err != nil {
		t.Fatal(err)
	}
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
		{"two groups mixed", []string{"tight/" + zoneA, "even/" + zoneA, "tight/" + zoneC, "even/" + zoneC}, 100, []int{1, 5, 1, 4}, true},
		{"and one that is not divided", append(views("even", "abc"), "plain"), 100, []int{3, 3, 3, 4}, false},
		{"and one that is not divided, evenly", append(views("even", "abc"), "plain"), 4, []int{1, 1, 1, 1}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var groups []cloudprovider.NodeGroup
			candidates := w.candidates()
			for at, id := range tt.groups { // the first as it is weighed, the others as similar ones
				if at == 0 {
					groups = append(groups, candidates[id])
				} else if v := w.similar(tt.groups[0], false)[id]; v != nil {
					groups = append(groups, v)
				} else {
					groups = append(groups, w.nodeGroup(id))
				}
			}
			more := w.balanced(tt.newNodes, groups...)
			var got []int
			for _, id := range tt.groups {
				got = append(got, more[id])
			}
			if tt.anyOrder {
				slices.Sort(got)
				slices.Sort(tt.want)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("%v get %v, want %v", tt.groups, got, tt.want)
			}
		})
	}
}

func TestHoweverAScaleUpIsSplitNoGroupExceedsItsMaximum(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	var groups []fakeaws.AutoScalingGroup
	for n := range 12 {
		size := r.IntN(8)
		g := divided(fmt.Sprintf("g%02d", n), "m5.large", r.IntN(size+1), size, size+r.IntN(10))
		if n%3 == 2 {
			g = weighted(g.Name, g.Min, g.Desired)
			g = zoned(g, "abc")
			g.Tags[asg.TagZonal], g.SuspendedProcesses = "true", []string{"AZRebalance"}
		}
		groups = append(groups, g)
	}
	w := newDividedWorld(t, nil, groups...)
	all := w.NodeGroups()
	if len(all) != 36 {
		t.Fatalf("%d node groups, want 36", len(all))
	}
	for range 500 {
		var some []cloudprovider.NodeGroup
		candidates := w.candidates()
		for _, at := range r.Perm(len(all))[:1+r.IntN(9)] {
			some = append(some, candidates[all[at].Id()])
		}
		asked := 1 + r.IntN(30)
		got, room := map[string]int{}, map[string]int{}
		for _, ng := range some {
			g := w.view.Load().snapshot.Group(zonalView(ng).name)
			room[g.Name] = max(0, g.MaxInstances()-g.TargetInstances())
		}
		total, possible := 0, 0
		for id, more := range w.balanced(asked, some...) {
			got[w.GroupName(id)] += more
			total += more
		}
		for name, left := range room {
			possible += left
			if got[name] > left {
				t.Fatalf("%s gets %d more, and has room for %d", name, got[name], left)
			}
		}
		if total != min(asked, possible) {
			t.Fatalf("%d of %d new nodes were dealt out, with room for %d", total, asked, possible)
		}
	}
}

func TestASplitScaleUpEndsWithEvenZones(t *testing.T) {
	w := newDividedWorld(t, nil, divided("a", "m5.large", 0, 1, 8))
	similar := w.similar("a/"+zoneC, true)
	infos, coreErr := w.balancing(true).BalanceScaleUpBetweenGroups(nil, []cloudprovider.NodeGroup{w.candidates()["a/"+zoneC], similar["a/"+zoneA], similar["a/"+zoneB]}, 50)
	if coreErr != nil {
		t.Fatal(coreErr)
	}
	var all sync.WaitGroup
	for _, info := range infos { // all at once, as with --parallel-scale-up
		all.Go(func() {
			if err := info.Group.IncreaseSize(info.NewSize - info.CurrentSize); err != nil {
				t.Errorf("%s: %v", info.Group.Id(), err)
			}
		})
	}
	all.Wait()
	if diff := cmp.Diff(map[string]int{zoneA: 3, zoneB: 3, zoneC: 2}, w.perZone("a")); diff != "" {
		t.Errorf("instances by zone (-want +got):\n%s", diff)
	}
}
