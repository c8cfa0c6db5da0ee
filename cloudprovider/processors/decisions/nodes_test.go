package decisions

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	resourceapi "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	scaledownstatus "k8s.io/autoscaler/cluster-autoscaler/core/scaledown/status"
	"k8s.io/autoscaler/cluster-autoscaler/simulator"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/utilization"
	"k8s.io/autoscaler/cluster-autoscaler/utils/drain"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/scaledown"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
)

var noon = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

var blockingPod = &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "b"}}

func TestNodeReasonsNameState(t *testing.T) {
	g := &decision.Group{Name: "web", AutoScaling: "web", Min: 2, AtMin: []decision.Limit{{Size: 2, Needs: 1}, {Flag: "2:5:web", Size: 2, Needs: 1}}}
	young := blockingPod.DeepCopy()
	young.CreationTimestamp = metav1.NewTime(noon.Add(-10 * time.Minute))
	of := func(kind string) *corev1.Pod {
		pod := blockingPod.DeepCopy()
		pod.OwnerReferences = []metav1.OwnerReference{{Kind: kind, Name: "x", Controller: ptr.To(true)}}
		return pod
	}
	const evict, anyController = "kubectl -n a annotate pod b cluster-autoscaler.kubernetes.io/safe-to-evict=true --overwrite",
		"set --skip-nodes-with-custom-controller-pods=false, or if "
	for _, tt := range []struct {
		reason  simulator.UnremovableReason
		by      drain.BlockingPodReason
		pod     *corev1.Pod
		since   time.Time // not needed, with a delay of 10 minutes
		buffers []string
		most    int // --max-scale-down-parallelism beyond 1
		state   decision.NodeState
		code    decision.Code
		want    string
		remedy  string // "" for any
	}{
		{since: noon.Add(-time.Hour), state: decision.NodeUnneeded, code: decision.CodeUnneeded, want: "it is not needed and goes now"},
		{most: -1, since: noon.Add(-time.Hour), state: decision.NodeBlocked, code: decision.CodeScaleDownOff,
			want: "it is not needed, but no such node goes with --max-scale-down-parallelism below 1"},
		{reason: simulator.NodeGroupMaxDeletionCountReached, most: -1, state: decision.NodeBlocked, code: decision.CodeScaleDownOff,
			want: "--max-scale-down-parallelism below 1 keeps it", remedy: "raise --max-scale-down-parallelism"},
		{reason: simulator.NodeGroupMinSizeReached, state: decision.NodeBlocked, code: decision.CodeMinSize, want: `group "web" has its minimum size of 2`},
		{reason: simulator.BlockedByPod, by: drain.NotEnoughPdb, pod: blockingPod, state: decision.NodeBlocked, code: decision.CodePod, want: `another node goes first, whose pods need the disruption budget of pod "a/b"`},
		{reason: simulator.BlockedByPod, by: drain.UnexpectedError, pod: blockingPod, state: decision.NodeBlocked, code: decision.CodePod, want: `pod "a/b" keeps it (UnexpectedError)`},
		{reason: simulator.BlockedByPod, by: drain.NotReplicated, pod: blockingPod, state: decision.NodeBlocked, code: decision.CodePod,
			want: `pod "a/b" has no controller that would start it elsewhere`, remedy: "if it may end with the node, for good: " + evict},
		{reason: simulator.BlockedByPod, by: drain.NotReplicated, pod: of("StrimziPodSet"), state: decision.NodeBlocked, code: decision.CodePod,
			want:   `pod "a/b" belongs to "StrimziPodSet/x", and --skip-nodes-with-custom-controller-pods keeps the nodes of such pods`,
			remedy: anyController + "this pod may be evicted: " + evict},
		{reason: simulator.BlockedByPod, by: drain.ControllerNotFound, pod: of("Job"), state: decision.NodeBlocked, code: decision.CodePod,
			want:   `the controller "Job/x" of pod "a/b" does not exist, or is another project's kind of the same name`,
			remedy: anyController + "this pod may end for good: kubectl -n a delete pod b"},
		{reason: simulator.BlockedByPod, by: drain.MinReplicasReached, pod: of("ReplicaSet"), state: decision.NodeBlocked, code: decision.CodePod,
			want: `the controller of pod "a/b" has fewer replicas than --min-replica-count`, remedy: "lower --min-replica-count, or run more replicas"},
		{reason: simulator.BlockedByPod, by: drain.UnmovableKubeSystemPod, pod: young, state: decision.NodeBlocked, code: decision.CodePod,
			want: `pod "a/b" is a system pod without a disruption budget, and keeps the node until 2026-11-01 12:50:00 UTC (--blocking-system-pod-distruption-timeout=1h)`},
		{reason: simulator.NoPlaceToMovePods, buffers: []string{"a/b", "a/c"}, state: decision.NodeNeeded, code: decision.CodeNoPlace,
			want: `its pods and those of capacity buffers "a/b" and "a/c" fit on no other node`},
		{reason: simulator.NoPlaceToMovePods, pod: blockingPod, state: decision.NodeNeeded, code: decision.CodeNoPlace,
			want: `the topologySpreadConstraints of pod "a/b" leave it no other place while this node exists`},
		{reason: simulator.CurrentlyBeingDeleted, state: decision.NodeDraining, code: decision.CodeUnneeded, want: "it is drained because it is not needed"},
		{reason: simulator.UnexpectedError, state: decision.NodeNeeded, code: decision.CodeOther, want: "the core keeps it after an error"},
	} {
		t.Run(tt.want, func(t *testing.T) {
			kept := &scaledownstatus.UnremovableNode{Reason: tt.reason}
			if tt.pod != nil {
				kept.BlockingPod = &drain.BlockingPod{Pod: tt.pod, Reason: tt.by}
			}
			f := &facts{at: noon, buffers: map[string][]string{"n": tt.buffers}, unneeded: map[string]scaledown.Unneeded{"n": {Since: tt.since, Length: 10 * time.Minute}}}
			o := decision.Node{Name: "n"}
			core := config.AutoscalingOptions{BspDisruptionTimeout: time.Hour, MaxScaleDownParallelism: 1 + tt.most, MaxDrainParallelism: 1}
			(&cluster{Collector: New(Config{Core: core}), facts: f}).weigh(&o, member{}, g, kept)
			if o.State != tt.state || o.Reason.Code != tt.code || o.Reason.Message != tt.want {
				t.Errorf("got %s %+v, want %s %s %q", o.State, o.Reason, tt.state, tt.code, tt.want)
			}
			assert.Truef(t, tt.remedy == "" || o.Reason.Remedy == tt.remedy, "remedy %q, want %q", o.Reason.Remedy, tt.remedy)
			lower := "lower the minimum in --nodes=2:5:web, and in AWS to 1: aws autoscaling update-auto-scaling-group --auto-scaling-group-name web --min-size 1"
			assert.Truef(t, tt.code != decision.CodeMinSize || o.Reason.Remedy == lower, "remedy %q, want %q", o.Reason.Remedy, lower)
		})
	}
}

