package decisions_test

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/core"
	coreoptions "k8s.io/autoscaler/cluster-autoscaler/core/options"
	"k8s.io/autoscaler/cluster-autoscaler/core/podlistprocessor"
	"k8s.io/autoscaler/cluster-autoscaler/core/scaleup/orchestrator"
	"k8s.io/autoscaler/cluster-autoscaler/debuggingsnapshot"
	"k8s.io/autoscaler/cluster-autoscaler/estimator"
	"k8s.io/autoscaler/cluster-autoscaler/observers/loopstart"
	caprocessors "k8s.io/autoscaler/cluster-autoscaler/processors"
	"k8s.io/autoscaler/cluster-autoscaler/processors/pods"
	corestatus "k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot"
	fakepod "k8s.io/autoscaler/cluster-autoscaler/simulator/fake"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/scheduling"
	"k8s.io/autoscaler/cluster-autoscaler/utils/backoff"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"
	testclock "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/move"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/plan"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/podzone"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/decisions"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/nodegroups"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/nodeinfos"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/podlist"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/scaledown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/scaleup"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/snapshot"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/status"
	trim "github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/informers"
	"github.com/asg-autoscaler/asg-autoscaler/expander"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/informed"
)

// world is the core's own loop over an emulated AWS and a cluster of objects in caches.
type world struct {
	*awsworld.World
	machine       *move.Machine        // of the nodes that are to be replaced, nil for none
	clock         *testclock.FakeClock // of the moves
	moves         *prometheus.Registry // with their metrics
	client        *fake.Clientset
	factory       informers.SharedInformerFactory
	core          core.Autoscaler
	failed        error           // of the last loop
	backoff       backoff.Backoff // of the core
	record        *decision.Record
	seen          *decisions.Collector
	asked         *scaledown.Requests
	consolidation *scaledown.Consolidation    // nil without a move.Consolidate among the reasons of the machine
	events        *record.FakeRecorder        // of asked
	drains        drains                      // none without a machine
	fakes         injected                    // pods that only the core makes, in each loop
	booked        booked                      // pods whose room a ProvisioningRequest has booked
	at            time.Time                   // of the next loop
	loops         *testclock.FakePassiveClock // shows at
	removals      *forward                    // clock of the removals
}

// forward is the real clock, put forward.
type forward struct {
	clock.RealClock
	by time.Duration
}

func (f *forward) Now() time.Time { return f.RealClock.Now().Add(f.by) }

// options are the core's defaults, as far as they matter.
func options() config.AutoscalingOptions {
	return config.AutoscalingOptions{
		NodeGroupDefaults: config.NodeGroupAutoscalingOptions{ScaleDownUtilizationThreshold: 0.5, ScaleDownGpuUtilizationThreshold: 0.5,
			ScaleDownUnneededTime: 10 * time.Minute, ScaleDownUnreadyTime: 20 * time.Minute, MaxNodeProvisionTime: 15 * time.Minute,
			MaxNodeStartupTime: 15 * time.Minute},
		EstimatorName: estimator.BinpackingEstimatorName, MaxNodesPerScaleUp: 1000, MaxNodeGroupBinpackingDuration: time.Minute,
		MaxBinpackingTime: 5 * time.Minute, MaxTotalUnreadyPercentage: 45, OkTotalUnreadyCount: 3, ScaleUpFromZero: true,
		MaxCoresTotal: 320_000, MaxMemoryTotal: 6_400_000 << 30, ExpendablePodsPriorityCutoff: -10, PredicateParallelism: 1,
		ScaleDownSimulationTimeout: 30 * time.Second, UnremovableNodeRecheckTimeout: 5 * time.Minute, MaxScaleDownParallelism: 10, MaxDrainParallelism: 1,
		ScaleDownNonEmptyCandidatesCount: 30, ScaleDownCandidatesPoolRatio: 0.1, ScaleDownCandidatesPoolMinCount: 50,
		InitialNodeGroupBackoffDuration: 5 * time.Minute, MaxNodeGroupBackoffDuration: 30 * time.Minute, NodeGroupBackoffResetTimeout: 3 * time.Hour,
	}
}

// newWorld makes the world over an AWS that runs. It launches synchronously unless a change says otherwise.
func newWorld(t testing.TB, on *awsworld.World, core config.AutoscalingOptions, changes ...func(*asg.Options)) *world {
	t.Helper()
	return newMovingWorld(t, on, core, nil, changes...)
}

