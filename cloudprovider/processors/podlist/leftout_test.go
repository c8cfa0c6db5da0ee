package podlist

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	provreqv1 "k8s.io/autoscaler/cluster-autoscaler/apis/provisioningrequest/autoscaling.x-k8s.io/v1"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/processors/callbacks"
	"k8s.io/autoscaler/cluster-autoscaler/processors/provreq"
	provreqpods "k8s.io/autoscaler/cluster-autoscaler/provisioningrequest/pods"
	"k8s.io/autoscaler/cluster-autoscaler/provisioningrequest/provreqclient"
	"k8s.io/autoscaler/cluster-autoscaler/provisioningrequest/provreqwrapper"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/fake"
	"k8s.io/autoscaler/cluster-autoscaler/utils/annotations"
	utiltest "k8s.io/autoscaler/cluster-autoscaler/utils/test"
	"k8s.io/client-go/tools/record"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption"
)

// The core's filter lets no pod cause a scale-up that consumes a request, and so none that comes again after the request was deleted.
func TestPodsWhoseRequestHoldsNoRoomAreLikeOthers(t *testing.T) {
	now := time.Now()
	request := func(name string, conditions ...string) *provreqwrapper.ProvisioningRequest {
		r := provreqclient.ProvisioningRequestWrapperForTesting("default", name)
		for _, c := range conditions {
			r.Status.Conditions = append(r.Status.Conditions, metav1.Condition{Type: c, Status: metav1.ConditionTrue})
		}
		return r
	}
	unsure := request("unsure")
	unsure.Status.Conditions = []metav1.Condition{{Type: provreqv1.Failed, Status: metav1.ConditionFalse}}
	client := provreqclient.NewFakeProvisioningRequestClient(t.Context(), t, request("new"), unsure, request("booked", provreqv1.Provisioned),
		request("failed", provreqv1.Failed), request("over", provreqv1.Provisioned, provreqv1.BookingExpired))
	ctx := &cacontext.AutoscalingContext{AutoscalingKubeClients: cacontext.AutoscalingKubeClients{Recorder: record.NewFakeRecorder(10)}}
	for _, tt := range []struct {
		request string
		waits   bool // for a node
	}{{"gone", true}, {"late", false}, {"failed", true}, {"over", true}, {"new", false}, {"unsure", false}, {"booked", false}} {
		for _, key := range []string{provreqv1.ProvisioningRequestPodAnnotationKey, provreqpods.DeprecatedProvisioningRequestPodAnnotationKey} {
			consumer := pod("consumer", "", func(p *corev1.Pod) {
				p.Annotations = map[string]string{key: tt.request, "other": "stays"}
				if tt.request != "late" {
					p.CreationTimestamp = metav1.NewTime(now.Add(-time.Hour))
				} else {
					p.CreationTimestamp = metav1.NewTime(now.Add(-time.Minute))
				}
			})
			pending := []*corev1.Pod{consumer, pod("other", "")}
			got, err := Consumers{Client: client, Clock: clocktesting.NewFakePassiveClock(now)}.Process(ctx, pending)
			require.NoError(t, err)
			got, err = provreq.NewProvisioningRequestPodsFilter(provreq.NewDefautlEventManager()).Process(ctx, got)
			require.NoError(t, err)
			assert.Lenf(t, got, map[bool]int{true: 2, false: 1}[tt.waits], "pods with and beside one with %s=%s", key, tt.request)
			if tt.waits {
				assert.Equal(t, map[string]string{"other": "stays"}, got[0].Annotations)
			}
			assert.Equal(t, tt.request, RequestOf(consumer), "the informer's pod")
			assert.Same(t, consumer, pending[0], "the core's list")
		}
	}
}

