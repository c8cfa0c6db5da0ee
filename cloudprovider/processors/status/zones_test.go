package status

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	provreqv1 "k8s.io/autoscaler/cluster-autoscaler/apis/provisioningrequest/autoscaling.x-k8s.io/v1"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodegroupset"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodeinfosprovider"
	scaleup "k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot/predicate"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot/store"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"
	testclock "k8s.io/utils/clock/testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/podzone"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/nodegroups"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/nodeinfos"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/podlist"
	"github.com/asg-autoscaler/asg-autoscaler/test/bench/costlimit"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// zonalWorld is a world with the core's simulator over it.
type zonalWorld struct {
	*awsworld.World
	ctx      *cacontext.AutoscalingContext
	pods     *podlist.OneZone
	zoneIDs  *nodeinfos.ZoneIDs
	recorder *record.FakeRecorder
}

func newZonalWorld(t *testing.T, w *awsworld.World, objects ...runtime.Object) *zonalWorld {
	t.Helper()
	factory := informers.NewSharedInformerFactory(fake.NewClientset(objects...), 0)
	handle, err := framework.NewHandle(t.Context(), factory, nil, false, false)
	require.NoError(t, err)
	volumes := podzone.Volumes{Claims: factory.Core().V1().PersistentVolumeClaims().Lister(),
		Volumes: factory.Core().V1().PersistentVolumes().Lister(), Classes: factory.Storage().V1().StorageClasses().Lister()}
	factory.Start(t.Context().Done())
	factory.WaitForCacheSync(t.Context().Done())
	zoneIDs := nodeinfos.NewZoneIDs(w.Provider)
	z := &zonalWorld{World: w, pods: &podlist.OneZone{Provider: w.Provider, ZoneName: zoneIDs.Name, Volumes: volumes}, zoneIDs: zoneIDs, recorder: record.NewFakeRecorder(10)}
	z.ctx = &cacontext.AutoscalingContext{CloudProvider: w.Provider,
		ClusterSnapshot:          predicate.NewPredicateSnapshot(store.NewDeltaSnapshotStore(1), handle, false, 1, false),
		TemplateNodeInfoRegistry: nodeinfosprovider.NewTemplateNodeInfoRegistry(nodeinfos.New(w.Provider, zoneIDs, time.Hour, false)),
		AutoscalingKubeClients:   cacontext.AutoscalingKubeClients{Recorder: z.recorder}}
	require.NoError(t, z.ctx.TemplateNodeInfoRegistry.Recompute(z.ctx, nil, nil, taints.TaintConfig{}, time.Now()))
	return z
}

func (z *zonalWorld) zones(c clock.PassiveClock) *Zones {
	return &Zones{Provider: z.Provider, Need: z.pods.Need, ZoneID: z.zoneIDs.ID, Raises: oneByOne, Clock: c}
}

// oneByOne returns a status for each group that grew, with the pod of the same place.
func oneByOne(s *scaleup.ScaleUpStatus) (raises []*scaleup.ScaleUpStatus) {
	for at, grown := range s.ScaleUpInfos {
		raises = append(raises, &scaleup.ScaleUpStatus{ScaleUpInfos: []nodegroupset.ScaleUpInfo{grown},
			PodsTriggeredScaleUp: s.PodsTriggeredScaleUp[min(at, len(s.PodsTriggeredScaleUp)-1):][:1]})
	}
	return raises
}