// newMovingWorld is newWorld with nodes that the machine has replaced.
func newMovingWorld(t testing.TB, on *awsworld.World, core config.AutoscalingOptions, machine *move.Machine, changes ...func(*asg.Options)) *world {
	t.Helper()
	client := fake.NewSimpleClientset()
	client.PrependReactor("update", "nodes", versioned(client.Tracker()))
	w := &world{machine: machine, clock: testclock.NewFakeClock(time.Now()), moves: prometheus.NewRegistry(), client: client,
		factory: informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithTransform(trim.Trim)), at: time.Now(), loops: testclock.NewFakePassiveClock(time.Now()), removals: &forward{}}
	handle, err := framework.NewHandle(t.Context(), w.factory, nil, false, false)
	require.NoError(t, err)
	opts := coreoptions.AutoscalerOptions{AutoscalingOptions: core, KubeClient: client, InformerFactory: w.factory, FrameworkHandle: handle,
		ClusterSnapshot: snapshot.New(core, handle), DebuggingSnapshotter: debuggingsnapshot.NewDebuggingSnapshotter(false)}
	opts.AutoscalingKubeClients = cacontext.NewAutoscalingKubeClients(t.Context(), core, client, w.factory)
	opts.AutoscalingKubeClients.ListerRegistry = scaledown.Listers{ListerRegistry: opts.AutoscalingKubeClients.ListerRegistry}
	nodes := w.factory.Core().V1().Nodes()
	nodes.Informer()
	require.NoError(t, w.factory.Core().V1().Pods().Informer().AddIndexers(nodemeta.PodsByNode))
	w.record = decision.New(decision.Process{Leader: true}, clock.RealClock{})
	w.seen = decisions.New(decisions.Config{Record: w.record, Core: core, Clock: clock.RealClock{}, ScaleDown: true, Nodes: nodes.Lister()})
	w.World = on.RestartedWith(func(a *asg.Options, o *aws.Options) {
		a.LaunchMode = asg.LaunchAuto
		o.Nodes, o.Limiter = nodes, cacontext.NewResourceLimiterFromAutoscalingOptions(core)
		a.Launched, o.Problem = w.seen.Launched, w.seen.Problem
		for _, change := range changes {
			change(a)
		}
	})
	w.seen.Provider, w.seen.Cluster = w.Provider, func() string { return "" }
	opts.CloudProvider = w.Provider
	w.wire(t, &opts)
	informed.Start(t.Context(), t, client, w.factory)
	return w
}

// movesAlone is a world with a group of n nodes, from which the core itself removes none.
func movesAlone(t *testing.T, n int, reason move.Reason) *world {
	t.Helper()
	o := options()
	o.ScaleDownDelayAfterAdd = 100 * time.Hour
	m := &move.Machine{Reasons: []move.Reason{reason}, Budgets: parseBudgets(t, "100%"), Proof: 5 * time.Minute}
	return newMovingWorld(t, onAWS(t, awsworld.Group("small", "m5.large", 0, n, 5, nil)), o, m)
}

// versioned refuses updates of an older version of a node, as the API server does and the tracker does not.
func versioned(tracker clienttesting.ObjectTracker) clienttesting.ReactionFunc {
	version := 0
	return func(a clienttesting.Action) (bool, runtime.Object, error) {
		node := a.(clienttesting.UpdateAction).GetObject().(*corev1.Node)
		stored, err := tracker.Get(a.GetResource(), "", node.Name)
		if err != nil {
			return true, nil, err
		}
		if stored.(*corev1.Node).ResourceVersion != node.ResourceVersion {
			return true, nil, apierrors.NewConflict(corev1.Resource("nodes"), node.Name, nil)
		}
		version++
		node.ResourceVersion = strconv.Itoa(version)
		return false, nil, nil
	}
}