// The core leaves out pods that are not older than the delay. The informer's pods stay as they are.
func TestPodsFromTheFutureAreHelpedUnlessTheyWait(t *testing.T) {
	now := time.Now()
	created := func(ago time.Duration) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.CreationTimestamp = metav1.NewTime(now.Add(-ago)) }
	}
	waits := func(p *corev1.Pod) {
		p.Annotations = map[string]string{annotations.PodScaleUpDelayAnnotationKey: "30s"}
	}
	for _, tt := range []struct {
		name        string
		delay       time.Duration
		pod         *corev1.Pod
		age, before time.Duration
	}{
		{name: "from the future", pod: pod("p", "", created(-90*time.Second)), age: time.Minute, before: -90 * time.Second},
		{name: "new", pod: pod("p", "", created(time.Second)), age: time.Second, before: time.Second},
		{name: "from the future, with the flag", delay: 30 * time.Second, pod: pod("p", "", created(-time.Second)), age: -time.Second, before: -time.Second},
		{name: "from the future, with its own delay", pod: pod("p", "", created(-time.Second), waits), age: -time.Second, before: -time.Second},
	} {
		ctx := &cacontext.AutoscalingContext{AutoscalingOptions: config.AutoscalingOptions{NewPodScaleUpDelay: tt.delay}}
		got, err := Ahead{Clock: clocktesting.NewFakePassiveClock(now)}.Process(ctx, []*corev1.Pod{tt.pod})
		require.NoError(t, err)
		assert.Equal(t, tt.age, now.Sub(got[0].CreationTimestamp.Time), tt.name)
		assert.Equal(t, tt.before, now.Sub(tt.pod.CreationTimestamp.Time), "%s: the informer's pod", tt.name)
	}
}

