package nomination

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/plan"
)

type world struct {
	*testing.T
	*Nominator
	cluster *fake.Clientset
	metrics *prometheus.Registry
	patch   func(write func() (*corev1.Pod, error)) (*corev1.Pod, error) // what becomes of a write of the Nominator
}

// client is the Nominator's, and core a part of it. The test fails if it asks for nodes: informers show them, and nothing may write them.
type client struct {
	kubernetes.Interface
	w *world
}

type core struct {
	corev1client.CoreV1Interface
	w *world
}

func (c client) CoreV1() corev1client.CoreV1Interface { return core{c.Interface.CoreV1(), c.w} }

func (c core) Nodes() corev1client.NodeInterface {
	c.w.Error("the Nominator asks for nodes")
	return c.CoreV1Interface.Nodes()
}

func (c core) Pods(namespace string) corev1client.PodInterface {
	return pods{c.CoreV1Interface.Pods(namespace), c.w}
}

type pods struct {
	corev1client.PodInterface
	w *world
}

func (p pods) Patch(ctx context.Context, name string, kind types.PatchType, data []byte, opts metav1.PatchOptions, subresources ...string) (*corev1.Pod, error) {
	return p.w.patch(func() (*corev1.Pod, error) { return p.PodInterface.Patch(ctx, name, kind, data, opts, subresources...) })
}

// otherShape is a planned pod that is not like the others. Without it nothing would be nominated.
const otherShape = "other"

// inWorld runs the test in a cluster with a running Nominator, with time of its own.
func inWorld(t *testing.T, test func(*world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t, cluster: fake.NewClientset(), metrics: prometheus.NewRegistry(),
			patch: func(write func() (*corev1.Pod, error)) (*corev1.Pod, error) { return write() }}
		factory := informers.NewSharedInformerFactory(w.cluster, 0)
		require.NoError(t, factory.Core().V1().Pods().Informer().AddIndexers(nodemeta.PodsByNode))
		w.Nominator = New(Options{Plan: plan.New(clock.RealClock{}), Client: client{w.cluster, w}, Nodes: factory.Core().V1().Nodes().Informer(),
			Pods: factory.Core().V1().Pods().Informer(), Group: func(n *corev1.Node) (_, _ string) { return n.Labels["group"], n.Labels["group"] },
			Events: record.NewFakeRecorder(100), ReadyTime: readyTime, Registerer: w.metrics, Clock: clock.RealClock{}})
		other := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: otherShape}, Spec: corev1.PodSpec{Priority: ptr.To[int32](1)}}
		w.Plan.Add(plan.Node{Group: "other", Pods: []*corev1.Pod{other}, Asked: time.Now()})
		ctx, cancel := context.WithCancel(t.Context())
		factory.Start(ctx.Done())
		factory.WaitForCacheSync(ctx.Done())
		ended := make(chan error)
		go func() { ended <- w.Nominator.Run(ctx) }()
		synctest.Wait()
		test(w)
		cancel()
		assert.NoError(t, <-ended)
		factory.Shutdown()
	})
}

func (w *world) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// asked has nodes of the group asked for, by the pods of each.
func (w *world) asked(group string, perNode ...[]*corev1.Pod) {
	w.Plan.Asked(plan.Nodes(group, perNode)...)
	synctest.Wait()
}

// pod adds a pod that waits, and is as change makes it.
func (w *world) pod(name string, change ...func(*corev1.Pod)) *corev1.Pod {
	w.Helper()
	pod := waiting("", append(change, func(p *corev1.Pod) { p.Name, p.UID, p.ResourceVersion = name, types.UID(name), "1" })...)
	require.NoError(w, w.cluster.Tracker().Add(pod))
	synctest.Wait()
	return pod
}