// wire puts the adapters in their places, as cmd/cluster-autoscaler does.
func (w *world) wire(t testing.TB, opts *coreoptions.AutoscalerOptions) {
	t.Helper()
	p, launchable := caprocessors.DefaultProcessors(opts.AutoscalingOptions), &nodegroups.Launchable{Provider: w.Provider}
	config := expander.Config{Provider: w.Provider, Costs: w.Costs()}
	opts.Backoff = nodegroups.NewPauses(opts.InitialNodeGroupBackoffDuration, opts.MaxNodeGroupBackoffDuration, opts.NodeGroupBackoffResetTimeout)
	var moves *scaledown.Moves
	planned := plan.New(clock.RealClock{})
	scaleUp := scaleup.New(scaleup.Options{Core: roomFound{orchestrator.New()}, Plan: planned, Most: 20, Complete: launchable.AddLeftOut, Clock: w.loops, Failing: w.Provider.Failing})
	opts.ScaleUpOrchestrator, opts.LoopStartNotifier = scaleUp, loopstart.NewObserversList([]loopstart.Observer{scaleUp})
	noPodAgeDelay := &scaleup.NoPodAgeDelay{ActionableClusterProcessor: p.ActionableClusterProcessor, Enforcer: p.ScaleUpEnforcer, MaxNodesTotal: opts.MaxNodesTotal}
	p.ActionableClusterProcessor, p.ScaleUpEnforcer, scaleUp.Limited = noPodAgeDelay, noPodAgeDelay, noPodAgeDelay.Limited
	zoneIDs := nodeinfos.NewZoneIDs(w.Provider)
	c, objects, storage := w.seen, w.factory.Core().V1(), w.factory.Storage().V1()
	oneZone := &podlist.OneZone{Provider: w.Provider, ZoneName: zoneIDs.Name, Volumes: podzone.Volumes{Claims: objects.PersistentVolumeClaims().Lister(),
		Volumes: objects.PersistentVolumes().Lister(), Classes: storage.StorageClasses().Lister()}}
	list := []pods.PodListProcessor{decisions.Pending{Collector: c}, &w.fakes, oneZone,
		&podlist.FreeRoom{Core: podlistprocessor.NewDefaultPodListProcessor(scheduling.ScheduleAnywhere), Plan: planned, GroupOf: w.Provider.GroupNames},
		&w.booked, &podlist.Ending{Clock: w.loops, Drains: &w.drains, Held: c.WaitForRoom}, decisions.ToHelp{Collector: c}}
	after := []corestatus.ScaleUpStatusProcessor{&status.Zones{Provider: w.Provider, Need: oneZone.Need, ZoneID: zoneIDs.ID, Raises: scaleUp.Raises, Clock: w.loops}}
	draining := &podlist.Draining{Drains: &w.drains}
	if w.machine != nil {
		for _, reason := range w.machine.Reasons {
			if consolidate, ok := reason.(*move.Consolidate); ok {
				w.consolidation = &scaledown.Consolidation{Reason: consolidate, Horizon: time.Hour, KeepSpread: true, Provider: w.Provider,
					Launchable: launchable, DeleteOptions: opts.DeleteOptions, Rules: scaledown.Rules(opts.DeleteOptions, clock.RealClock{})}
			}
		}
		moves = scaledown.NewMoves(scaledown.Moves{Machine: w.machine, Consolidation: w.consolidation, Provider: w.Provider, Writer: move.NewWriter(t.Context(), w.client, interruption.RebootAsked), Raises: scaleUp.Raises,
			Metrics: move.NewMetrics(w.moves), Clock: w.clock, Planned: planned.Has,
			Budgets: w.factory.Policy().V1().PodDisruptionBudgets().Lister(),
			PodsOn: func(node string) []*corev1.Pod {
				return nodemeta.PodsOn(w.factory.Core().V1().Pods().Informer().GetIndexer(), node)
			}})
		scaleUp.Admit = moves.Admit
		after = append(after, moves)
		if w.consolidation != nil {
			launchable.Bound, c.Consolidation = moves.Bound, w.consolidation.Found
		}
		draining.Moves, c.Held = moves.Count, moves.Held
		list = slices.Insert(list, 1, pods.PodListProcessor(draining))
	}
	after = append(after, decisions.ScaleUp{Collector: c, Raises: scaleUp.Raises})
	removals := scaledown.NewRemovals(scaledown.Options{Moves: moves, Core: p.ScaleDownSetProcessor, Report: decisions.ScaleDown{Collector: c},
		Provider: w.Provider, Clock: w.removals})
	p.ScaleDownSetProcessor, p.ScaleDownStatusProcessor = removals, removals
	w.events = record.NewFakeRecorder(100)
	fresh := scaledown.NewFreshCandidates(w.Provider, p.NodeGroupConfigProcessor, clock.RealClock{}, p.ScaleDownNodeProcessor)
	p.ScaleDownNodeProcessor, c.Kept = fresh, fresh.Kept
	opts.DrainabilityRules = scaledown.Rules(opts.DeleteOptions, clock.RealClock{})
	w.asked = &scaledown.Requests{ScaleDownNodeProcessor: p.ScaleDownNodeProcessor, Processors: p, Removals: removals, Provider: w.Provider, DelayAfterAdd: opts.ScaleDownDelayAfterAdd,
		DeleteOptions: opts.DeleteOptions, Rules: opts.DrainabilityRules, Report: w.record.Report, Recorder: w.events, Moves: moves, AfterScaleUp: draining.ScaledUp, NeedsZone: oneZone.Needs, Bookings: &w.booked}
	p.ScaleDownNodeProcessor, c.Needed = w.asked, w.asked.Needed
	p.AutoscalingStatusProcessor = decisions.Health{AutoscalingStatusProcessor: p.AutoscalingStatusProcessor, Collector: c}
	p.ScaleDownCandidatesNotifier.Register(c.Unneeded)
	opts.Backoff, config.Chose = c.NewBackoff(opts.Backoff), c.Chose
	w.backoff = opts.Backoff
	p.TemplateNodeInfoProvider = nodeinfos.New(w.Provider, zoneIDs, time.Hour, false)
	p.NodeGroupListProcessor = launchable
	p.PodListProcessor = pods.NewCombinedPodListProcessor(list)
	p.ScaleUpStatusProcessor = corestatus.NewCombinedScaleUpStatusProcessor(after)
	opts.Processors = p
	opts.ExpanderStrategy = expander.New([]string{"least-waste"}, config)
	autoscaler, failed := core.NewAutoscaler(t.Context(), *opts, w.factory)
	require.Truef(t, failed == nil, "%v", failed)
	w.core = autoscaler
}