// loop treats the pods as a loop of the core does. It tries them on a new node of each launchable group below its maximum, and hands
// pods that fit none to zones.
func (z *zonalWorld) loop(zones *Zones, atMaximum string, pods ...*corev1.Pod) (woken []string) {
	z.T.Helper()
	processed, err := z.pods.Process(z.ctx, pods)
	require.NoError(z.T, err)
	launchable := &nodegroups.Launchable{Provider: z.Provider}
	groups, infos, err := launchable.Process(z.ctx, z.NodeGroups(), z.ctx.TemplateNodeInfoRegistry.GetNodeInfos(), processed)
	require.NoError(z.T, err)
	s := &scaleup.ScaleUpStatus{Result: scaleup.ScaleUpNoOptionsAvailable, ConsideredNodeGroups: groups}
	for _, pod := range processed {
		fits := false
		for _, ng := range groups {
			if ng.Id() == atMaximum {
				continue
			}
			info := infos[ng.Id()]
			z.ctx.ClusterSnapshot.Fork()
			require.NoError(z.T, z.ctx.ClusterSnapshot.AddNodeInfo(info))
			if z.ctx.ClusterSnapshot.CheckPredicates(pod, info.Node().Name) == nil {
				fits, woken = true, append(woken, ng.Id())
				s.ScaleUpInfos = append(s.ScaleUpInfos, nodegroupset.ScaleUpInfo{Group: ng})
			}
			z.ctx.ClusterSnapshot.Revert()
		}
		if fits {
			s.PodsTriggeredScaleUp = append(s.PodsTriggeredScaleUp, pod)
		} else {
			s.PodsRemainUnschedulable = append(s.PodsRemainUnschedulable, scaleup.NoScaleUpInfo{Pod: pod,
				SkippedNodeGroups: map[string]scaleup.Reasons{atMaximum: nil}})
		}
	}
	launchable.AddLeftOut(s)
	zones.Process(z.ctx, s)
	return woken
}

// published returns the events since the last call.
func (z *zonalWorld) published() []string {
	var published []string
	for {
		select {
		case event := <-z.recorder.Events:
			published = append(published, event)
		default:
			return published
		}
	}
}

// pending is a pod that asks for a node with the labels.
func pending(name, cpu string, selector map[string]string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID(name)}, Spec: corev1.PodSpec{
		NodeSelector: selector,
		Containers: []corev1.Container{{Name: "main", Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}}}}}}
}

// zonesOnly is a pod whose affinity names the zones.
func zonesOnly(operator corev1.NodeSelectorOperator, zones ...string) *corev1.Pod {
	pod := pending("zones", "1", nil)
	pod.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
		NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{
			{Key: corev1.LabelTopologyZone, Operator: operator, Values: zones}}}}}}}
	return pod
}

func TestPodThatNeedsAZoneDividesGroup(t *testing.T) {
	inB := map[string]string{corev1.LabelTopologyZone: awsworld.ZoneB}
	requested := pending("requested", "1", inB)
	requested.Annotations = map[string]string{provreqv1.ProvisioningRequestPodAnnotationKey: "training"}
	for _, tt := range []struct {
		name      string
		pod       *corev1.Pod
		tags      map[string]string
		atMaximum string
		woken     bool // the whole group, by the pod
		divided   bool
	}{
		{name: "one zone", pod: pending("b", "1", inB), divided: true},
		{name: "the zone of the template", pod: pending("a", "1", map[string]string{corev1.LabelTopologyZone: awsworld.ZoneA}), divided: true},
		{name: "one of two zones", pod: zonesOnly(corev1.NodeSelectorOpIn, awsworld.ZoneB, awsworld.ZoneC), divided: true},
		{name: "two zones, the assumed one among them", pod: zonesOnly(corev1.NodeSelectorOpIn, awsworld.ZoneA, awsworld.ZoneB), divided: true},
		{name: "all zones but one", pod: zonesOnly(corev1.NodeSelectorOpNotIn, awsworld.ZoneC), divided: true},
		{name: "all zones", pod: zonesOnly(corev1.NodeSelectorOpIn, awsworld.ZoneA, awsworld.ZoneB, awsworld.ZoneC), woken: true},
		{name: "pod of a ProvisioningRequest", pod: requested, divided: true},
		{name: "no zone", pod: pending("free", "1", nil), woken: true},
		{name: "too big for the group", pod: pending("big", "64", inB)},
		{name: "the group is at its maximum", pod: pending("full", "1", inB), atMaximum: "several"},
		{name: "the group is kept out by its tag", pod: pending("out", "1", inB), tags: map[string]string{asg.TagZonal: "false"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := awsworld.NewDivided(t, nil, awsworld.Zoned(awsworld.Group("several", "m5.large", 0, 0, 5, tt.tags), "abc"))
			z := newZonalWorld(t, w)
			woken := z.loop(z.zones(testclock.NewFakePassiveClock(time.Now())), tt.atMaximum, tt.pod)
			assert.Equalf(t, tt.woken, len(woken) > 0, "the pod wakes %q, want one: %t", woken, tt.woken)
			assert.Equal(t, tt.divided, w.Dividing(), "the group will be divided")
			if err := w.Refresh(); err != nil || w.View().HasZoneGroups() != tt.divided || w.Dividing() {
				t.Errorf("the group is divided: %t, want %t (error %v)", w.View().HasZoneGroups(), tt.divided, err)
			}
		})
	}
}