func (w *world) node(name, group string, change ...func(*corev1.Node)) {
	w.Helper()
	node := starting(name, change...)
	node.CreationTimestamp, node.Labels = metav1.Now(), map[string]string{"group": group}
	require.NoError(w, w.cluster.Tracker().Add(node))
	synctest.Wait()
}

func (w *world) changeNode(name string, changes ...func(*corev1.Node)) {
	w.Helper()
	node, err := w.cluster.CoreV1().Nodes().Get(w.Context(), name, metav1.GetOptions{})
	require.NoError(w, err)
	for _, change := range changes {
		change(node)
	}
	_, err = w.cluster.CoreV1().Nodes().Update(w.Context(), node, metav1.UpdateOptions{})
	require.NoError(w, err)
	synctest.Wait()
}

func (w *world) changePod(name string, change func(*corev1.Pod)) {
	w.Helper()
	pod, err := w.cluster.CoreV1().Pods("default").Get(w.Context(), name, metav1.GetOptions{})
	require.NoError(w, err)
	change(pod)
	pod.ResourceVersion += "1" // as the API server does
	_, err = w.cluster.CoreV1().Pods("default").Update(w.Context(), pod, metav1.UpdateOptions{})
	require.NoError(w, err)
	synctest.Wait()
}

// removed changes the pod as kube-scheduler does when it tries the pod in vain.
func removed(p *corev1.Pod) { p.Status.NominatedNodeName = "" }

// wantNominated compares the nominations with name=node, or name= for none.
func (w *world) wantNominated(want ...string) {
	pods, err := w.cluster.CoreV1().Pods("default").List(w.Context(), metav1.ListOptions{})
	require.NoError(w, err)
	var got []string
	for _, pod := range pods.Items {
		got = append(got, pod.Name+"="+pod.Status.NominatedNodeName)
	}
	assert.Empty(w, cmp.Diff(want, got), "nominations (-want +got)")
}

func (w *world) wantResults(want map[string]float64) {
	w.Helper()
	families, err := w.metrics.Gather()
	require.NoError(w, err)
	got := map[string]float64{}
	for _, metric := range families[0].Metric {
		if value := metric.Counter.GetValue(); value > 0 {
			got[metric.Label[0].GetValue()] = value
		}
	}
	assert.Empty(w, cmp.Diff(want, got), "results (-want +got)")
	assert.Emptyf(w, len(w.targets)+len(w.on), "%d pods are still followed", len(w.targets))
}

func TestPodsGetTheirNodes(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b, c := w.pod("a"), w.pod("b"), w.pod("c", func(p *corev1.Pod) { p.Spec.Priority = new(int32(1)) })
		w.asked("small", []*corev1.Pod{a, b}, []*corev1.Pod{c})
		w.node("node-0", "large")
		w.node("node-1", "small")
		w.node("node-2", "small")
		w.wantNominated("a=", "b=", "c=")
		w.changeNode("node-1", hasBooted)
		w.wantNominated("a=node-1", "b=node-1", "c=")
		w.changeNode("node-2", isReady)
		w.wantNominated("a=node-1", "b=node-1", "c=node-2")

		w.changePod("a", boundTo("node-1"))
		w.changePod("b", boundTo("node-2"))
		w.changePod("c", boundTo("node-2"))
		w.wantResults(map[string]float64{"kept": 2, "elsewhere": 1})
		assert.Equal(t, 2, len(w.Events.(*record.FakeRecorder).Events), "events, want one for each pod that got its node")
	})
}

// AWS chooses the zone of a node, if its group is not divided.
func TestNodeTakesPodsThatDoNotRefuseIt(t *testing.T) {
	inWorld(t, func(w *world) {
		in := func(zone string) func(*corev1.Node) {
			return func(n *corev1.Node) { n.Spec.ProviderID = nodemeta.ProviderID(zone, "i-0123") }
		}
		inA := func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{corev1.LabelTopologyZone: "us-east-1a"} }
		large := func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{"group": "large"} }
		w.asked("small", []*corev1.Pod{w.pod("a", inA)}, []*corev1.Pod{w.pod("b", large)}, []*corev1.Pod{w.pod("c")})
		w.node("node-1", "small", isReady, in("us-east-1b"))
		w.node("node-2", "small", isReady, in("us-east-1a"))
		w.wantNominated("a=node-2", "b=", "c=node-1")
	})
}

