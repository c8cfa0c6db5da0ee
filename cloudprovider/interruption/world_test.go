package interruption_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsclients"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/informed"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/podserver"
)

const (
	queueName = "interruptions"
	zone      = "us-west-2a"
	tag       = "k8s.io/cluster-autoscaler/enabled"
)

func ms(n int) fakeaws.Duration { return fakeaws.Duration(time.Duration(n) * time.Millisecond) }

// world is an account with one group and one queue, and a cluster of the group's nodes. Its API server evicts pods, and its
// core decides at once.
type world struct {
	t       testing.TB
	aws     *fakeaws.Server
	clients *awsclient.Clients
	cluster *fake.Clientset
	pods    *podserver.Server // of the cluster
	cache   *asg.Cache
	options interruption.Options
	metrics *prometheus.Registry
	pause   time.Duration

	refused atomic.Bool // by a disruption budget
	full    atomic.Bool // no other node has room
	grace   atomic.Int64
	mu      sync.Mutex
	evicted map[string]int // by pod
}

func scalingGroup(least, desired, most int) fakeaws.AutoScalingGroup {
	return fakeaws.AutoScalingGroup{
		Name: "spot", Min: least, Max: most, Desired: desired, Zones: []string{zone}, Tags: map[string]string{tag: "true"},
		LaunchTemplate: &fakeaws.LaunchTemplateRef{Name: "spot", Version: "1"},
	}
}

// hooked makes instances that end wait up to ten minutes for the lifecycle hook that hookMessage names.
func hooked(g fakeaws.AutoScalingGroup) fakeaws.AutoScalingGroup {
	g.LifecycleHooks = []fakeaws.LifecycleHook{{Name: hookName, Transition: "terminating", HeartbeatTimeout: fakeaws.Duration(10 * time.Minute)}}
	return g
}

func TestMain(m *testing.M) {
	awsclients.SetEnvironment()
	os.Unsetenv("AWS_CA_BUNDLE") //nolint:errcheck // only the SDK's own client takes one
	m.Run()
}

// hookName is the name of the group's lifecycle hook that is ours.
const hookName = "asg-autoscaler-drain"

func config(groups ...fakeaws.AutoScalingGroup) fakeaws.Config {
	return fakeaws.Config{
		Delays: fakeaws.Delays{Listed: ms(20), InService: ms(40), Register: ms(60), Terminate: ms(300), Retry: ms(200), Synchronous: ms(20)},
		LaunchTemplates: []fakeaws.LaunchTemplate{{Name: "spot", Versions: []fakeaws.LaunchTemplateVersion{
			{ImageID: "ami-0abc", InstanceType: "m5.large", Spot: true}}}},
		AutoScalingGroups: groups,
		Queues:            []fakeaws.Queue{{Name: queueName, Events: []string{"*"}}},
	}
}

// inUse is inBubble for an instance on whose node the pod a runs. AWS announces nothing by itself.
func inUse(g fakeaws.AutoScalingGroup, test func(t *testing.T, w *world, instance string)) func(*testing.T) {
	return inBubble(g, func(t *testing.T, w *world) {
		w.silent()
		instance := w.inService()[0]
		w.run(instance, "a")
		test(t, w, instance)
	})
}

// newWorld makes a world that in a bubble reads the groups as often as the program does by default.
func newWorld(t testing.TB, g fakeaws.AutoScalingGroup, more ...fakeaws.AutoScalingGroup) *world {
	t.Helper()
	pause, refresh, motion := 10*time.Millisecond, 200*time.Millisecond, 100*time.Millisecond
	if awsclients.InBubble() {
		pause, refresh, motion = 200*time.Millisecond, time.Minute, 2*time.Second
	}
	w := &world{t: t, aws: awsclients.Serve(t, config(append(more, g)...)), cluster: fake.NewSimpleClientset(), evicted: map[string]int{}, pause: pause}
	var err error
	w.clients, err = awsclient.New(t.Context(), awsclients.Options(w.aws))
	require.NoError(t, err)
	w.servePods()
	require.NoError(t, w.aws.Attach(w.cluster))
	w.cache = asg.NewCache(asg.Options{
		AutoScaling: w.clients.AutoScaling, Launches: launchspec.APIs{EC2: w.clients.EC2, EKS: w.clients.EKS},
		Discovery:       ownership.Discovery{Filters: []ownership.TagFilter{{{Key: tag}}}},
		RefreshInterval: refresh, MotionInterval: motion, Clock: clock.RealClock{},
		LaunchMode: asg.LaunchDesiredCapacity,
	})
	desired := g.Desired
	w.wait("every instance in service, with its node", func() bool { return len(w.inService()) == desired && len(w.nodes()) >= desired })
	for id := range w.nodes() {
		w.setReady(id, corev1.ConditionTrue)
	}
	require.NoError(t, w.cache.Start(t.Context()))
	w.background(w.cache.Run)
	return w
}

