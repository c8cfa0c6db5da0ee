package decisions_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/move"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// rotated has a node replaced by its reason for a move, and replacedFirst by a request.
func rotated(n *corev1.Node)       { metav1.SetMetaDataLabel(&n.ObjectMeta, "outdated", "true") }
func replacedFirst(n *corev1.Node) { nodemeta.RemovalRequested.Set(n, nodemeta.ReplaceFirst) }

// inZone has a pod need its zone.
func inZone(pod *corev1.Pod, zone string) {
	pod.Spec.NodeSelector = map[string]string{corev1.LabelTopologyZone: zone}
}

// newZonesWorld has the group small with a node in each of the zones a, b and c. Each has a Ready pod. The node in zone c is to be replaced.
// The zones a and b alone have m5.xlarge.
func newZonesWorld(t *testing.T, g fakeaws.AutoScalingGroup, cpu string, replace func(*corev1.Node), pods ...func(*corev1.Pod, string)) *world {
	t.Helper()
	return newNamedZonesWorld(t, g, nil, cpu, replace, pods...)
}

// newNamedZonesWorld is newZonesWorld with --nodes flags.
func newNamedZonesWorld(t *testing.T, g fakeaws.AutoScalingGroup, named []group.Named, cpu string, replace func(*corev1.Node), pods ...func(*corev1.Pod, string)) *world {
	t.Helper()
	o := options()
	o.ScaleDownDelayAfterFailure, o.ScaleDownDelayAfterAdd = 3*time.Minute, 100*time.Hour
	on := awsworld.NewAWS(t, func(c *fakeaws.Config) {
		c.Delays.Synchronous = fakeaws.Duration(20 * time.Millisecond)
		c.Offerings = map[string][]string{"m5.xlarge": {awsworld.ZoneA, awsworld.ZoneB}}
		c.LaunchTemplates = append(c.LaunchTemplates, fakeaws.LaunchTemplate{Name: "larger",
			Versions: []fakeaws.LaunchTemplateVersion{{ImageID: "ami-0abc", InstanceType: "m5.xlarge"}}})
	}, g)
	w := newMovingWorld(t, on, o, &move.Machine{Reasons: []move.Reason{outdated{}}, Budgets: parseBudgets(t, "100%"), Proof: 5 * time.Minute},
		func(a *asg.Options) { a.Discovery.Named = named })
	w.Eventually(func() string {
		w.Reread()
		return cmp.Diff(map[string]int{awsworld.ZoneA: 1, awsworld.ZoneB: 1, awsworld.ZoneC: 1}, w.PerZone("small"))
	})
	for _, n := range w.zoneNodes() {
		zone := n.Labels[corev1.LabelTopologyZone]
		if zone == awsworld.ZoneC {
			replace(n)
		}
		pod := running("pod-"+zone, "set-"+zone, cpu, n.Name)
		for _, change := range pods {
			change(pod, zone)
		}
		w.join(n)
		w.put(pod)
	}
	return w
}