// Each of them fits wherever another one does, and no other pod can take its place.
func TestPodsAlikeAreNotNominated(t *testing.T) {
	for name, tt := range map[string]struct {
		pod  func(*corev1.Pod)
		node func(*corev1.Node)
		gone types.UID // a pod that waits no longer
	}{
		"all planned pods":           {func(*corev1.Pod) {}, isReady, otherShape},
		"all that the group may run": {tolerates, isTainted, ""},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.Plan.Drop(tt.gone)
				w.asked("small", []*corev1.Pod{w.pod("a", tt.pod)}, []*corev1.Pod{w.pod("b", tt.pod)})
				w.node("node-1", "small", tt.node)
				w.node("node-2", "small", tt.node)
				w.pass(time.Minute)
				for _, action := range w.cluster.Actions() {
					assert.Truef(t, action.GetVerb() != "patch" && action.GetVerb() != "update", "wrote %v", action)
				}
			})
		})
	}
}

// kube-scheduler tries the pod before the node takes pods, and again afterwards.
func TestPodIsNominatedTwiceAtMost(t *testing.T) {
	inWorld(t, func(w *world) {
		w.asked("small", []*corev1.Pod{w.pod("a")})
		w.node("node-1", "small", hasBooted)
		w.wantNominated("a=node-1")
		w.changePod("a", removed)
		w.pass(time.Second)
		w.wantNominated("a=")
		w.changeNode("node-1", isReady)
		w.wantNominated("a=node-1")
		w.changePod("a", removed)
		w.wantNominated("a=")
		w.wantResults(map[string]float64{"refused": 1})
	})
}

// The driver of the devices publishes them after the node is Ready. No resource of the node shows that.
func TestPodThatClaimsDevicesIsNominatedForAMinute(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.pod("a", func(p *corev1.Pod) { p.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "gpu"}} })
		w.Plan.Asked(plan.Nodes("small", [][]*corev1.Pod{{a}})...)
		w.node("node-1", "small", isReady)
		for range 3 {
			w.wantNominated("a=node-1")
			time.Sleep(longestBind / 4)
			synctest.Wait()
			w.changePod("a", removed)
		}
		w.wantNominated("a=node-1")
		time.Sleep(longestBind / 4)
		synctest.Wait()
		w.wantNominated("a=")
		w.wantResults(map[string]float64{"withdrawn": 1})
	})
}

// The pods of a node that is drained are planned while they run there. Their node is kept for them until they are gone.
func TestRunningPodStaysPlanned(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.pod("a", boundTo("node-0"))
		w.Plan.Asked(plan.Nodes("small", [][]*corev1.Pod{{a, w.pod("b")}})...)
		w.node("node-1", "small", isReady)
		w.wantNominated("a=", "b=node-1")
		w.changePod("b", boundTo("node-1"))
		w.changePod("a", func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{Time: time.Now()} })
		assert.Equal(t, "node-1", w.Plan.NodeOf("a"), "the running pod is planned for")
		w.wantResults(map[string]float64{"kept": 1})
		require.NoError(w, w.cluster.CoreV1().Pods("default").Delete(w.Context(), "a", metav1.DeleteOptions{}))
		synctest.Wait()
		assert.False(t, w.Plan.Has("a"), "the plan still has the pod that is gone")
	})
}