// The pod fits the zone that is assumed. The node may come up in another, and so may all after it.
func TestPodThatOtherPodsKeepOutOfZonesDividesGroup(t *testing.T) {
	db := &metav1.LabelSelector{MatchLabels: map[string]string{"app": "db"}}
	terms := []corev1.PodAffinityTerm{{TopologyKey: corev1.LabelTopologyZone, LabelSelector: db}}
	near := &corev1.Affinity{PodAffinity: &corev1.PodAffinity{RequiredDuringSchedulingIgnoredDuringExecution: terms}}
	away := &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: terms}}
	for _, tt := range []struct {
		name     string
		running  []string // zones of the pods that run
		affinity *corev1.Affinity
		spread   corev1.UnsatisfiableConstraintAction
		divided  bool
	}{
		{name: "near a pod", running: []string{awsworld.ZoneA}, affinity: near, divided: true},
		{name: "away from a pod", running: []string{awsworld.ZoneB}, affinity: away, divided: true},
		{name: "away from no pod", affinity: away},
		{name: "spread", running: []string{awsworld.ZoneB, awsworld.ZoneC}, spread: corev1.DoNotSchedule, divided: true},
		{name: "spread, and any zone does", running: []string{awsworld.ZoneA, awsworld.ZoneB, awsworld.ZoneC}, spread: corev1.DoNotSchedule},
		{name: "spread as well as possible", running: []string{awsworld.ZoneB, awsworld.ZoneC}, spread: corev1.ScheduleAnyway},
	} {
		t.Run(tt.name, func(t *testing.T) {
			z := newZonalWorld(t, awsworld.NewDivided(t, nil, awsworld.Zoned(awsworld.Group("a-several", "m5.large", 0, 0, 5, nil), "abc"),
				awsworld.Zoned(awsworld.Group("other", "m5.large", 0, 0, 5, nil), "a")))
			for _, zone := range []string{awsworld.ZoneA, awsworld.ZoneB, awsworld.ZoneC} {
				node := awsworld.M5Large("in-"+zone, "aws:///"+zone+"/i-0fffffffffffffff0", map[string]string{corev1.LabelTopologyZone: zone})
				node.Spec.Unschedulable = true
				var pods []*framework.PodInfo
				if slices.Contains(tt.running, zone) {
					db := pending("in-"+zone, "1", nil)
					db.Labels = map[string]string{"app": "db"}
					pods = append(pods, framework.NewPodInfo(db, nil))
				}
				require.NoError(t, z.ctx.ClusterSnapshot.AddNodeInfo(framework.NewNodeInfo(node, nil, pods...)))
			}
			pod := pending("waiting", "1", nil)
			pod.Labels, pod.Spec.Affinity = map[string]string{"app": "db"}, tt.affinity
			if tt.spread != "" {
				pod.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{MaxSkew: 1, TopologyKey: corev1.LabelTopologyZone,
					WhenUnsatisfiable: tt.spread, LabelSelector: db}}
			}
			zones, several := z.zones(testclock.NewFakePassiveClock(time.Now())), z.NodeGroups()[0]
			zones.Process(z.ctx, &scaleup.ScaleUpStatus{Result: scaleup.ScaleUpSuccessful, ScaleUpInfos: []nodegroupset.ScaleUpInfo{
				{Group: several}, {Group: z.NodeGroups()[1]}}, PodsTriggeredScaleUp: []*corev1.Pod{pending("other", "1", nil), pod}})
			assert.False(t, z.Dividing(), "the group will be divided for a pod for which another one grew")
			assert.Len(t, z.loop(zones, "other", pod), 1, "node groups that the pod wakes")
			assert.Equal(t, tt.divided, z.Dividing(), "the group will be divided")
		})
	}
}