// known is a registry with the next node of every group.
type known struct {
	cacontext.TemplateNodeInfoRegistry
	info *framework.NodeInfo
}

func (k known) GetNodeInfo(string) (*framework.NodeInfo, bool) { return k.info, k.info != nil }

func TestOnlyANodeWithoutAnyAcceleratorLacksOne(t *testing.T) {
	w := awsworld.New(t, nil, awsworld.Group("gpu", "g4dn.xlarge", 0, 1, 5, nil))
	w.NextLoop()
	slices := []*resourceapi.ResourceSlice{{Spec: resourceapi.ResourceSliceSpec{Driver: "gpu.nvidia.com"}}}
	assumed := []*resourceapi.ResourceSlice{slices[0].DeepCopy()}
	nodemeta.Assumed.Mark(assumed[0])
	for name, tt := range map[string]struct {
		shown corev1.ResourceList
		next  []*resourceapi.ResourceSlice // of the group's next node
		want  corev1.ResourceName
	}{
		"nothing":                {want: "nvidia.com/gpu"},
		"nothing, as is assumed": {next: assumed, want: "nvidia.com/gpu"},
		"parts":                  {shown: awsworld.Resources("nvidia.com/mig-1g.10gb", "7", "nvidia.com/gpu", "0")},
		"slices":                 {next: slices},
	} {
		node := awsworld.M5Large("n", "", nil)
		node.Status.Allocatable = tt.shown
		ctx := &cacontext.AutoscalingContext{TemplateNodeInfoRegistry: known{info: framework.NewNodeInfo(node, tt.next)}}
		k := &cluster{Collector: New(Config{}), facts: &facts{at: noon, view: w.View(), context: ctx}}
		assert.Equalf(t, tt.want, k.lacks(member{node: node, group: "gpu"}), "of a node that shows %s", name)
	}
}

func TestRetainedInstanceIsToBeTerminated(t *testing.T) {
	kept := "AWS keeps its instance, and charges for it, until somebody terminates it"
	for state, want := range map[group.Lifecycle]string{"Terminating:Wait": "its instance is being terminated", "Terminating:Retained": kept} {
		o := decision.Node{Name: "n"}
		m := member{node: &corev1.Node{}, instance: &group.Instance{ID: "i-1", Lifecycle: state}}
		(&cluster{Collector: New(Config{}), facts: &facts{at: noon}}).judgeNode(&o, m, nil, nil)
		assert.Truef(t, o.State == decision.NodeLeaving && o.Reason.Message == want, "in state %s it is %s: %+v", state, o.State, o.Reason)
		assert.Equalf(t, want == kept, strings.Contains(o.Reason.Remedy, "--instance-id i-1 --no-should-decrement-desired-capacity"), "remedy %q", o.Reason.Remedy)
	}
}

