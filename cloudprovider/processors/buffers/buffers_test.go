package buffers

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/autoscaler/cluster-autoscaler/apis/capacitybuffer/autoscaling.x-k8s.io/v1beta1"
	fakebuffers "k8s.io/autoscaler/cluster-autoscaler/apis/capacitybuffer/client/clientset/versioned/fake"
	"k8s.io/autoscaler/cluster-autoscaler/capacitybuffer"
	"k8s.io/autoscaler/cluster-autoscaler/capacitybuffer/fakepods"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/core/podlistprocessor"
	"k8s.io/autoscaler/cluster-autoscaler/debuggingsnapshot"
	cbprocessor "k8s.io/autoscaler/cluster-autoscaler/processors/capacitybuffer"
	"k8s.io/autoscaler/cluster-autoscaler/processors/pods"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot/testsnapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/scheduling"
	coreannotations "k8s.io/autoscaler/cluster-autoscaler/utils/annotations"
	coretest "k8s.io/autoscaler/cluster-autoscaler/utils/test"
	"k8s.io/client-go/discovery/cached/memory"
	fakediscovery "k8s.io/client-go/discovery/fake"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/restmapper"
	fakescale "k8s.io/client-go/scale/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/podlist"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/snapshot"
)

// world is a cluster without a control plane: the buffers, and the Deployment web.
type world struct {
	*Buffers
	objects *fakebuffers.Clientset
	kube    *fake.Clientset
	pods    atomic.Int32 // of the Deployment
}

func newWorld(t testing.TB, pods int32, list ...*v1beta1.CapacityBuffer) *world {
	t.Helper()
	w := &world{kube: fake.NewClientset(deployment(pods))}
	w.pods.Store(pods)
	var objects []runtime.Object
	for _, b := range list {
		objects = append(objects, b)
	}
	w.objects = fakebuffers.NewClientset(objects...)
	version := 0
	w.objects.PrependReactor("update", "capacitybuffers", func(a clienttesting.Action) (bool, runtime.Object, error) {
		version++ // as an API server does
		a.(clienttesting.UpdateAction).GetObject().(*v1beta1.CapacityBuffer).ResourceVersion = fmt.Sprint(version)
		return false, nil, nil
	})
	scales := &fakescale.FakeScaleClient{}
	scales.AddReactor("get", "*", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, &autoscalingv1.Scale{Status: autoscalingv1.ScaleStatus{Replicas: w.pods.Load(), Selector: "app=web"}}, nil
	})
	mapper := meta.NewDefaultRESTMapper([]schema.GroupVersion{appsv1.SchemeGroupVersion})
	mapper.Add(appsv1.SchemeGroupVersion.WithKind("Deployment"), meta.RESTScopeNamespace)
	var err error
	w.Buffers, err = of(t.Context(), w.objects, w.kube, scales, mapper)
	require.NoError(t, err)
	awaitWatch(t, &w.objects.Fake, "capacitybuffers")
	return w
}

// awaitWatch waits until somebody watches the objects of a fake. A change before that reaches no informer.
func awaitWatch(t testing.TB, client *clienttesting.Fake, resource string) {
	t.Helper()
	require.Eventually(t, func() bool {
		return slices.ContainsFunc(client.Actions(), func(a clienttesting.Action) bool { return a.Matches("watch", resource) })
	}, 30*time.Second, 5*time.Millisecond)
}

// control runs the core's controller without its metrics, which register once in a process.
func (w *world) control(t *testing.T) {
	go w.controller(fakepods.NewDefaultingResolver(), nil).Run(t.Context().Done())
}