func TestGroupInThePodsZonesAloneStaysWhole(t *testing.T) {
	z := newZonalWorld(t, awsworld.NewDivided(t, nil, awsworld.Zoned(awsworld.Group("three", "m5.large", 0, 0, 5, nil), "abc"),
		awsworld.Zoned(awsworld.Group("two", "m5.large", 0, 0, 5, nil), "ab")))
	woken := z.loop(z.zones(testclock.NewFakePassiveClock(time.Now())), "", zonesOnly(corev1.NodeSelectorOpNotIn, awsworld.ZoneC))
	assert.Equal(t, []string{"two"}, woken, "node groups that the pod wakes")
	assert.False(t, z.Dividing(), "a group will be divided")
}

// A full group that promises the zone may stay full for ever.
func TestFullGroupKeepsNoOtherFromBeingDivided(t *testing.T) {
	for _, name := range []string{"a-full", "z-full"} {
		z := newZonalWorld(t, awsworld.NewDivided(t, nil, awsworld.Zoned(awsworld.Group("several", "m5.large", 0, 0, 5, nil), "abc"),
			awsworld.Zoned(awsworld.Group(name, "m5.large", 0, 1, 1, nil), "b")))
		pod := pending("b", "1", map[string]string{corev1.LabelTopologyZone: awsworld.ZoneB})
		assert.Empty(t, z.loop(z.zones(testclock.NewFakePassiveClock(time.Now())), name, pod), "node groups that the pod wakes")
		assert.Truef(t, z.Dividing(), "with %s the other group will be divided", name)
	}
}

// A pod that has waited for long is not left alone for long once the cause is mended.
func TestGroupThatCanGrowAgainIsDividedAtOnce(t *testing.T) {
	z := newZonalWorld(t, awsworld.NewDivided(t, nil, awsworld.Zoned(awsworld.Group("several", "m5.large", 0, 0, 5, nil), "abc")))
	now := testclock.NewFakePassiveClock(time.Now())
	zones, pod := z.zones(now), pending("b", "1", map[string]string{corev1.LabelTopologyZone: awsworld.ZoneB})
	pod.CreationTimestamp = metav1.NewTime(now.Now().Add(-time.Hour))
	z.loop(zones, "several", pod)
	assert.False(t, z.Dividing(), "at its maximum the group will be divided")
	now.SetTime(now.Now().Add(15 * time.Second))
	z.loop(zones, "", pod)
	assert.True(t, z.Dividing(), "below its maximum the group will be divided")
}

// A group that promises the zone takes the pod after its cool-down.
func TestCoolingGroupTakesNoPod(t *testing.T) {
	z := newZonalWorld(t, awsworld.NewDivided(t, nil, awsworld.Zoned(awsworld.Group("several", "g4dn.xlarge", 0, 0, 5, nil), "ab"),
		awsworld.Zoned(awsworld.Group("b-alone", "m5.large", 0, 0, 5, nil), "b")))
	z.AWS.AddShortage(fakeaws.Shortage{InstanceType: "m5.large"})
	require.Error(t, z.Grow("b-alone", 1), "launched where there is no capacity")
	pod := pending("b", "1", map[string]string{corev1.LabelTopologyZone: awsworld.ZoneB})
	assert.Empty(t, z.loop(z.zones(testclock.NewFakePassiveClock(time.Now())), "", pod), "the pod wakes, want none during the cool-down")
}

// A pod waits for the pause of a group of its zone, but not for ever.
func TestPausingGroupOfTheZoneComesFirst(t *testing.T) {
	for _, name := range []string{"a-several", "c-several"} {
		z := newZonalWorld(t, awsworld.NewDivided(t, nil, awsworld.Zoned(awsworld.Group(name, "m5.large", 0, 0, 5, nil), "ab"),
			awsworld.Zoned(awsworld.Group("b-alone", "g4dn.xlarge", 0, 0, 5, nil), "b")))
		z.AWS.AddShortage(fakeaws.Shortage{InstanceType: "g4dn.xlarge"})
		require.Error(t, z.Grow("b-alone", 1), "launched where there is no capacity")
		clock := testclock.NewFakePassiveClock(time.Now())
		zones, pod := z.zones(clock), pending("b", "1", map[string]string{corev1.LabelTopologyZone: awsworld.ZoneB})
		pod.CreationTimestamp = metav1.NewTime(clock.Now().Add(-10 * time.Second))
		z.loop(zones, "", pod)
		assert.Falsef(t, z.Dividing(), "%s will be divided for a pod that its own group takes soon", name)
		clock.SetTime(clock.Now().Add(5 * time.Minute))
		z.loop(zones, "", pod)
		assert.Truef(t, z.Dividing(), "%s will be divided for a pod that waits", name)
	}
}