func TestNodeWhoseRemovalFailedSaysWhy(t *testing.T) {
	denied := failedRemoval{decision.Reason{Code: decision.CodeDenied, Message: "AWS denied it", Remedy: "asgctl account"}, noon.Add(-time.Minute)}
	for since, again := range map[time.Time]string{noon.Add(-time.Hour): "soon", noon: "at 12:10:00 UTC"} {
		f := &facts{at: noon, earlier: earlier{refused: map[string]failedRemoval{"n": denied}},
			unneeded: map[string]scaledown.Unneeded{"n": {Since: since, Length: 10 * time.Minute}}}
		for reason, state := range map[simulator.UnremovableReason]decision.NodeState{simulator.RecentlyUnremovable: decision.NodeBlocked,
			simulator.NotUnneededLongEnough: decision.NodeBlocked, simulator.NoPlaceToMovePods: decision.NodeNeeded} {
			o := decision.Node{Name: "n"}
			core := config.AutoscalingOptions{MaxScaleDownParallelism: 10, MaxDrainParallelism: 1}
			(&cluster{Collector: New(Config{Core: core}), facts: f}).weigh(&o, member{}, nil, &scaledownstatus.UnremovableNode{Reason: reason})
			want := denied.Reason
			want.Message = "its last removal failed at 11:59:00 UTC: AWS denied it, and is tried again " + again
			if reason == simulator.RecentlyUnremovable { // of a node that was asked to go
				want.Message = strings.TrimSuffix(want.Message, again) + "soon"
			}
			assert.Truef(t, o.State == state && (o.Reason == want) == (state == decision.NodeBlocked) && o.RemovalAt.IsZero(),
				"node %+v, want it %s, and if that is blocked for %+v", o, state, want)
		}
	}
}

func TestCoolDownNamesItsFlags(t *testing.T) {
	says := "it is not needed, and no node goes for a while after another change"
	for want, core := range map[string]config.AutoscalingOptions{
		says: {}, says + " (--scale-down-delay-after-failure=3m)": {ScaleDownDelayAfterFailure: 3 * time.Minute},
		says + " (--scale-down-delay-after-add=10m, --scale-down-delay-after-delete=10s)": {ScaleDownDelayAfterAdd: 10 * time.Minute, ScaleDownDelayAfterDelete: 10 * time.Second},
	} {
		core.MaxScaleDownParallelism, core.MaxDrainParallelism = 10, 1
		o := decision.Node{Name: "n"}
		f := &facts{at: noon, scaleDown: &scaledownstatus.ScaleDownStatus{Result: scaledownstatus.ScaleDownInCooldown}}
		(&cluster{Collector: New(Config{Core: core}), facts: f}).weigh(&o, member{}, nil, nil)
		assert.Equal(t, want, o.Reason.Message)
	}
}

// A DaemonSet that requests all GPUs of a node leaves nothing to divide by, and JSON has no word for that.
func TestUtilizationThatIsNoNumber(t *testing.T) {
	for _, none := range []float64{math.NaN(), math.Inf(1)} {
		o := decision.Node{Name: "n", Utilization: -1}
		kept := &scaledownstatus.UnremovableNode{Reason: simulator.NoPlaceToMovePods, UtilInfo: &utilization.Info{Utilization: none}}
		(&cluster{Collector: New(Config{}), facts: &facts{at: noon}}).weigh(&o, member{}, nil, kept)
		assert.InDelta(t, -1, o.Utilization, 0, "not computed")
		gone := &scaledownstatus.ScaleDownNode{Node: &corev1.Node{}, UtilInfo: utilization.Info{Utilization: none}}
		assert.Equal(t, "not needed for 10m", removal(gone, noon.Add(-10*time.Minute), noon))
	}
}