// parallelWorld is the world of a test that runs beside others, and one of its instances.
func parallelWorld(t *testing.T, g fakeaws.AutoScalingGroup) (w *world, instance string) {
	t.Helper()
	t.Parallel()
	w = newWorld(t, g)
	return w, w.inService()[0]
}

// inBubble is a test of a world in a bubble, in which time passes only when all are waiting. The real clients call the
// emulated AWS without a network.
func inBubble(g fakeaws.AutoScalingGroup, test func(t *testing.T, w *world), more ...fakeaws.AutoScalingGroup) func(*testing.T) {
	return func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) { test(t, newWorld(t, g, more...)) })
	}
}

// background runs until the test, or the returned function, ends it.
func (w *world) background(run func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		assert.NoError(w.t, <-ended, "Run")
	})
	w.t.Cleanup(stop)
	return stop
}

// handler makes a Handler over the world, as a new process would.
func (w *world) handler(change ...func(*interruption.Options)) *interruption.Handler {
	factory := informers.NewSharedInformerFactory(w.cluster, 0)
	nodes := factory.Core().V1().Nodes().Informer()
	w.metrics = prometheus.NewRegistry()
	wake := make(chan struct{}, 1)
	o := interruption.Options{
		Groups: w.cache, Hooks: w.clients.AutoScaling, EC2: w.clients.EC2, SQS: w.clients.SQS, Queue: queueName, Cordons: w.cluster, Client: w.pods.Client(), Nodes: nodes,
		Pods:   factory.Core().V1().Pods().Informer(),
		Events: record.NewFakeRecorder(10_000), Registerer: w.metrics, Clock: clock.RealClock{},
		AtDeadline: interruption.Force, Draining: func(string, string, string) {}, SeeCluster: func() {},
		Halted:    func() bool { return false },
		Elsewhere: func(string) (cause, remedy string) { return "", "" },
		Wake: func() {
			select {
			case wake <- struct{}{}:
			default:
			}
		},
	}
	for _, c := range change {
		c(&o)
	}
	h := interruption.New(o)
	h.LeaveToOthers(10 * time.Second)
	ctx, cancel := context.WithCancel(w.t.Context())
	w.t.Cleanup(func() { cancel(); factory.Shutdown() })
	informed.Start(ctx, w.t, w.cluster, factory)
	w.background(func(ctx context.Context) error {
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-wake:
				w.decide(h)
			}
		}
	})
	return h
}

// decide is a loop of the core.
func (w *world) decide(h *interruption.Handler) {
	placed := map[string]bool{}
	for _, node := range h.NodesBeingDrained() {
		placed[node] = !w.full.Load()
	}
	h.ReplacementsDecided(placed)
}

// textOf is what the recorder has got since it was last read, a line for each event.
func textOf(events *record.FakeRecorder) (text string) {
	for len(events.Events) > 0 {
		text += <-events.Events + "\n"
	}
	return text
}

// running runs a Handler until the test, or the returned function, ends it.
func (w *world) running(change ...func(*interruption.Options)) (stop func()) {
	return w.background(w.handler(change...).Run)
}