func TestUntriedScaleUpDividesNoGroup(t *testing.T) {
	z := newZonalWorld(t, awsworld.NewDivided(t, nil, awsworld.Zoned(awsworld.Group("several", "m5.large", 0, 0, 5, nil), "ab")))
	pod := pending("b", "1", map[string]string{corev1.LabelTopologyZone: "cn-northwest-1b"})
	for _, result := range []scaleup.ScaleUpResult{scaleup.ScaleUpError, scaleup.ScaleUpNotTried, scaleup.ScaleUpInCooldown, scaleup.ScaleUpLimitedByMaxNodesTotal} {
		z.zones(testclock.NewFakePassiveClock(time.Now())).Process(z.ctx, &scaleup.ScaleUpStatus{Result: result,
			ConsideredNodeGroups: z.NodeGroups(), PodsRemainUnschedulable: []scaleup.NoScaleUpInfo{{Pod: pod}}})
		assert.Falsef(t, z.Dividing(), "result %d: the group will be divided", result)
	}
}

// A pod is tried on every group that has its zone. 1,000 pods that fit none of 20 groups must not hold up a loop.
func TestManyPodsTakeSeveralLoops(t *testing.T) {
	w := awsworld.NewDivided(t, nil, awsworld.Zoned(awsworld.Group("several", "m5.large", 0, 0, 5, nil), "ab"))
	z := newZonalWorld(t, w)
	s := &scaleup.ScaleUpStatus{Result: scaleup.ScaleUpNoOptionsAvailable, ConsideredNodeGroups: z.NodeGroups()}
	quick := z.checks(zoneChecking / 200)
	for i := range 250 {
		s.PodsRemainUnschedulable = append(s.PodsRemainUnschedulable, scaleup.NoScaleUpInfo{
			Pod: pending(fmt.Sprintf("web-%d", i), "64", map[string]string{corev1.LabelTopologyZone: "cn-northwest-1b"})})
	}
	zones := z.zones(quick.clock)
	for _, want := range []int{200, 250} {
		start := time.Now()
		zones.Process(z.ctx, s)
		t.Logf("%d pods looked at so far, this loop took %v", len(zones.nextLook), time.Since(start))
		assert.Equal(t, want, len(zones.nextLook), "pods were looked at")
	}
}

// The pods of one owner differ, as those of an indexed Job do, and each was compared with all before it. Their zone is none of the
// group's, so that a look at them takes no simulation.
// Many pods take long to compare, and the simulations still have their time.
func TestManyPodsDivideGroup(t *testing.T) {
	for _, grown := range []bool{false, true} {
		t.Run(fmt.Sprint("grown ", grown), func(t *testing.T) {
			z := newZonalWorld(t, awsworld.NewDivided(t, nil, awsworld.Zoned(awsworld.Group("several", "m5.large", 0, 0, 5, nil), "ab")))
			now, pod := testclock.NewFakeClock(time.Now()), zonesOnly(corev1.NodeSelectorOpIn, awsworld.ZoneB)
			zones := z.zones(now)
			slow := sync.OnceFunc(func() { now.Step(zoneChecking) })
			zones.Need = func(pod *corev1.Pod) (podzone.Need, bool) {
				slow()
				return z.pods.Need(pod)
			}
			zones.Raises = func(s *scaleup.ScaleUpStatus) []*scaleup.ScaleUpStatus {
				now.Step(zoneChecking)
				return oneByOne(s)
			}
			s := &scaleup.ScaleUpStatus{Result: scaleup.ScaleUpNoOptionsAvailable, ConsideredNodeGroups: z.NodeGroups(),
				PodsRemainUnschedulable: []scaleup.NoScaleUpInfo{{Pod: pod}}}
			if grown {
				pod.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{MaxSkew: 1, TopologyKey: corev1.LabelTopologyZone,
					WhenUnsatisfiable: corev1.DoNotSchedule, LabelSelector: &metav1.LabelSelector{}}}
				s = &scaleup.ScaleUpStatus{Result: scaleup.ScaleUpSuccessful, PodsTriggeredScaleUp: []*corev1.Pod{pod},
					ScaleUpInfos: []nodegroupset.ScaleUpInfo{{Group: z.NodeGroups()[0]}}}
			}
			zones.Process(z.ctx, s)
			assert.True(t, z.Dividing(), "the group will be divided")
		})
	}
}