// zoneNodes are the nodes of the group small and of its views, by the names of their instances.
func (w *world) zoneNodes() (nodes []*corev1.Node) {
	for _, ng := range w.Provider.NodeGroups() {
		for _, n := range w.ready(ng.Id()) {
			n.Name = nodemeta.InstanceOf(n)
			n.UID = types.UID(n.Name)
			n.Labels = map[string]string{corev1.LabelTopologyZone: nodemeta.Zone(n.Spec.ProviderID), corev1.LabelHostname: n.Name}
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// launchesLarger has the group small launch m5.xlarge from now on.
func (w *world) launchesLarger() {
	w.T.Helper()
	require.NoError(w.T, w.AWS.EditGroup("small", fakeaws.GroupEdit{LaunchTemplate: &fakeaws.LaunchTemplateRef{Name: "larger", Version: "1"}}))
	w.Eventually(func() string {
		w.Reread()
		if g := w.View().Group("small/" + awsworld.ZoneC); !g.Blocked() {
			return "zone c is not blocked"
		}
		return ""
	})
}

// joinNew has the nodes join that are not in the cluster.
func (w *world) joinNew() {
	w.T.Helper()
	w.Reread()
	for _, n := range w.zoneNodes() {
		if _, err := w.factory.Core().V1().Nodes().Lister().Get(n.Name); err != nil {
			w.join(n)
		}
	}
}

// loopUntil runs loops, a second apart, until there is no difference, for a while.
func (w *world) loopUntil(diff func() string) {
	w.T.Helper()
	difference := ""
	for range 200 {
		w.Reread()
		w.clock.Step(time.Second)
		w.loop()
		if difference = diff(); difference == "" {
			return
		}
	}
	w.T.Fatal(difference)
}

// replaced runs loops until the group small has the nodes of the zones, and then until the node in zone c goes.
func (w *world) replaced(perZone map[string]int) {
	w.T.Helper()
	w.loopUntil(func() string { return cmp.Diff(perZone, w.PerZone("small")) })
	w.joinNew()
	for began := time.Now().Unix(); time.Now().Unix() == began; time.Sleep(10 * time.Millisecond) {
		continue // a removal in the second in which the group was divided may be older
	}
	w.loopUntil(func() string { return cmp.Diff("pod-"+awsworld.ZoneC, w.evicted()) })
	w.gone(3)
}

// replacing are the ways in which a node is replaced.
var replacing = map[string]func(*corev1.Node){"rotation": rotated, "request": replacedFirst}

// Without a pod that needs a zone, the group is one node group, and AWS would choose the zone of the new node.
func TestReplacementComesUpInTheZoneThatThePodsNeed(t *testing.T) {
	for name, replace := range replacing {
		t.Run(name, func(t *testing.T) {
			w := newZonesWorld(t, awsworld.Zoned(awsworld.Group("small", "m5.large", 0, 3, 9, nil), "abc"), "1500m", replace, inZone)
			w.replaced(map[string]int{awsworld.ZoneA: 1, awsworld.ZoneB: 1, awsworld.ZoneC: 2})
		})
	}
}

// The group is at its minimum size, and zone c has none of its new types, or no capacity. The zones a and b have room. A pod that needs the zone
// would not fit a node of theirs.
func TestNodeInAZoneWithoutItsNewTypesIsReplacedInAnother(t *testing.T) {
	named := func(least int) (all []group.Named) {
		for _, zone := range []string{awsworld.ZoneA, awsworld.ZoneB, awsworld.ZoneC} {
			all = append(all, group.Named{Name: "small/" + zone, MinSize: least, MaxSize: 5})
		}
		return all
	}
	for name, replace := range replacing {
		t.Run(name, func(t *testing.T) {
			w := newZonesWorld(t, awsworld.Divided("small", "m5.large", 3, 3, 9), "500m", replace)
			w.launchesLarger()
			w.replaced(map[string]int{awsworld.ZoneA: 2, awsworld.ZoneB: 1, awsworld.ZoneC: 1})
		})
		t.Run(name+", and the zone has no capacity", func(t *testing.T) {
			w := newZonesWorld(t, awsworld.Divided("small", "m5.large", 3, 3, 9), "500m", replace)
			w.AWS.AddShortage(fakeaws.Shortage{Zone: awsworld.ZoneC})
			w.replaced(map[string]int{awsworld.ZoneA: 2, awsworld.ZoneB: 1, awsworld.ZoneC: 1})
		})
		t.Run(name+", and each zone has a maximum of its own", func(t *testing.T) {
			w := newNamedZonesWorld(t, awsworld.Divided("small", "m5.large", 3, 3, 15), named(0), "500m", replace)
			w.AWS.AddShortage(fakeaws.Shortage{Zone: awsworld.ZoneC})
			w.replaced(map[string]int{awsworld.ZoneA: 2, awsworld.ZoneB: 1, awsworld.ZoneC: 1})
		})
		t.Run(name+", and each zone has a minimum of its own", func(t *testing.T) { // which a node elsewhere does not lift
			w := newNamedZonesWorld(t, awsworld.Divided("small", "m5.large", 3, 3, 15), named(1), "500m", replace)
			w.AWS.AddShortage(fakeaws.Shortage{Zone: awsworld.ZoneC})
			for range 30 {
				w.Reread()
				w.clock.Step(10 * time.Second)
				w.loop()
				w.joinNew()
			}
			assert.Equal(t, map[string]int{awsworld.ZoneA: 1, awsworld.ZoneB: 1, awsworld.ZoneC: 1}, w.PerZone("small"))
		})
	}
	t.Run("request, and its pod needs the zone", func(t *testing.T) {
		w := newZonesWorld(t, awsworld.Divided("small", "m5.large", 0, 3, 9), "1500m", replacedFirst, inZone)
		w.launchesLarger()
		w.loopTimes(5)
		assert.Equal(t, 3, w.desired(), "desired, want no node in a zone where the pod cannot run")
	})
}

// The new node starts for half an hour. Meanwhile its group is scaled zone by zone, or as a whole again.
func TestNewNodeIsAwaitedAfterItsGroupWasDividedOrMerged(t *testing.T) {
	for name, tt := range map[string]struct {
		group  fakeaws.AutoScalingGroup
		change func(*world)
		groups int // node groups in the end
	}{
		"divided": {awsworld.Zoned(awsworld.Group("spare", "m5.large", 0, 0, 9, nil), "abc"), func(w *world) { w.Provider.NeedZones("spare") }, 4},
		"merged": {awsworld.Divided("spare", "m5.large", 0, 0, 9), func(w *world) {
			require.NoError(w.T, w.AWS.SetTags("spare", map[string]*string{asg.TagZonal: ptr.To("false")}))
		}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			o := options()
			o.NodeGroupDefaults.MaxNodeProvisionTime, o.ScaleDownDelayAfterAdd = 30*time.Minute, 100*time.Hour
			w := newMovingWorld(t, onAWS(t, awsworld.Group("small", "m5.large", 0, 1, 1, nil), tt.group), o,
				&move.Machine{Reasons: []move.Reason{outdated{}}, Budgets: parseBudgets(t, "100%"), Proof: 5 * time.Minute})
			n := w.ready("small")[0]
			rotated(n)
			w.join(n)
			w.put(running("pod", "set", "1500m", n.Name))
			awaits := func(n decision.Node) bool { return n.Move != nil && n.Move.Hold == string(move.HeldStarting) }
			w.untilMove(awaits)
			tt.change(w)
			for minute := range 25 {
				w.Reread()
				w.at = w.at.Add(time.Minute)
				w.clock.Step(time.Minute)
				n := w.node(w.loop(), "small-0")
				require.Truef(t, awaits(n), "move %+v after minute %d, want it to wait for its node", n.Move, minute)
			}
			require.Len(t, w.Provider.NodeGroups(), tt.groups)
			added := slices.DeleteFunc(w.zoneNodes(), func(n *corev1.Node) bool { return w.Provider.NodeGroupName(n) == "small" })
			require.Len(t, added, 1, "new nodes")
			w.join(added...)
			moved := w.untilMove(goes)
			assert.Equal(t, 0, moved.Move.Failures, "failures of the move")
		})
	}
}