func deployment(pods int32) *appsv1.Deployment {
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}, Spec: appsv1.DeploymentSpec{Replicas: &pods}}
	d.Spec.Template.Spec.Containers = []corev1.Container{{Name: "main", Resources: corev1.ResourceRequirements{
		Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1")}}}}
	d.Status.Replicas = pods
	return d
}

// buffer is a buffer of the Deployment web.
func buffer(name string, spec v1beta1.CapacityBufferSpec) *v1beta1.CapacityBuffer {
	spec.ScalableRef = &v1beta1.ScalableRef{APIGroup: "apps", Kind: "Deployment", Name: "web"}
	spec.ProvisioningStrategy = ptr.To(capacitybuffer.ActiveProvisioningStrategy)
	return &v1beta1.CapacityBuffer{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID(name)}, Spec: spec}
}

// writes is how many times a status was written.
func (w *world) writes() int {
	return len(slices.DeleteFunc(w.objects.Actions(), func(a clienttesting.Action) bool { return a.GetVerb() != "update" }))
}

// awaitStatus waits until the cache has a buffer whose status is so.
func (w *world) awaitStatus(t *testing.T, name, what string, is func(v1beta1.CapacityBufferStatus) bool) {
	t.Helper()
	var last v1beta1.CapacityBufferStatus
	for range 3000 {
		if last = w.cached(name).Status; is(last) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("buffer %q never had %s, but %+v", name, what, last)
}

// cached returns a copy of the buffer in the cache, or an empty one.
func (w *world) cached(name string) *v1beta1.CapacityBuffer {
	if object, known, _ := w.client.store.GetByKey("default/" + name); known {
		return object.(*v1beta1.CapacityBuffer).DeepCopy()
	}
	return &v1beta1.CapacityBuffer{}
}

func (w *world) awaitReplicas(t *testing.T, name string, want int32) {
	t.Helper()
	w.awaitStatus(t, name, fmt.Sprint(want, " replicas"), func(s v1beta1.CapacityBufferStatus) bool { return ptr.Deref(s.Replicas, -1) == want })
}

func TestSizes(t *testing.T) {
	percent := func(p int32) v1beta1.CapacityBufferSpec { return v1beta1.CapacityBufferSpec{Percentage: &p} }
	both, limited := percent(33), percent(33)
	both.Replicas = ptr.To[int32](20)
	limited.Limits = &v1beta1.ResourceList{"cpu": resource.MustParse("5")}
	for _, tt := range []struct {
		name string
		pods int32
		spec v1beta1.CapacityBufferSpec
		want int32
	}{
		{"a share is rounded up", 40, percent(33), 14},
		{"a whole share stays", 40, percent(20), 8},
		{"the least share is a pod", 1, percent(1), 1},
		{"more than all", 3, percent(150), 5},
		{"of none", 0, percent(33), 0},
		{"no share", 40, percent(0), 0},
		{"the larger one of share and number", 40, both, 20},
		{"as many as the limits allow", 40, limited, 5},
		{"a number alone", 40, v1beta1.CapacityBufferSpec{Replicas: ptr.To[int32](3)}, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, tt.pods, buffer("web", tt.spec))
			w.control(t)
			w.awaitReplicas(t, "web", tt.want)
			got, err := w.objects.AutoscalingV1beta1().CapacityBuffers("default").Get(t.Context(), "web", metav1.GetOptions{})
			assert.Truef(t, err == nil && ptr.Equal(got.Spec.Percentage, tt.spec.Percentage) && ptr.Equal(got.Spec.Replicas, tt.spec.Replicas),
				"the specification became %+v, %v", got.Spec, err)
		})
	}
}

func TestScaledObjectsAreWatched(t *testing.T) {
	w := newWorld(t, 0, buffer("web", v1beta1.CapacityBufferSpec{Percentage: ptr.To[int32](50)}))
	w.control(t)
	resized := make(chan bool, 100)
	_, err := w.Core.GetBufferInformer().AddEventHandler(w.Resized(func() { resized <- true }))
	require.NoError(t, err)
	factory := informers.NewSharedInformerFactory(w.kube, 0)
	_, err = factory.Apps().V1().Deployments().Informer().AddEventHandler(w.Scaled())
	require.NoError(t, err)
	factory.Start(t.Context().Done())
	awaitWatch(t, &w.kube.Fake, "deployments")
	w.awaitReplicas(t, "web", 0)
	scale := func(pods int32) {
		w.pods.Store(pods)
		_, err := w.kube.AppsV1().Deployments("default").Update(t.Context(), deployment(pods), metav1.UpdateOptions{})
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool { // the fake client notes a watch before it begins
		scale(40)
		return ptr.Deref(w.cached("web").Status.Replicas, -1) == 20
	}, time.Minute, 100*time.Millisecond)
	scale(3)
	w.awaitReplicas(t, "web", 2)
	<-resized
	keys := w.client.store.ListKeys()
	assert.Truef(t, slices.Equal(keys, []string{"default/web"}), "the cache has %v", keys)
}

// background runs b until stop is called.
func background(t *testing.T, b *Buffers) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	return func() {
		cancel()
		assert.NoError(t, <-ended, "Run")
	}
}