func TestDifferentPodsAreComparedWithFewOthers(t *testing.T) {
	const pods, mostEach = 1000, 100 << 10
	z := newZonalWorld(t, awsworld.NewDivided(t, nil, awsworld.Zoned(awsworld.Group("b-alone", "m5.large", 0, 0, 5, nil), "b")))
	s := &scaleup.ScaleUpStatus{Result: scaleup.ScaleUpNoOptionsAvailable, ConsideredNodeGroups: z.NodeGroups()}
	for i := range pods {
		pod := pending(fmt.Sprintf("web-%d", i), "64", map[string]string{corev1.LabelTopologyZone: awsworld.ZoneA})
		pod.Labels = map[string]string{"index": pod.Name}
		pod.OwnerReferences = []metav1.OwnerReference{{Kind: "Job", Name: "web", UID: "web", Controller: new(true)}}
		s.PodsRemainUnschedulable = append(s.PodsRemainUnschedulable, scaleup.NoScaleUpInfo{Pod: pod})
	}
	zones := z.zones(testclock.NewFakePassiveClock(time.Now()))
	allocated := costlimit.Allocated(func() { zones.Process(z.ctx, s) })
	assert.Len(t, zones.nextLook, pods, "pods were looked at")
	assert.LessOrEqual(t, allocated/pods, uint64(mostEach), "bytes for each pod")
}

// checks counts how often a pod is tried on a node.
type checks struct {
	clustersnapshot.ClusterSnapshot
	count int
	clock *testclock.FakeClock // on which each takes that long
	each  time.Duration
}

// checks has each try of a pod on a node take so long.
func (z *zonalWorld) checks(each time.Duration) *checks {
	c := &checks{ClusterSnapshot: z.ctx.ClusterSnapshot, clock: testclock.NewFakeClock(time.Now()), each: each}
	z.ctx.ClusterSnapshot = c
	return c
}

func (c *checks) CheckPredicates(pod *corev1.Pod, node string) clustersnapshot.SchedulingError {
	c.count++
	c.clock.Step(c.each)
	return c.ClusterSnapshot.CheckPredicates(pod, node)
}

// Equal pods that fit none of many groups take the simulations of one, over as many loops as these take.
func TestManyGroupsTakeSeveralLoops(t *testing.T) {
	const zones, equal = 3, 5
	var groups []fakeaws.AutoScalingGroup
	for i := range 90 {
		groups = append(groups, awsworld.Zoned(awsworld.Group(fmt.Sprintf("several-%d", i), "m5.large", 0, 0, 5, nil), "abc"))
	}
	z := newZonalWorld(t, awsworld.NewDivided(t, nil, groups...))
	s := &scaleup.ScaleUpStatus{Result: scaleup.ScaleUpNoOptionsAvailable, ConsideredNodeGroups: z.NodeGroups()}
	for i := range equal {
		pod := pending(fmt.Sprintf("web-%d", i), "64", nil)
		pod.OwnerReferences = []metav1.OwnerReference{{Kind: "ReplicaSet", Name: "web", UID: "web", Controller: new(true)}}
		pod.Spec.Affinity = &corev1.Affinity{}
		s.PodsRemainUnschedulable = append(s.PodsRemainUnschedulable, scaleup.NoScaleUpInfo{Pod: pod})
	}
	slow := z.checks(10 * time.Millisecond)
	z.zones(slow.clock).Process(z.ctx, s)
	assert.Equal(t, 2*zones, slow.count, "simulations of 10 ms each in a loop, of whole groups")
	counted := z.checks(zoneChecking / 200)
	looks := z.zones(counted.clock)
	looks.Process(z.ctx, s)
	assert.Truef(t, counted.count == 201 && len(looks.nextLook) == 0, "%d simulations, and %d pods are done", counted.count, len(looks.nextLook))
	slices.Reverse(s.PodsRemainUnschedulable) // the core's order is by chance
	looks.Process(z.ctx, s)
	assert.Truef(t, counted.count == zones*len(groups) && len(looks.nextLook) == equal,
		"%d simulations in two loops for %d groups, and %d pods are done", counted.count, len(groups), len(looks.nextLook))
}
