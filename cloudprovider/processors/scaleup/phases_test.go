package scaleup

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	appsv1 "k8s.io/api/apps/v1"
	apiv1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	provreqv1 "k8s.io/autoscaler/cluster-autoscaler/apis/provisioningrequest/autoscaling.x-k8s.io/v1"
	testprovider "k8s.io/autoscaler/cluster-autoscaler/cloudprovider/test"
	"k8s.io/autoscaler/cluster-autoscaler/clusterstate"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	corescaleup "k8s.io/autoscaler/cluster-autoscaler/core/scaleup"
	"k8s.io/autoscaler/cluster-autoscaler/estimator"
	caprocessors "k8s.io/autoscaler/cluster-autoscaler/processors"
	"k8s.io/autoscaler/cluster-autoscaler/processors/callbacks"
	"k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/autoscaler/cluster-autoscaler/resourcequotas"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot/testsnapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/fake"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/utils/errors"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
	"k8s.io/utils/clock"
)

// inner notes the pods of each scale-up, with the kind that the core's orchestrator of provisioning requests would serve. It changes
// to the other kind as that orchestrator does.
type inner struct {
	corescaleup.Orchestrator
	ctx     *cacontext.AutoscalingContext
	calls   []call
	results []status.ScaleUpResult
	err     errors.AutoscalerError
}

type call struct {
	Pods       []string
	OfRequests bool
}

func (i *inner) Initialize(ctx *cacontext.AutoscalingContext, _ *caprocessors.AutoscalingProcessors, _ *clusterstate.ClusterStateRegistry,
	_ estimator.EstimatorBuilder, _ taints.TaintConfig, _ *resourcequotas.TrackerFactory) {
	i.ctx = ctx
}

func (i *inner) ScaleUp(pods []*apiv1.Pod, _ []*apiv1.Node, _ []*appsv1.DaemonSet, _ map[string]*framework.NodeInfo,
	_ bool) (*status.ScaleUpStatus, errors.AutoscalerError) {
	i.calls = append(i.calls, call{names(pods), i.ctx.ProvisioningRequestScaleUpMode})
	i.ctx.ProvisioningRequestScaleUpMode = !i.ctx.ProvisioningRequestScaleUpMode
	return &status.ScaleUpStatus{Result: i.results[len(i.calls)-1]}, i.err
}

func names(pods []*apiv1.Pod) (list []string) {
	for _, pod := range pods {
		list = append(list, pod.Name)
	}
	return list
}

// zonesByName are zones that pods need by their names.
type zonesByName struct{ views bool }

func (n zonesByName) Views() bool               { return n.views }
func (n zonesByName) Needs(pod *apiv1.Pod) bool { return pod.Name == "in-a" || pod.Name == "in-b" }