func TestBudgetThatAllowsNoEviction(t *testing.T) {
	one, two, zero, most, all := intstr.FromInt32(1), intstr.FromInt32(2), intstr.FromInt32(0), intstr.FromString("80%"), intstr.FromString("100%")
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "api-1", Labels: map[string]string{"pod-template-hash": "5f"},
		OwnerReferences: []metav1.OwnerReference{{Kind: "ReplicaSet", Name: "api-5f", Controller: ptr.To(true)}}}}
	for _, tt := range []struct {
		name            string
		spec            policyv1.PodDisruptionBudgetSpec
		status          policyv1.PodDisruptionBudgetStatus
		message, remedy string
		owner           string // "ReplicaSet" if empty
	}{
		{"too few replicas", policyv1.PodDisruptionBudgetSpec{MinAvailable: &one}, policyv1.PodDisruptionBudgetStatus{ExpectedPods: 1, CurrentHealthy: 1, DesiredHealthy: 1},
			"minAvailable 1 of 1 pod", "run one pod more than the budget needs: kubectl -n default scale deployment api --replicas=2", ""},
		{"fewer replicas than it wants", policyv1.PodDisruptionBudgetSpec{MinAvailable: &two}, policyv1.PodDisruptionBudgetStatus{ExpectedPods: 1, CurrentHealthy: 1, DesiredHealthy: 2},
			"minAvailable 2 of 1 pod", "run one pod more than the budget needs: kubectl -n default scale deployment api --replicas=3", ""},
		{"as many healthy ones as it wants", policyv1.PodDisruptionBudgetSpec{MinAvailable: &two}, policyv1.PodDisruptionBudgetStatus{ExpectedPods: 4, CurrentHealthy: 2, DesiredHealthy: 2},
			"minAvailable 2 of 4 pods, 2 healthy", "see which pods are not ready: kubectl -n default get pods", ""},
		{"a percentage that is rounded up", policyv1.PodDisruptionBudgetSpec{MinAvailable: &most}, policyv1.PodDisruptionBudgetStatus{ExpectedPods: 2, CurrentHealthy: 2, DesiredHealthy: 2},
			"minAvailable 80% of 2 pods", "run one pod more than the budget needs: kubectl -n default scale deployment api --replicas=5", ""},
		{"an owner that kubectl does not scale", policyv1.PodDisruptionBudgetSpec{MinAvailable: &one}, policyv1.PodDisruptionBudgetStatus{ExpectedPods: 1, CurrentHealthy: 1, DesiredHealthy: 1},
			"minAvailable 1 of 1 pod", "let it allow an eviction: kubectl -n default edit poddisruptionbudget api", "StrimziPodSet"},
		{"none may go", policyv1.PodDisruptionBudgetSpec{MaxUnavailable: &zero}, policyv1.PodDisruptionBudgetStatus{ExpectedPods: 3, CurrentHealthy: 3, DesiredHealthy: 3},
			"maxUnavailable 0 of 3 pods", "let it allow an eviction: kubectl -n default edit poddisruptionbudget api", ""},
		{"all must stay", policyv1.PodDisruptionBudgetSpec{MinAvailable: &all}, policyv1.PodDisruptionBudgetStatus{ExpectedPods: 3, CurrentHealthy: 3, DesiredHealthy: 3},
			"minAvailable 100% of 3 pods", "let it allow an eviction: kubectl -n default edit poddisruptionbudget api", ""},
		{"broken pods", policyv1.PodDisruptionBudgetSpec{MinAvailable: &one}, policyv1.PodDisruptionBudgetStatus{ExpectedPods: 2, CurrentHealthy: 0, DesiredHealthy: 1},
			"minAvailable 1 of 2 pods, 0 healthy", "see which pods are not ready: kubectl -n default get pods", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o, of := decision.Node{Pod: "default/api-1"}, pod.DeepCopy()
			if tt.owner != "" {
				of.OwnerReferences[0].Kind = tt.owner
			}
			unremovable{UnremovableNode: &scaledownstatus.UnremovableNode{BlockingPod: &drain.BlockingPod{Pod: of, Reason: drain.NotEnoughPdb}},
				budget: &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Name: "api"}, Spec: tt.spec, Status: tt.status}}.blockedByPod(&o, time.Hour)
			want := decision.Reason{Code: decision.CodePod, Message: `the disruption budget "api" of pod "default/api-1" allows no eviction (` + tt.message + ")", Remedy: tt.remedy}
			assert.Empty(t, cmp.Diff(want, o.Reason), "reason (-want +got)")
		})
	}
}

func TestPodWithTwoBudgetsNamesThem(t *testing.T) {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "api-1"}}
	o := decision.Node{Pod: "default/api-1"}
	unremovable{UnremovableNode: &scaledownstatus.UnremovableNode{BlockingPod: &drain.BlockingPod{Pod: pod, Reason: drain.NotEnoughPdb}},
		budget: &policyv1.PodDisruptionBudget{}, budgets: []string{"api", "chart"}}.blockedByPod(&o, time.Hour)
	want := decision.Reason{Code: decision.CodePod,
		Message: `more than one disruption budget selects pod "default/api-1" (api, chart), and the API server refuses each eviction of such a pod`,
		Remedy:  "leave it one, by their selectors: kubectl -n default edit poddisruptionbudget api chart"}
	assert.Empty(t, cmp.Diff(want, o.Reason), "reason (-want +got)")
}