// The podlist drops a pod that is not pending for one loop. The core no longer counts on its place.
func TestDroppedPodIsNotNominatedOn(t *testing.T) {
	inWorld(t, func(w *world) {
		w.asked("small", []*corev1.Pod{w.pod("a")})
		w.node("node-1", "small", hasBooted)
		w.wantNominated("a=node-1")
		w.Plan.Drop("a")
		synctest.Wait()
		w.wantNominated("a=")
		w.changeNode("node-1", isReady)
		w.pass(time.Minute)
		w.wantNominated("a=")
	})
}

// kube-scheduler puts a pod on the node of a pod that is like it. They exchange their places.
func TestPodsAlikeExchangePlaces(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b, c := w.pod("a"), w.pod("b", wantsGPU), w.pod("c")
		w.asked("small", []*corev1.Pod{a}, []*corev1.Pod{b, c})
		w.node("node-1", "small")
		w.node("node-2", "small")
		w.changePod("a", boundTo("node-2"))
		w.changeNode("node-1", isReady)
		w.changeNode("node-2", isReady)
		w.wantNominated("a=", "b=node-2", "c=node-1")
		w.changePod("c", boundTo("node-1"))
		w.wantNominated("a=", "b=node-2", "c=node-1")
	})
}

func TestPodWithoutRoomIsPlannedAnewAtOnce(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.pod("a"), w.pod("b", wantsGPU)
		w.pod("stranger")
		w.asked("small", []*corev1.Pod{a}, []*corev1.Pod{b})
		w.node("node-1", "small")
		w.node("node-2", "small")
		w.changeNode("node-1", isReady)
		w.wantNominated("a=node-1", "b=", "stranger=")
		w.changePod("stranger", boundTo("node-1"))
		w.wantNominated("a=node-1", "b=", "stranger=") // both fit
		w.changePod("b", boundTo("node-1"))
		w.wantNominated("a=", "b=", "stranger=")
		assert.False(t, w.Plan.Has("a"), "the pod is still planned for the full node")
		w.wantResults(map[string]float64{"elsewhere": 1, "withdrawn": 1})
	})
}

type counted struct {
	cache.SharedIndexInformer
	looks atomic.Int32
}

func (c *counted) GetIndexer() cache.Indexer {
	c.looks.Add(1)
	return c.SharedIndexInformer.GetIndexer()
}

// Hundreds of planned pods get one node, and each look adds up the requests of all pods there.
func TestPodThatGetsItsNodeMakesNoOtherLookedAt(t *testing.T) {
	inWorld(t, func(w *world) {
		const count = 30
		pods := &counted{SharedIndexInformer: w.Pods}
		w.Pods = pods
		var planned []*corev1.Pod
		for at := range count {
			planned = append(planned, w.pod(fmt.Sprint("pod-", at), func(p *corev1.Pod) { p.Spec.Containers[0].Resources.Requests = nil }))
		}
		w.asked("small", planned)
		w.node("node-1", "small", isReady)
		before := pods.looks.Load()
		for _, pod := range planned {
			w.changePod(pod.Name, boundTo("node-1"))
		}
		w.wantResults(map[string]float64{"kept": count})
		assert.LessOrEqual(t, pods.looks.Load()-before, int32(2*count), "looks at pods")
	})
}

func TestNodeRegistersBeforeItsPlan(t *testing.T) {
	inWorld(t, func(w *world) {
		w.node("ready", "small")
		w.changeNode("ready", isReady)
		w.node("starting", "small")
		w.node("later", "")
		a, b := w.pod("a"), w.pod("b")
		w.asked("small", []*corev1.Pod{a}, []*corev1.Pod{b})
		w.changeNode("later", func(n *corev1.Node) { n.Labels["group"] = "small" }) // a reading of the groups has its instance
		w.pass(2 * groupPause)
		w.changeNode("later", isReady)
		w.changeNode("starting", isReady)
		w.wantNominated("a=starting", "b=later")
	})
}