func podsNamed(names ...string) (list []*apiv1.Pod) {
	for _, name := range names {
		list = append(list, &apiv1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	return list
}

// spreadOver adds to a pod that nodes with the same value of the label have no more of its kind than others.
func spreadOver(label string, otherwise apiv1.UnsatisfiableConstraintAction) func(*apiv1.Pod) {
	return func(pod *apiv1.Pod) {
		pod.Spec.TopologySpreadConstraints = append(pod.Spec.TopologySpreadConstraints, apiv1.TopologySpreadConstraint{MaxSkew: 1, TopologyKey: label,
			WhenUnsatisfiable: otherwise, LabelSelector: &metav1.LabelSelector{MatchLabels: pod.Labels}})
	}
}

var (
	spreadOverNodes = spreadOver(apiv1.LabelHostname, apiv1.DoNotSchedule)
	spreadOverZones = spreadOver(apiv1.LabelTopologyZone, apiv1.DoNotSchedule)
	spreadOverPools = spreadOver("pool", apiv1.DoNotSchedule)
)

// requested are pods of a provisioning request.
func requested(names ...string) []*apiv1.Pod {
	list := podsNamed(names...)
	for _, pod := range list {
		pod.Annotations = map[string]string{provreqv1.ProvisioningRequestPodAnnotationKey: "request"}
	}
	return list
}

func TestPodsAreServedInPhases(t *testing.T) {
	const done, nothing, failed = status.ScaleUpSuccessful, status.ScaleUpNoOptionsAvailable, status.ScaleUpError
	room := fake.WithFakePodAnnotation(podsNamed("room")[0])
	for _, tt := range []struct {
		name        string
		loops       [][]*apiv1.Pod
		noViews     bool
		requests    bool // --enable-provisioning-requests
		forRequests bool // the turn of requests at the start of each loop
		results     []status.ScaleUpResult
		err         errors.AutoscalerError
		calls       []call
		later       [][]string // by loop
	}{
		{name: "pods that need a zone wait for the next loop", loops: [][]*apiv1.Pod{podsNamed("free", "in-a", "other", "in-b"), podsNamed("in-a", "in-b")},
			results: []status.ScaleUpResult{done, done}, calls: []call{{Pods: []string{"free", "other"}}, {Pods: []string{"in-a", "in-b"}}},
			later: [][]string{{"in-a", "in-b"}, nil}},
		{name: "their phase is next, whatever has come", loops: [][]*apiv1.Pod{podsNamed("free", "in-a"), podsNamed("new", "in-a"), podsNamed("new", "in-b")},
			results: []status.ScaleUpResult{done, done, done}, calls: []call{{Pods: []string{"free"}}, {Pods: []string{"in-a"}}, {Pods: []string{"new"}}},
			later: [][]string{{"in-a"}, {"new"}, {"in-b"}}},
		{name: "also after a failure", loops: [][]*apiv1.Pod{podsNamed("free", "in-a"), podsNamed("free", "in-a")}, results: []status.ScaleUpResult{failed, failed},
			err:   errors.NewAutoscalerError(errors.CloudProviderError, "denied"),
			calls: []call{{Pods: []string{"free"}}, {Pods: []string{"in-a"}}}, later: [][]string{{"in-a"}, {"free"}}},
		{name: "all pods where the phase helps none", loops: [][]*apiv1.Pod{podsNamed("free", "in-a"), podsNamed("free", "in-a")},
			results: []status.ScaleUpResult{nothing, done, nothing, done},
			calls:   []call{{Pods: []string{"free"}}, {Pods: []string{"free", "in-a"}}, {Pods: []string{"free"}}, {Pods: []string{"free", "in-a"}}},
			later:   [][]string{nil, nil}},
		{name: "pods of a provisioning request stay together", loops: [][]*apiv1.Pod{requested("free", "in-a")}, results: []status.ScaleUpResult{done},
			requests: true, calls: []call{{Pods: []string{"free", "in-a"}}}, later: [][]string{nil}},
		{name: "a request without room is tried once", loops: [][]*apiv1.Pod{slices.Concat(requested("free"), podsNamed("in-a"))}, requests: true, forRequests: true,
			results: []status.ScaleUpResult{nothing, done}, calls: []call{{[]string{"free"}, true}, {Pods: []string{"free", "in-a"}}}, later: [][]string{nil}},
		{name: "nobody serves the request", loops: [][]*apiv1.Pod{requested("free", "in-a")}, results: []status.ScaleUpResult{done},
			calls: []call{{Pods: []string{"free"}}}, later: [][]string{{"in-a"}}},
		{name: "room of a capacity buffer comes last", loops: [][]*apiv1.Pod{append(podsNamed("in-a"), room)}, results: []status.ScaleUpResult{done},
			calls: []call{{Pods: []string{"in-a"}}}, later: [][]string{{"room"}}},
		{name: "none needs a zone", loops: [][]*apiv1.Pod{podsNamed("free")}, results: []status.ScaleUpResult{done},
			calls: []call{{Pods: []string{"free"}}}, later: [][]string{nil}},
		{name: "all need one", loops: [][]*apiv1.Pod{podsNamed("in-a", "in-b")}, results: []status.ScaleUpResult{done},
			calls: []call{{Pods: []string{"in-a", "in-b"}}}, later: [][]string{nil}},
		{name: "no zone groups", loops: [][]*apiv1.Pod{podsNamed("free", "in-a")}, noViews: true, results: []status.ScaleUpResult{done},
			calls: []call{{Pods: []string{"free", "in-a"}}}, later: [][]string{nil}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			recorder := &inner{results: tt.results, err: tt.err}
			o := New(Options{Core: recorder, Zones: zonesByName{views: !tt.noViews}, Clock: clock.RealClock{}})
			o.Initialize(&cacontext.AutoscalingContext{CloudProvider: testprovider.NewTestCloudProviderBuilder().Build(),
				AutoscalingOptions: config.AutoscalingOptions{ProvisioningRequestEnabled: tt.requests}, ClusterSnapshot: testsnapshot.NewTestSnapshotOrDie(t), ProcessorCallbacks: callbacks.NewTestProcessorCallbacks()},
				nil, nil, nil, taints.TaintConfig{}, nil)
			var later [][]string
			for _, pods := range tt.loops {
				recorder.ctx.ProvisioningRequestScaleUpMode = tt.forRequests
				result, err := o.ScaleUp(pods, nil, nil, nil, false)
				later = append(later, names(result.PodsAwaitEvaluation))
				assert.Truef(t, (err != nil) == (tt.err != nil), "error %v, want %v", err, tt.err)
			}
			assert.Empty(t, cmp.Diff(tt.calls, recorder.calls), "scale-ups (-want +got)")
			assert.Empty(t, cmp.Diff(tt.later, later), "pods that await evaluation (-want +got)")
		})
	}
}

// One group of the zone has no label over which the pods are to be spread, too. The other takes them.
func TestGroupWithoutALabelKeepsPodsOutOfNoZone(t *testing.T) {
	w := newWorld(t, map[string]zone{"a/1": {max: 9}, "a/2": {max: 9, pool: "x"}, "b": {max: 9, pool: "x"}})
	s := &simulation{snapshot: w.ctx.ClusterSnapshot, templates: w.nodeInfos}
	pods := replicas("spread", 3, 100, func(pod *apiv1.Pod) {
		spreadOverZones(pod)
		spreadOverPools(pod)
	})
	for range 10 {
		assert.Empty(t, names(s.keptOut(pods)), "kept out of a zone")
	}
}