// A controller that comes later, such as Argo Rollouts, brings a kind with a scale.
func TestKindsThatAreInstalledLaterAreFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kube := &fakediscovery.FakeDiscovery{Fake: &clienttesting.Fake{Resources: []*metav1.APIResourceList{
			{GroupVersion: "apps/v1", APIResources: []metav1.APIResource{{Name: "deployments", Kind: "Deployment", Namespaced: true}}}}}}
		mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(kube))
		b := &Buffers{client: &client{}, mapper: mapper}
		defer background(t, b)()
		_, err := mapper.RESTMapping(schema.GroupKind{Group: "apps", Kind: "Deployment"})
		require.NoError(t, err)
		kube.Resources = append(kube.Resources, &metav1.APIResourceList{GroupVersion: "argoproj.io/v1alpha1",
			APIResources: []metav1.APIResource{{Name: "rollouts", Kind: "Rollout", Namespaced: true}}})
		time.Sleep(mapperLimit + time.Second)
		found, err := mapper.RESTMapping(schema.GroupKind{Group: "argoproj.io", Kind: "Rollout"})
		require.NoError(t, err)
		assert.Equal(t, "rollouts", found.Resource.Resource)
	})
}

// Without the right to watch, nobody takes the visits of objects that change.
func TestVisitsDoNotPileUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := cache.NewStore(cache.MetaNamespaceKeyFunc)
		require.NoError(t, store.Add(buffer("web", v1beta1.CapacityBufferSpec{})))
		b := &Buffers{client: &client{store: store, visits: make(chan string)}}
		for range 3 {
			b.Scaled().OnAdd(deployment(1), false)
		}
		time.Sleep(coreLag + time.Minute + time.Second)
		select {
		case <-b.client.visits:
			t.Error("a visit still waits")
		default:
		}
	})
}

// injector is the core's part that makes the pods of buffers.
func (w *world) injector(t *testing.T, limit int) pods.PodListProcessor {
	client, err := w.Loop(limit)
	require.NoError(t, err)
	return cbprocessor.NewCapacityBufferPodListProcessor(client, strategies[:1], w.Registry, true)
}

// loop is one loop of the core, as far as buffers are concerned: their pods have room on the nodes, or not.
func (w *world) loop(t *testing.T, nodes ...*corev1.Node) []*corev1.Pod {
	t.Helper()
	core := w.injector(t, 5000)
	snapshot := testsnapshot.NewTestSnapshotOrDie(t)
	ctx := &cacontext.AutoscalingContext{ClusterSnapshot: snapshot}
	pods, err := core.Process(ctx, nil)
	require.NoError(t, err)
	for _, node := range nodes {
		require.NoError(t, snapshot.AddNodeInfo(framework.NewTestNodeInfo(node)))
	}
	var pending []*corev1.Pod
	for _, pod := range pods {
		if _, err := snapshot.SchedulePodOnAnyNodeMatching(pod, clustersnapshot.SchedulingOptions{}); err != nil {
			pending = append(pending, pod)
		}
	}
	left, err := w.Process(ctx, pending)
	require.Truef(t, err == nil && len(left) == len(pending), "%d pods became %d: %v", len(pending), len(left), err)
	return pods
}

func TestFulfilled(t *testing.T) {
	w := newWorld(t, 4, buffer("web", v1beta1.CapacityBufferSpec{Percentage: ptr.To[int32](100)}))
	w.control(t)
	w.awaitReplicas(t, "web", 4)
	defer background(t, w.Buffers)()
	ready, upcoming := coretest.BuildTestNode("ready", 2000, 1e9), coretest.BuildTestNode("upcoming", 2000, 1e9)
	upcoming.Annotations = map[string]string{coreannotations.NodeUpcomingAnnotation: "true"}
	second := coretest.BuildTestNode("second", 2000, 1e9)
	for _, tt := range []struct {
		nodes  []*corev1.Node
		want   string
		status metav1.ConditionStatus
	}{
		{nil, "0 of 4 pods have room on Ready nodes", metav1.ConditionFalse},
		{[]*corev1.Node{ready, upcoming}, "2 of 4 pods have room on Ready nodes", metav1.ConditionFalse},
		{[]*corev1.Node{ready, second}, "4 of 4 pods have room on Ready nodes", metav1.ConditionTrue},
	} {
		require.Len(t, w.loop(t, tt.nodes...), 4, "pods were injected")
		w.awaitStatus(t, "web", tt.want, func(s v1beta1.CapacityBufferStatus) bool {
			c := meta.FindStatusCondition(s.Conditions, Fulfilled)
			return c != nil && c.Message == tt.want && c.Status == tt.status && meta.IsStatusConditionTrue(s.Conditions, capacitybuffer.ProvisioningCondition)
		})
	}
	got := w.Nodes()
	assert.Truef(t, len(got) == 2 && slices.Equal(got["ready"], []string{"default/web"}), "nodes with room for buffers: %v", got)

	// Nothing changes, and nothing is written by the next loops nor by the controller.
	before := w.writes()
	for range 5 {
		w.loop(t, ready, second)
		w.client.visits <- "default"
		time.Sleep(50 * time.Millisecond)
	}
	writes := w.writes() - before
	assert.Truef(t, writes == 0, "%d writes of an unchanged status", writes)
}