// parseBudgets are the budgets of a machine.
func parseBudgets(t *testing.T, text string) move.Budgets {
	t.Helper()
	budgets, err := move.ParseBudgets([]string{text})
	require.NoError(t, err)
	return budgets
}

// injected are pods that the core adds to the pending ones.
type injected []*corev1.Pod

func (i *injected) Process(_ *cacontext.AutoscalingContext, pending []*corev1.Pod) ([]*corev1.Pod, error) {
	for _, pod := range *i {
		pending = append(pending, fakepod.WithFakePodAnnotation(pod.DeepCopy()))
	}
	return pending, nil
}

func (*injected) CleanUp() {}

// booked are pods that the core places in its snapshot in each loop, where they find room.
type booked []*corev1.Pod

func (b *booked) Process(ctx *cacontext.AutoscalingContext, pending []*corev1.Pod) ([]*corev1.Pod, error) {
	_, _, err := scheduling.NewHintingSimulator().TrySchedulePods(ctx.ClusterSnapshot, *b, false, clustersnapshot.SchedulingOptions{})
	return pending, err
}

func (*booked) CleanUp() {}

// drains are nodes that AWS takes, and what the last loop says of them.
type drains struct {
	nodes  []string
	placed map[string]bool
}

func (d *drains) NodesBeingDrained() []string                { return d.nodes }
func (d *drains) ReplacementsDecided(placed map[string]bool) { d.placed = placed }

// loop runs one loop of the core and returns the report after it.
func (w *world) loop() *decision.Report {
	w.T.Helper()
	w.once()
	return w.record.Report()
}

// loopTimes runs several loops.
func (w *world) loopTimes(count int) {
	w.T.Helper()
	for range count {
		w.loop()
	}
}

// once runs one loop, and waits for what AWS answers.
func (w *world) once() {
	w.T.Helper()
	w.at = w.at.Add(time.Second)
	w.loops.SetTime(w.at)
	w.seen.Begin("test", w.at)
	defer func() {
		w.seen.End()
		w.asked.Publish()
	}()
	w.failed = w.core.RunOnce(w.at)
	require.NoError(w.T, w.Provider.AwaitIncreases(w.T.Context()))
}

// put puts pods, nodes and disruption budgets into the caches.
func (w *world) put(objects ...runtime.Object) {
	w.T.Helper()
	for _, o := range objects {
		var informer cache.SharedIndexInformer
		switch o.(type) {
		case *corev1.Pod:
			informer = w.factory.Core().V1().Pods().Informer()
		case *corev1.Node:
			informer = w.factory.Core().V1().Nodes().Informer()
		case *appsv1.ReplicaSet:
			informer = w.factory.Apps().V1().ReplicaSets().Informer()
		case *appsv1.StatefulSet:
			informer = w.factory.Apps().V1().StatefulSets().Informer()
		case *corev1.ReplicationController:
			informer = w.factory.Core().V1().ReplicationControllers().Informer()
		case *policyv1.PodDisruptionBudget:
			informer = w.factory.Policy().V1().PodDisruptionBudgets().Informer()
		}
		trimmed, err := trim.Trim(o.DeepCopyObject()) // as the program's caches have it
		require.NoError(w.T, err)
		require.NoError(w.T, informer.GetIndexer().Add(trimmed))
	}
}