// servePods evicts and deletes pods after their grace, and lists them by node.
func (w *world) servePods() {
	w.grace.Store(50)
	w.pods = &podserver.Server{Tracker: w.cluster.Tracker(),
		Grace: func(int64) time.Duration { return time.Duration(w.grace.Load()) * time.Millisecond },
		Refuse: func(_ *http.Request, call podserver.Call) error {
			if call.Verb != "evict" {
				return nil
			}
			if w.refused.Load() {
				err := apierrors.NewTooManyRequests("a budget", 10)
				err.ErrStatus.Details.Causes = append(err.ErrStatus.Details.Causes, metav1.StatusCause{Type: policyv1.DisruptionBudgetCause})
				return err
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			w.evicted[call.Pod]++
			return nil
		}}
}

// nodes are the nodes by instance.
func (w *world) nodes() map[string]*corev1.Node {
	list, err := w.cluster.CoreV1().Nodes().List(w.t.Context(), metav1.ListOptions{})
	require.NoError(w.t, err)
	nodes := map[string]*corev1.Node{}
	for n := range list.Items {
		var id string
		if _, err := fmt.Sscanf(list.Items[n].Spec.ProviderID, "aws:///"+zone+"/%s", &id); err == nil {
			nodes[id] = &list.Items[n]
		}
	}
	return nodes
}

// edit changes the node of the instance.
func (w *world) edit(instance string, change func(*corev1.Node)) {
	w.t.Helper()
	node := w.nodes()[instance]
	change(node)
	_, err := w.cluster.CoreV1().Nodes().Update(w.t.Context(), node, metav1.UpdateOptions{})
	require.NoError(w.t, err)
}

// byCore is the taint of the core on a node that it removes.
var byCore = corev1.Taint{Key: "ToBeDeletedByClusterAutoscaler", Effect: corev1.TaintEffectNoSchedule}

func isByCore(t corev1.Taint) bool { return t.Key == byCore.Key }

// unregister deletes the node of the instance, and register creates one.
func (w *world) unregister(instance string) *corev1.Node {
	w.t.Helper()
	node := w.nodes()[instance]
	require.NoError(w.t, w.cluster.CoreV1().Nodes().Delete(w.t.Context(), node.Name, metav1.DeleteOptions{}))
	return node
}

func (w *world) register(node *corev1.Node) {
	w.t.Helper()
	node.ResourceVersion = ""
	_, err := w.cluster.CoreV1().Nodes().Create(w.t.Context(), node, metav1.CreateOptions{})
	require.NoError(w.t, err)
}

// inService are the instances of the group that are in service, sorted.
func (w *world) inService() []string {
	var ids []string
	g, _ := w.aws.Group("spot")
	for _, i := range g.Instances {
		if i.State == "InService" {
			ids = append(ids, i.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

func (w *world) desired() int {
	g, _ := w.aws.Group("spot")
	return g.Desired
}

// run puts pods on the node of an instance.
func (w *world) run(instance string, names ...string) {
	for _, name := range names {
		w.create(name, func(p *corev1.Pod) { p.Spec.NodeName, p.Status.Phase = w.nodes()[instance].Name, corev1.PodRunning })
	}
}

// owned is a pod of the one ReplicaSet.
func owned(p *corev1.Pod) {
	p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "web", UID: "web", Controller: ptr.To(true)}}
}

func (w *world) create(name string, change ...func(*corev1.Pod)) {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID(name)},
		Spec: corev1.PodSpec{TerminationGracePeriodSeconds: ptr.To[int64](1)}, Status: corev1.PodStatus{Phase: corev1.PodPending}}
	for _, c := range change {
		c(pod)
	}
	require.NoError(w.t, w.cluster.Tracker().Create(podserver.Pods, pod, "default"))
}

func (w *world) send(body string) { require.NoError(w.t, w.aws.SendMessage(queueName, body)) }

// warning is a spot interruption warning.
func warning(instance string, at time.Time) string {
	return fmt.Sprintf(`{"version":"0","id":"event-of-%s","detail-type":"EC2 Spot Instance Interruption Warning","source":"aws.ec2",`+
		`"time":%q,"region":"us-west-2","detail":{"instance-id":%q,"instance-action":"terminate"}}`, instance, at.UTC().Format(time.RFC3339), instance)
}

func (w *world) wait(what string, so func() bool) {
	w.t.Helper()
	w.within(time.Minute, what, so)
}

// within looks after every pause, or 500 times within a long limit.
func (w *world) within(limit time.Duration, what string, so func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(limit); !so(); time.Sleep(max(w.pause, limit/500)) {
		if time.Now().After(deadline) {
			g, _ := w.aws.Group("spot")
			w.t.Fatalf("not so in time: %s; group %+v, queue %+v, handled %v", what, g, w.aws.Queues(), w.handled())
		}
	}
}

func (w *world) waitEmptyQueue() {
	w.t.Helper()
	w.wait("an empty queue", func() bool { q := w.aws.Queues()[0]; return q.Visible+q.InFlight+q.Delayed == 0 })
}

// waitTerminated waits until the group has lost the instance.
func (w *world) waitTerminated(instance string) {
	w.t.Helper()
	w.wait("instance "+instance+" gone", func() bool {
		g, _ := w.aws.Group("spot")
		return !slices.ContainsFunc(g.Instances, func(i fakeaws.InstanceState) bool { return i.ID == instance })
	})
}

// handled counts the messages by type and outcome.
func (w *world) handled() map[string]int {
	return w.count("asg_autoscaler_interruption_messages_handled_total")
}

// count is a counter's value, or a histogram's number of samples, by the values of its labels, as "outcome type".
func (w *world) count(name string) map[string]int {
	if w.metrics == nil {
		return nil
	}
	families, err := w.metrics.Gather()
	require.NoError(w.t, err)
	counts := map[string]int{}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.Metric {
			var values []string
			for _, l := range m.Label { // sorted by name
				values = append(values, l.GetValue())
			}
			counts[strings.Join(values, " ")] = int(m.GetCounter().GetValue()) + int(m.GetHistogram().GetSampleCount())
		}
	}
	return counts
}

func (w *world) terminations() int { return w.aws.Calls()["TerminateInstanceInAutoScalingGroup"] }

// ended fails the test unless so many instances were terminated, so many are desired, and the pod a was evicted so many times.
func (w *world) ended(terminations, desired, evictions int) {
	w.t.Helper()
	want, got := [3]int{terminations, desired, evictions}, [3]int{w.terminations(), w.desired(), w.evictions("a")}
	assert.Equal(w.t, want, got, "terminations, desired capacity, evictions")
}