func TestOldNodesAndDeletedNodesGetNoPlan(t *testing.T) {
	inWorld(t, func(w *world) {
		w.node("old", "")
		w.node("deleted", "")
		require.NoError(w, w.cluster.CoreV1().Nodes().Delete(w.Context(), "deleted", metav1.DeleteOptions{}))
		w.pass(2 * groupPause)
		assert.Truef(t, !w.fresh["deleted"] && w.fresh["old"], "still looked at: %v, want the node without a group", w.fresh)
		time.Sleep(readyTime)
		w.asked("small", []*corev1.Pod{w.pod("a")})
		w.changeNode("old", isReady, func(n *corev1.Node) { n.Labels["group"] = "small" })
		w.pass(2 * groupPause)
		w.wantNominated("a=")
		assert.Empty(t, w.fresh, "still looked at")
	})
}

func TestPlanChanges(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.pod("a")
		w.asked("small", []*corev1.Pod{a})
		w.node("node-1", "small", hasBooted)
		w.wantNominated("a=node-1")
		w.asked("large", []*corev1.Pod{a})
		w.wantNominated("a=")
		w.wantResults(map[string]float64{"withdrawn": 1})
		w.node("node-2", "large", hasBooted)
		w.wantNominated("a=node-2")
	})
}

func TestWithoutPermission(t *testing.T) {
	inWorld(t, func(w *world) {
		writes := 0
		w.patch = func(func() (*corev1.Pod, error)) (*corev1.Pod, error) {
			writes++
			return nil, apierrors.NewForbidden(corev1.Resource("pods"), "", nil)
		}
		a, b, c := w.pod("a"), w.pod("b"), w.pod("c")
		w.asked("small", []*corev1.Pod{a}, []*corev1.Pod{b}, []*corev1.Pod{c})
		w.node("node-1", "small")
		w.node("node-2", "small", isReady) // the write is refused
		w.node("node-3", "small", isReady)
		w.changeNode("node-1", isReady)
		w.wantNominated("a=", "b=", "c=")
		w.wantResults(map[string]float64{"forbidden": 3})
		assert.Equal(t, 1, writes, "writes")
		for pod, node := range map[types.UID]string{"a": "node-1", "b": "node-2", "c": "node-3"} {
			assert.Equalf(t, node, w.Plan.NodeOf(pod), "node that is planned for pod %s", pod)
		}
		w.patch = func(write func() (*corev1.Pod, error)) (*corev1.Pod, error) { return write() }
		w.pass(permissionPause)
		w.asked("small", []*corev1.Pod{w.pod("d")})
		w.node("node-4", "small", isReady)
		w.wantNominated("a=", "b=", "c=", "d=node-4")
	})
}

// An admission policy without a reason answers 422, as a pod that has changed does. It may refuse one pod and no other.
func TestAdmissionPolicyRefuses(t *testing.T) {
	for by, refusal := range map[string]*apierrors.StatusError{
		"policy":  {ErrStatus: metav1.Status{Reason: metav1.StatusReasonInvalid, Code: 422, Message: `ValidatingAdmissionPolicy 'p' with binding 'p' denied request: no`}},
		"webhook": {ErrStatus: metav1.Status{Code: 400, Message: `admission webhook "w" denied the request: no`}},
	} {
		t.Run(by, func(t *testing.T) {
			inWorld(t, func(w *world) {
				writes := 0
				w.patch = func(func() (*corev1.Pod, error)) (*corev1.Pod, error) {
					writes++
					return nil, refusal
				}
				w.asked("small", []*corev1.Pod{w.pod("a")}, []*corev1.Pod{w.pod("b")})
				w.node("node-1", "small", isReady)
				w.pass(time.Minute)
				w.wantResults(map[string]float64{"forbidden": 1})
				assert.Equal(t, 1, writes, "writes")
				w.patch = func(write func() (*corev1.Pod, error)) (*corev1.Pod, error) { return write() }
				w.node("node-2", "small", isReady)
				w.wantNominated("a=", "b=node-2")
			})
		})
	}
}