// The core makes each pod of a buffer before anybody counts them.
func TestBuffersTogetherAreBounded(t *testing.T) {
	number := func(n int32) v1beta1.CapacityBufferSpec { return v1beta1.CapacityBufferSpec{Replicas: &n} }
	all := map[string]int32{"huge": 2_000_000_000, "web": 3, "share": math.MaxInt32}
	w := newWorld(t, 1000, buffer("huge", number(all["huge"])), buffer("web", number(all["web"])),
		buffer("share", v1beta1.CapacityBufferSpec{Percentage: ptr.To[int32](math.MaxInt32)}))
	w.control(t)
	for name, want := range all {
		w.awaitReplicas(t, name, want)
	}
	writes := w.writes()
	made, err := w.injector(t, 100).Process(nil, nil)
	require.NoError(t, err)
	got := map[string]int{}
	for _, pod := range made {
		got[w.Registry.GetCapacityBuffer(pod.UID).Name]++
	}
	assert.Equal(t, map[string]int{"huge": 45, "web": 3, "share": 45}, got)
	assert.Equal(t, writes, w.writes(), "writes of a status, which are the controller's")
}

func TestTheLoopWritesNothing(t *testing.T) {
	w := newWorld(t, 4, buffer("web", v1beta1.CapacityBufferSpec{Percentage: ptr.To[int32](100)}))
	w.control(t)
	w.awaitReplicas(t, "web", 4)
	before := w.writes()
	w.loop(t)
	if writes := w.writes() - before; writes > 0 { // because Run does not run
		t.Errorf("the loop wrote %d times", writes)
	}
}

func TestStatusesOfAnOlderObjectAreConflicts(t *testing.T) {
	w := newWorld(t, 4, buffer("web", v1beta1.CapacityBufferSpec{Percentage: ptr.To[int32](100)}))
	w.control(t)
	w.awaitReplicas(t, "web", 4)
	older := w.cached("web")
	older.ResourceVersion, older.Status.Replicas = "0", ptr.To[int32](9)
	_, err := w.Core.UpdateCapacityBuffer(older)
	assert.Error(t, err, "a status made from an older object was written")
	w.awaitReplicas(t, "web", 4)
}

// tries counts how often a pod is tried on all nodes.
type tries struct {
	clustersnapshot.ClusterSnapshot
	count int
}

func (c *tries) SchedulePodOnAnyNodeMatching(pod *corev1.Pod, o clustersnapshot.SchedulingOptions) (string, clustersnapshot.SchedulingError) {
	c.count++
	return c.ClusterSnapshot.SchedulePodOnAnyNodeMatching(pod, o)
}

func TestPodsOfABufferThatFitNowhereAreTriedOnce(t *testing.T) {
	const pods = 500
	percentage := v1beta1.CapacityBufferSpec{Percentage: ptr.To[int32](100)}
	w := newWorld(t, pods, buffer("web", percentage), buffer("more", percentage))
	w.control(t)
	w.awaitReplicas(t, "web", pods)
	w.awaitReplicas(t, "more", pods)
	s := &tries{ClusterSnapshot: testsnapshot.NewTestSnapshotOrDie(t)}
	for i := range pods {
		require.NoError(t, s.AddNodeInfo(framework.NewTestNodeInfo(coretest.BuildTestNode(fmt.Sprint("node-", i), 100, 1e9))))
	}
	ctx := &cacontext.AutoscalingContext{ClusterSnapshot: s, DebuggingSnapshotter: debuggingsnapshot.NewDebuggingSnapshotter(false)}
	made := podlist.Fakes{PodListProcessor: w.injector(t, 5000), Buffer: w.Registry.GetCapacityBuffer}
	all, err := made.Process(ctx, nil)
	require.NoError(t, err)
	left, err := podlistprocessor.NewFilterOutSchedulablePodListProcessor(scheduling.ScheduleAnywhere).Process(ctx, all)
	require.NoError(t, err)
	assert.Len(t, left, 2*pods)
	assert.Equal(t, 2, s.count, "tries, want one for each buffer")
	assert.Len(t, snapshot.EqualPods(all), 2, "kinds of pods")
}