// A rollout without a surge makes its next pod while the last one is ending. The scheduler's filters know which nodes take it.
func TestPodsThatFitOnceOthersHaveEndedLaunchNoNodeForAWhile(t *testing.T) {
	now := time.Unix(1000, 0)
	ago := func(d time.Duration) metav1.Time { return metav1.NewTime(now.Add(-d)) }
	created := func(d time.Duration) func(*corev1.Pod) { return func(p *corev1.Pod) { p.CreationTimestamp = ago(d) } }
	gpu := func(p *corev1.Pod) { utiltest.RequestGpuForPod(p, 1) }
	scheduled := func(p *corev1.Pod) {
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionTrue}}
	}
	tolerant := func(p *corev1.Pod) { p.Spec.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}} }
	waits := func(name string, cpus int64, change ...func(*corev1.Pod)) *corev1.Pod {
		p := plannedPod(name, cpus, "")
		for _, c := range append([]func(*corev1.Pod){created(time.Second)}, change...) {
			c(p)
		}
		return p
	}
	ends := func(p *corev1.Pod) { p.DeletionTimestamp = ptr.To(ago(-20 * time.Second)) }
	for _, tt := range []struct {
		name    string
		on      string // the node of the pod old, which has 3 of its 4 CPUs, and the only GPU
		old     func(*corev1.Pod)
		pending []*corev1.Pod
		want    []string // pods that a node is launched for
	}{
		{"the next pod", "a-1", ends, []*corev1.Pod{waits("new", 3)}, nil},
		{"one for each pod that is ending", "a-1", ends, []*corev1.Pod{waits("new", 3), waits("other", 3)}, []string{"other"}},
		{"a larger pod", "a-1", ends, []*corev1.Pod{waits("new", 5)}, []string{"new"}},
		{"beside a pod that stays", "a-1", func(*corev1.Pod) {}, []*corev1.Pod{waits("new", 3)}, []string{"new"}},
		{"it waits long enough", "a-1", ends, []*corev1.Pod{waits("new", 3, created(10*time.Second))}, []string{"new"}},
		{"with a GPU", "a-1", ends, []*corev1.Pod{waits("new", 3, gpu, created(29*time.Second))}, nil},
		{"with a GPU, long enough", "a-1", ends, []*corev1.Pod{waits("new", 3, gpu, created(30*time.Second))}, []string{"new"}},
		{"the old pod hangs", "a-1", func(p *corev1.Pod) { p.DeletionTimestamp = ptr.To(ago(5 * time.Second)) }, []*corev1.Pod{waits("new", 3)}, []string{"new"}},
		{"the old pod has an hour to end", "a-1", func(p *corev1.Pod) { p.DeletionTimestamp = ptr.To(ago(-time.Hour)) }, []*corev1.Pod{waits("new", 3)}, []string{"new"}},
		{"a pod of a DaemonSet, whose place the next one takes", "a-1", func(p *corev1.Pod) {
			ends(p)
			p.OwnerReferences = []metav1.OwnerReference{{Kind: "DaemonSet", Controller: ptr.To(true)}}
		}, []*corev1.Pod{waits("new", 3)}, []string{"new"}},
		{"a static pod, which kubelet starts again", "a-1", func(p *corev1.Pod) {
			ends(p)
			p.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "hash"}
		}, []*corev1.Pod{waits("new", 3)}, []string{"new"}},
		{"a cordoned node", "a-cordoned", ends, []*corev1.Pod{waits("new", 3)}, []string{"new"}},
		{"a node that the core removes", "a-drained", ends, []*corev1.Pod{waits("new", 3)}, []string{"new"}},
		{"a node that AWS takes", "a-taken", ends, []*corev1.Pod{waits("new", 3)}, []string{"new"}},
		{"a node that AWS takes, tolerated", "a-taken", ends, []*corev1.Pod{waits("new", 3, tolerant)}, []string{"new"}},
		{"a node that is not Ready", "a-dead", ends, []*corev1.Pod{waits("new", 3)}, []string{"new"}},
		{"a node that is drained without a cordon", "a-draining", ends, []*corev1.Pod{waits("new", 3)}, []string{"new"}},
		{"a pod that runs on a node which AWS takes", "a-1", ends, []*corev1.Pod{waits("new", 3, scheduled)}, []string{"new"}},
		{"a pod that only the core has made", "a-1", ends, []*corev1.Pod{fake.WithFakePodAnnotation(waits("new", 3))}, []string{"new"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			nodes := []string{"a-1", "a-cordoned", "a-drained", "a-taken", "a-dead", "a-draining"}
			_, ctx := newFreeRoom(t, nodes, nil)
			for _, name := range nodes {
				info, err := ctx.ClusterSnapshot.GetNodeInfo(name)
				require.NoError(t, err)
				node := info.Node().DeepCopy()
				utiltest.AddGpusToNode(node, 1)
				if node.Spec.Taints = info.Node().Spec.Taints; name == "a-taken" {
					node.Spec.Taints = []corev1.Taint{{Key: interruption.Taint, Effect: corev1.TaintEffectNoSchedule}}
				}
				info.SetNode(node)
				busy := plannedPod("old", 3, "")
				gpu(busy)
				busy.Spec.NodeName = name
				if name == tt.on {
					tt.old(busy)
				}
				require.NoError(t, ctx.ClusterSnapshot.ForceAddPod(busy, name))
			}
			before := podsOn(t, ctx.ClusterSnapshot)
			loop := callbacks.NewTestProcessorCallbacks()
			ctx.ProcessorCallbacks = loop
			var held []*corev1.Pod
			e := &Ending{Clock: clocktesting.NewFakePassiveClock(now), Drains: &handler{draining: []string{"a-draining"}},
				Held: func(pods []*corev1.Pod) { held = pods }}
			got, err := e.Process(ctx, tt.pending)
			require.NoError(t, err)
			assert.ElementsMatch(t, tt.pending, append(held, got...), "pods held and launched for")
			var due time.Time
			if len(held) > 0 {
				due = held[0].CreationTimestamp.Add(Patience(held[0]))
			}
			assert.Equal(t, due, e.Next(now), "when the next loop is due")
			assert.Zero(t, e.Next(due), "after a loop that did not get to the pods")
			var names []string
			for _, p := range got {
				names = append(names, p.Name)
			}
			assert.Equal(t, tt.want, names)
			assert.Equal(t, before, podsOn(t, ctx.ClusterSnapshot), "for the scale-down")
			assert.Equal(t, len(got) < len(tt.pending), loop.ScaleDownDisabledForLoop, "no node goes while pods wait for room")
		})
	}
}
