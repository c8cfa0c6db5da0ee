package scaledown

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/processors/callbacks"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodes"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot/testsnapshot"
	caerrors "k8s.io/autoscaler/cluster-autoscaler/utils/errors"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/move"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// everyNode is a ScaleDownNodeProcessor that lets every node be removed, and take pods.
type everyNode struct{ nodes.ScaleDownNodeProcessor }

func (everyNode) GetScaleDownCandidates(_ *cacontext.AutoscalingContext, all []*corev1.Node) ([]*corev1.Node, caerrors.AutoscalerError) {
	return all, nil
}

func (everyNode) GetPodDestinationCandidates(_ *cacontext.AutoscalingContext, all []*corev1.Node) ([]*corev1.Node, caerrors.AutoscalerError) {
	return all, nil
}

// candidates are the names of the nodes that the processor lets be removed.
func candidates(t *testing.T, of nodes.ScaleDownNodeProcessor, all ...*corev1.Node) (names []string) {
	t.Helper()
	ctx := &cacontext.AutoscalingContext{ClusterSnapshot: testsnapshot.NewTestSnapshotOrDie(t), ProcessorCallbacks: callbacks.NewTestProcessorCallbacks()}
	list, err := of.GetScaleDownCandidates(ctx, all)
	require.NoError(t, err)
	for _, n := range list {
		names = append(names, n.Name)
	}
	return names
}

func fresh(w *awsworld.World) *FreshCandidates {
	return NewFreshCandidates(w.Provider, nil, clocktesting.NewFakePassiveClock(start), everyNode{})
}

func TestDisabledKeepsNodesAsDestinations(t *testing.T) {
	disabled := &Requests{ScaleDownNodeProcessor: everyNode{}, Removals: &Removals{rollback: newRollback(clocktesting.NewFakePassiveClock(start))}, Off: true,
		AfterScaleUp: func(*cacontext.AutoscalingContext) map[string]bool { return nil }}
	all := []*corev1.Node{{}}
	assert.Empty(t, candidates(t, disabled, all...), "nodes are considered for removal")
	got, err := disabled.GetPodDestinationCandidates(nil, all)
	assert.Truef(t, err == nil && len(got) == 1, "pods may move to %d nodes, %v, want 1", len(got), err)
}

func TestOldReadingForbidsRemoval(t *testing.T) {
	now := clocktesting.NewFakeClock(time.Now())
	w := awsworld.NewStill(t, awsworld.Group("a", "m5.large", 0, 1, 5, nil), func(o *asg.Options, _ *aws.Options) { o.Clock = now })
	forbids := func(after time.Duration) bool {
		now.Step(after)
		loop := callbacks.NewTestProcessorCallbacks()
		ctx := &cacontext.AutoscalingContext{ClusterSnapshot: testsnapshot.NewTestSnapshotOrDie(t), ProcessorCallbacks: loop}
		list, err := fresh(w).GetScaleDownCandidates(ctx, []*corev1.Node{{}})
		assert.Truef(t, err == nil && len(list) == 1, "candidates %v, %v", list, err)
		return loop.ScaleDownDisabledForLoop
	}
	assert.False(t, forbids(3*time.Minute))
	assert.True(t, forbids(time.Second))
	w.Reread()
	assert.False(t, forbids(0))
}

func TestNodeThatIsRebootedIsNoCandidate(t *testing.T) {
	w := awsworld.NewStill(t, awsworld.Group("a", "m5.large", 0, 1, 5, nil), nil)
	for step, want := range map[move.Step]int{move.Rebooting: 0, move.Rebooted: 1, move.Waiting: 1} {
		n := &corev1.Node{}
		n.Annotations = map[string]string{move.Annotation: move.State{Reason: move.Repair, Step: step}.Text()}
		assert.Lenf(t, candidates(t, fresh(w), n), want, "%s", step)
	}
}

func TestShiftedZoneHasNoCandidates(t *testing.T) {
	zone := &[]string{awsworld.ZoneB}
	for name, tt := range map[string]struct {
		enabled bool
		tags    map[string]string
		shift   fakeaws.GroupEdit
	}{
		"of the group":   {enabled: true, shift: fakeaws.GroupEdit{ShiftedZones: zone}},
		"of its cluster": {tags: map[string]string{"eks:cluster-name": "prod"}, shift: fakeaws.GroupEdit{ClusterShiftedZones: zone}},
	} {
		t.Run(name, func(t *testing.T) {
			shifting := awsworld.Zoned(awsworld.Group("a", "m5.large", 0, 2, 5, tt.tags), "ab")
			shifting.ZonalShift = tt.enabled
			w := awsworld.NewAWS(t, nil, shifting)
			require.NoError(t, w.AWS.EditGroup("a", tt.shift))
			w = w.RestartedWith(nil)
			var all []*corev1.Node
			for _, i := range w.Cache.Snapshot().Group("a").Instances {
				n := awsworld.Node(i.Zone, nodemeta.ProviderID(i.Zone, i.ID))
				n.Spec.Unschedulable = i.Zone == awsworld.ZoneB // as EKS cordons it
				all = append(all, n)
			}
			w.Eventually(func() string { return cmp.Diff([]string{awsworld.ZoneA}, candidates(t, fresh(w), all...)) })
			for _, n := range all {
				assert.Equalf(t, n.Name == awsworld.ZoneB, w.Keeps(n), "the node in %s stays whatever its pods", n.Name)
			}
		})
	}
}

// A lifecycle hook may hold an ending instance for hours. The core would remove its node in every loop, and move pods to it.
func TestNodeOfEndingInstanceNeitherGoesNorTakesPods(t *testing.T) {
	w := awsworld.New(t, func(c *fakeaws.Config) { c.Delays.Terminate = fakeaws.Duration(time.Hour) }, awsworld.Group("a", "m5.large", 0, 2, 5, nil))
	nodes := w.Members("a", nil)
	require.NoError(t, w.NodeGroup("a").DeleteNodes(nodes[:1]))
	want := []string{nodes[1].Name}
	assert.Equal(t, want, candidates(t, fresh(w), nodes...), "nodes that may go")
	destinations, err := fresh(w).GetPodDestinationCandidates(nil, nodes)
	assert.Truef(t, err == nil && len(destinations) == 1 && destinations[0] == nodes[1], "pods may move to %v, %v, want %s", destinations, err, want)
}

// AWS does not let an instance in standby be terminated. The core would drain its node, fail, and drain it again.
func TestInstanceInStandbyIsNoCandidate(t *testing.T) {
	w := awsworld.New(t, nil, awsworld.Group("a", "m5.large", 0, 2, 5, nil))
	nodes := w.Members("a", nil)
	standby, _ := nodemeta.Instance(nodes[0].Spec.ProviderID)
	require.NoError(t, w.AWS.Do(fakeaws.Deed{Kind: fakeaws.Standby, Group: "a", Instances: []string{standby}}))
	w.Eventually(func() string {
		w.Reread()
		return cmp.Diff([]string{nodes[1].Name}, candidates(t, fresh(w), nodes...))
	})
}