// stored is a node as the API server has it.
func (w *world) stored(name string) *corev1.Node {
	w.T.Helper()
	n, err := w.client.CoreV1().Nodes().Get(w.T.Context(), name, metav1.GetOptions{})
	require.NoError(w.T, err)
	return n
}

// cached is a copy of a node as the loops see it.
func (w *world) cached(name string) *corev1.Node {
	w.T.Helper()
	n, err := w.factory.Core().V1().Nodes().Lister().Get(name)
	require.NoError(w.T, err)
	return n.DeepCopy()
}

// onAWS starts an AWS that launches synchronously within some milliseconds.
func onAWS(t testing.TB, groups ...fakeaws.AutoScalingGroup) *awsworld.World {
	t.Helper()
	return awsworld.NewAWS(t, func(c *fakeaws.Config) { c.Delays.Synchronous = fakeaws.Duration(20 * time.Millisecond) }, groups...)
}

// find returns the one of a list with the name.
func find[T any](w *world, name string, list []T, nameOf func(T) string) T {
	w.T.Helper()
	i := slices.IndexFunc(list, func(v T) bool { return nameOf(v) == name })
	require.GreaterOrEqualf(w.T, i, 0, "no %q among %d", name, len(list))
	return list[i]
}

// pod returns the pending pod of the name in the namespace default.
func (w *world) pod(r *decision.Report, name string) decision.Pod {
	w.T.Helper()
	return find(w, name, r.Pods, func(p decision.Pod) string { return p.Name })
}

func (w *world) group(r *decision.Report, name string) decision.Group {
	w.T.Helper()
	return find(w, name, r.Groups, func(g decision.Group) string { return g.Name })
}

func (w *world) node(r *decision.Report, name string) decision.Node {
	w.T.Helper()
	return find(w, name, r.Nodes, func(n decision.Node) string { return n.Name })
}

// answer returns the answer of a group to a pod.
func (w *world) answer(r *decision.Report, pod, group string) decision.Answer {
	w.T.Helper()
	p := w.pod(r, pod)
	require.GreaterOrEqualf(w.T, p.Search, 0, "pod %q has no search: %+v", pod, p)
	return find(w, group, r.Searches[p.Search].Answers, func(a decision.Answer) string { return a.Group })
}

// entries are the entries of a kind, newest first.
func entries(r *decision.Report, kind decision.EntryKind) []decision.Entry {
	return slices.DeleteFunc(slices.Clone(r.Timeline), func(e decision.Entry) bool { return e.Kind != kind })
}

// waiting is an unschedulable pod of a ReplicaSet.
func waiting(name, set, cpu string) *corev1.Pod {
	since := metav1.NewTime(time.Now().Add(-time.Minute).Truncate(time.Second))
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID("uid-" + name), CreationTimestamp: metav1.NewTime(since.Add(-time.Minute)),
			Labels: map[string]string{"pod-template-hash": "abc"},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: set + "-abc", UID: types.UID("uid-" + set),
				Controller: ptr.To(true)}}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Resources: corev1.ResourceRequirements{Requests: awsworld.Resources("cpu", cpu)}}}},
		Status: corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse,
			Reason: corev1.PodReasonUnschedulable, LastTransitionTime: since}}},
	}
}

// running is a Ready pod of a ReplicaSet on a node.
func running(name, set, cpu, node string) *corev1.Pod {
	pod := waiting(name, set, cpu)
	pod.Spec.NodeName, pod.Status.Phase = node, corev1.PodRunning
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	return pod
}

// bare is a Ready pod without a controller on a node.
func bare(name, node string) *corev1.Pod {
	pod := running(name, name, "100m", node)
	pod.OwnerReferences = nil
	return pod
}

// noneMayGo is a disruption budget of all pods that lets none go.
func noneMayGo() *policyv1.PodDisruptionBudget {
	return &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "none-may-go"},
		Spec: policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchLabels: running("pod-0", "set-0", "1", "").Labels}}}
}
