package scaledown

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/core/scaledown"
	"k8s.io/autoscaler/cluster-autoscaler/core/scaledown/eligibility"
	"k8s.io/autoscaler/cluster-autoscaler/core/scaledown/pdb"
	"k8s.io/autoscaler/cluster-autoscaler/core/scaledown/planner"
	caprocessors "k8s.io/autoscaler/cluster-autoscaler/processors"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodegroupconfig"
	"k8s.io/autoscaler/cluster-autoscaler/simulator"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot/testsnapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/fake"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/options"
	"k8s.io/autoscaler/cluster-autoscaler/utils/drain"
	"k8s.io/autoscaler/cluster-autoscaler/utils/kubernetes"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
	"k8s.io/client-go/tools/record"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/move"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
)

const (
	doNotDisruptKey = string(nodemeta.DoNotDisrupt)
	safeToEvict     = "cluster-autoscaler.kubernetes.io/safe-to-evict"
)

// web is a pod of a ReplicaSet on the node, which began an hour before start, with annotations as keys and values in turn.
func web(name, node string, annotations ...string) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default", UID: types.UID(name), Annotations: map[string]string{},
		OwnerReferences: []metav1.OwnerReference{{Kind: "ReplicaSet", Name: "web", Controller: ptr.To(true)}}},
		Spec:   corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: "main"}}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, StartTime: &metav1.Time{Time: start.Add(-time.Hour)}}}
	for i := 0; i < len(annotations); i += 2 {
		p.Annotations[annotations[i]] = annotations[i+1]
	}
	return p
}

// boundAt is the condition of a pod that the scheduler has given a node.
func boundAt(at time.Time) []corev1.PodCondition {
	return []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(at)}}
}

func TestPodsThatAskToBeLeftAloneKeepTheirNode(t *testing.T) {
	with := func(p *corev1.Pod, change func(*corev1.Pod)) *corev1.Pod { change(p); return p }
	for name, tt := range map[string]struct {
		pod       *corev1.Pod
		blocks    bool
		completes bool // the node goes once the pod has completed
	}{
		"without an annotation":      {pod: web("a", "n")},
		"true":                       {pod: web("a", "n", doNotDisruptKey, "true"), blocks: true},
		"false":                      {pod: web("a", "n", doNotDisruptKey, "false")},
		"for longer than it has run": {pod: web("a", "n", doNotDisruptKey, "1h1s"), blocks: true},
		"for as long as it has run":  {pod: web("a", "n", doNotDisruptKey, "1h")},
		"bound and not started yet": {pod: with(web("a", "n", doNotDisruptKey, "1m"), func(p *corev1.Pod) {
			p.Status.StartTime, p.Status.Conditions = nil, boundAt(start)
		}), blocks: true},
		"created with a node and not started yet": {pod: with(web("a", "n", doNotDisruptKey, "1m"), func(p *corev1.Pod) {
			p.Status.StartTime, p.CreationTimestamp = nil, metav1.NewTime(start)
		}), blocks: true},
		"planned for the node": {pod: with(web("a", "", doNotDisruptKey, "1m"), func(p *corev1.Pod) {
			p.Status.StartTime, p.CreationTimestamp = nil, metav1.NewTime(start)
		})},
		"an unknown word":            {pod: web("a", "n", doNotDisruptKey, "forever")},
		"a time that is none":        {pod: web("a", "n", doNotDisruptKey, "-4h")},
		"beside safe-to-evict: true": {pod: web("a", "n", doNotDisruptKey, "true", safeToEvict, "true"), blocks: true},
		"of a DaemonSet":             {pod: with(web("a", "n", doNotDisruptKey, "true"), func(p *corev1.Pod) { p.OwnerReferences[0].Kind = "DaemonSet" })},
		"completed": {pod: with(web("a", "n", doNotDisruptKey, "true"), func(p *corev1.Pod) {
			p.Spec.RestartPolicy, p.Status.Phase = corev1.RestartPolicyNever, corev1.PodSucceeded
		})},
		"terminating for long":         {pod: with(web("a", "n", doNotDisruptKey, "true"), func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{Time: start.Add(-time.Hour)} })},
		"safe-to-evict: on-completion": {pod: web("a", "n", safeToEvict, "on-completion"), completes: true},
		"safe-to-evict: false":         {pod: web("a", "n", safeToEvict, "false"), blocks: true},
	} {
		deletion := options.NodeDeleteOptions{SkipNodesWithSystemPods: true, SkipNodesWithLocalStorage: true}
		info := framework.NewNodeInfo(&corev1.Node{}, nil, framework.NewPodInfo(tt.pod, nil))
		moves, err := simulator.GetPodsToMove(info, deletion, Rules(deletion, clocktesting.NewFakePassiveClock(start)), nil, nil, start)
		assert.Truef(t, (err != nil) == tt.blocks && (moves.BlockingPod != nil) == tt.blocks && (len(moves.OnCompletionPods) > 0) == tt.completes,
			"%s: error %v, %+v, want blocked: %t, on completion: %t", name, err, moves, tt.blocks, tt.completes)
	}
}

// The core looks for the controller before it looks at annotations, by kind and name alone. So it finds no Job of Volcano.
func TestAnnotationHelpsNoPodWhoseControllerIsMissing(t *testing.T) {
	jobs, err := kubernetes.NewTestJobLister(nil)
	require.NoError(t, err)
	listers := kubernetes.NewListerRegistry(nil, nil, nil, nil, nil, nil, jobs, nil, nil)
	pod := web("a", "n", safeToEvict, "true")
	pod.OwnerReferences[0].APIVersion, pod.OwnerReferences[0].Kind = "batch.volcano.sh/v1alpha1", "Job"
	for custom, want := range map[bool]drain.BlockingPodReason{true: drain.ControllerNotFound, false: drain.NoReason} {
		deletion := options.NodeDeleteOptions{SkipNodesWithCustomControllerPods: custom}
		info := framework.NewNodeInfo(&corev1.Node{}, nil, framework.NewPodInfo(pod, nil))
		moves, _ := simulator.GetPodsToMove(info, deletion, Rules(deletion, clocktesting.NewFakePassiveClock(start)), listers, nil, start)
		by := cmp.Or(moves.BlockingPod, &drain.BlockingPod{})
		assert.Equalf(t, want, by.Reason, "with --skip-nodes-with-custom-controller-pods=%t", custom)
	}
}

// The core waits for such pods when it plans, and evicts one that it sees after it has tainted the node.
func TestPodThatIsToCompleteAndCameAfterThePlanKeepsItsNode(t *testing.T) {
	deletion, planned := options.NodeDeleteOptions{}, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}}
	tainted := planned.DeepCopy()
	tainted.Spec.Taints = []corev1.Taint{{Key: taints.ToBeDeletedTaint, Effect: corev1.TaintEffectNoSchedule}}
	ignores := planned.DeepCopy()
	moves := move.State{Reason: move.Rotation, Step: move.Placing, Why: move.Why{IgnoresWishes: true}}
	ignores.Annotations = map[string]string{move.Annotation: moves.Text()}
	for name, tt := range map[string]struct {
		planned, now *corev1.Node
		blocks       bool
		completes    int
	}{
		"before the taint":                    {planned: planned, now: planned, completes: 1},
		"after the taint":                     {planned: planned, now: tainted, blocks: true},
		"after the taint, by a move of force": {planned: ignores, now: tainted},
	} {
		listers := kubernetes.NewListerRegistry(kubernetes.NewTestNodeLister([]*corev1.Node{tt.now}), nil, nil, nil, nil, nil, nil, nil, nil)
		info := framework.NewNodeInfo(tt.planned, nil, framework.NewPodInfo(web("a", "n", safeToEvict, "on-completion"), nil))
		moves, err := simulator.GetPodsToMove(info, deletion, Rules(deletion, clocktesting.NewFakePassiveClock(start)), listers, nil, start)
		assert.Truef(t, (err != nil) == tt.blocks && len(moves.OnCompletionPods) == tt.completes,
			"%s: error %v, %d pods wait", name, err, len(moves.OnCompletionPods))
	}
}

// Budgets keep a node for the pods that the API server would not evict.
func TestBudgetsKeepNoPodThatMayBeEvicted(t *testing.T) {
	budget := func(policy policyv1.UnhealthyPodEvictionPolicyType, allowed, healthy, desired int32) *policyv1.PodDisruptionBudget {
		return &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Namespace: "default"},
			Spec:   policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{}, UnhealthyPodEvictionPolicy: &policy},
			Status: policyv1.PodDisruptionBudgetStatus{DisruptionsAllowed: allowed, CurrentHealthy: healthy, DesiredHealthy: desired}}
	}
	const usual, always = policyv1.IfHealthyBudget, policyv1.AlwaysAllow
	ready := func(p *corev1.Pod) {
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	}
	sick := func(*corev1.Pod) {}
	type budgets []*policyv1.PodDisruptionBudget
	for name, tt := range map[string]struct {
		pod     func(*corev1.Pod)
		budgets budgets
		blocks  bool
	}{
		"ready, and one may go":              {pod: ready, budgets: budgets{budget(usual, 1, 3, 2)}},
		"ready, and none may go":             {pod: ready, budgets: budgets{budget(always, 0, 2, 2)}, blocks: true},
		"sick, and the others are enough":    {pod: sick, budgets: budgets{budget(usual, 0, 2, 2)}},
		"sick, and the others are few":       {pod: sick, budgets: budgets{budget(usual, 0, 1, 2)}, blocks: true},
		"sick, and no other is wanted":       {pod: sick, budgets: budgets{budget(usual, 0, 0, 0)}, blocks: true},
		"sick, and any of them may go":       {pod: sick, budgets: budgets{budget(always, 0, 1, 2)}},
		"sick, with two budgets":             {pod: sick, budgets: budgets{budget(always, 0, 2, 2), budget(always, 0, 2, 2)}, blocks: true},
		"ready, and each budget lets one go": {pod: ready, budgets: budgets{budget(usual, 1, 3, 2), budget(usual, 1, 3, 2)}, blocks: true},
		"safe to evict, and two budgets let it go": {pod: func(p *corev1.Pod) { ready(p); p.Annotations[safeToEvict] = "true" },
			budgets: budgets{budget(usual, 1, 3, 2), budget(usual, 1, 3, 2)}, blocks: true},
		"being deleted": {pod: func(p *corev1.Pod) { ready(p); p.DeletionTimestamp = &metav1.Time{Time: start} },
			budgets: budgets{budget(usual, 0, 1, 2)}},
		"pending": {pod: func(p *corev1.Pod) { p.Status.Phase = corev1.PodPending }, budgets: budgets{budget(usual, 0, 1, 2)}},
	} {
		pod, tracker := web("a", "n"), pdb.NewBasicRemainingPdbTracker()
		tt.pod(pod)
		require.NoError(t, tracker.SetPdbs(tt.budgets))
		info := framework.NewNodeInfo(&corev1.Node{}, nil, framework.NewPodInfo(pod, nil))
		deletion := options.NodeDeleteOptions{}
		_, err := simulator.GetPodsToMove(info, deletion, Rules(deletion, clocktesting.NewFakePassiveClock(start)), nil, tracker, start)
		assert.Equalf(t, tt.blocks, err != nil, "%s: %v", name, err)
	}
}

// idle removes no node.
type idle struct{ scaledown.ActuationStatus }

func (idle) DeletionsInProgress() (empty, drained []string) { return nil, nil }
func (idle) RecentEvictions() []*corev1.Pod                 { return nil }

// The pods of a capacity buffer have the labels of real pods, which a budget selects.
func TestRoomForPodsUsesUpNoBudget(t *testing.T) {
	w, _, _ := leftAloneWorld(t, nil)
	nodes, cluster := w.Members("a", nil), testsnapshot.NewTestSnapshotOrDie(t)
	var room []*corev1.Pod
	for _, name := range []string{"room-1", "room-2", "room-3"} {
		pod := fake.WithFakePodAnnotation(web(name, "", safeToEvict, "true"))
		pod.Labels, pod.Status = map[string]string{"room": ""}, corev1.PodStatus{}
		room = append(room, pod)
	}
	add(t, cluster, nodes[0], room...)
	add(t, cluster, nodes[1], web("a", nodes[1].Name))
	add(t, cluster, nodes[2])
	budgets := Budgets{pdb.NewBasicRemainingPdbTracker()}
	budget := func(name string, of map[string]string) *policyv1.PodDisruptionBudget {
		return &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
			Spec:   policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchLabels: of}},
			Status: policyv1.PodDisruptionBudgetStatus{DisruptionsAllowed: 1}}
	}
	require.NoError(t, budgets.SetPdbs([]*policyv1.PodDisruptionBudget{budget("all", nil), budget("more", map[string]string{"room": ""})}))
	ctx := &cacontext.AutoscalingContext{CloudProvider: w.Provider, ClusterSnapshot: cluster, RemainingPdbTracker: budgets,
		AutoscalingOptions: config.AutoscalingOptions{ScaleDownUnreadyEnabled: true, ScaleDownSimulationTimeout: time.Minute, MaxScaleDownParallelism: 10,
			NodeGroupDefaults: config.NodeGroupAutoscalingOptions{ScaleDownUtilizationThreshold: 0.5}}}
	deletion := options.NodeDeleteOptions{}
	p := planner.New(ctx, caprocessors.DefaultProcessors(ctx.AutoscalingOptions), deletion, Rules(deletion, clocktesting.NewFakePassiveClock(start)))
	err := p.UpdateClusterState(nodes, nodes[:2], idle{}, start)
	require.Truef(t, err == nil, "%v", err)
	assert.Lenf(t, p.UnneededNodes(), 2, "nodes are unneeded, the others are %+v", p.UnremovableNodes())
}

// leftAloneWorld has a node for each instance of a group of three, named by its provider ID, and every node is a candidate.
func leftAloneWorld(t *testing.T, tags map[string]string) (*awsworld.World, *FreshCandidates, *clocktesting.FakeClock) {
	now := clocktesting.NewFakeClock(start)
	w := awsworld.NewStill(t, awsworld.Group("a", "m5.large", 0, 3, 5, tags), func(o *asg.Options, a *aws.Options) { o.Clock, a.Clock = now, now })
	return w, NewFreshCandidates(w.Provider, nodegroupconfig.NewDefaultNodeGroupConfigProcessor(
		config.NodeGroupAutoscalingOptions{ScaleDownUtilizationThreshold: 0.5}), now, everyNode{}), now
}

func TestNodeIsKeptForTheTimeOfItsPod(t *testing.T) {
	w, fresh, now := leftAloneWorld(t, nil)
	snapshot := testsnapshot.NewTestSnapshotOrDie(t)
	nodes := w.Members("a", nil)
	used, timed, plain := nodes[0], nodes[1], nodes[2]
	busy := web("busy", used.Name, doNotDisruptKey, "2h")
	busy.Spec.Containers[0].Resources.Requests = awsworld.Resources("cpu", "1500m")
	long := web("long", timed.Name, doNotDisruptKey, "10m")
	long.Status.StartTime, long.Status.Conditions = nil, boundAt(start)
	pods := []*corev1.Pod{busy, long, web("short", timed.Name, doNotDisruptKey, "1h5m"), web("none", plain.Name)}
	for _, n := range nodes {
		add(t, snapshot, n, slices.DeleteFunc(slices.Clone(pods), func(p *corev1.Pod) bool { return p.Spec.NodeName != n.Name })...)
	}
	ctx := &cacontext.AutoscalingContext{CloudProvider: w.Provider, ClusterSnapshot: snapshot,
		AutoscalingOptions: config.AutoscalingOptions{ScaleDownUnreadyEnabled: true}}
	found := func() (names []string) {
		list, err := fresh.GetScaleDownCandidates(ctx, nodes)
		require.NoError(t, err)
		for _, n := range list {
			names = append(names, n.Name)
		}
		return names
	}
	times := &UnneededTimes{Options: config.AutoscalingOptions{}, Kept: fresh.Kept}
	end := after(10 * time.Minute)
	got, want := found(), []string{used.Name, plain.Name}
	assert.Truef(t, slices.Equal(got, want), "candidates %v, want %v: the core itself says why a used node stays", got, want)
	if got := fresh.Kept()[timed.Name]; got != (KeptBy{"default/long", end}) {
		t.Errorf("%s is kept by %+v, want the pod whose time ends last", timed.Name, got)
	}
	if got := times.Next(now.Now(), time.Time{}, time.Time{}); !got.Equal(end) {
		t.Errorf("the next loop is at %s, want %s", got, end)
	}
	now.SetTime(end)
	w.Reread()
	got = found()
	assert.Truef(t, len(got) == 3 && len(fresh.Kept()) == 0, "candidates %v, kept %v, want all nodes once the time is over", got, fresh.Kept())
	if got := times.Next(end, time.Time{}, time.Time{}); !got.IsZero() {
		t.Errorf("another loop for the same end at %s", got)
	}
	now.SetTime(start)
	for _, gone := range []func(*corev1.Pod){
		func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{Time: start.Add(-time.Hour)} }, // and it hangs
		func(p *corev1.Pod) {
			p.Status.Phase, p.Spec.RestartPolicy = corev1.PodSucceeded, corev1.RestartPolicyNever
		},
	} {
		pod := web("long", timed.Name, doNotDisruptKey, "2h")
		gone(pod)
		require.NoError(t, snapshot.SetClusterState(nil, nil, nil, nil))
		add(t, snapshot, timed, pod)
		by := longest(ctx, timed.Name, start)
		assert.Truef(t, by == (KeptBy{}), "%s is kept by %+v, which goes", timed.Name, by)
	}
}

// The rules keep the node for a pod that is being deleted. So the core would remember that for minutes after the pod has gone.
func TestNodeOfPodThatIsBeingDeletedIsNoCandidateForItsTime(t *testing.T) {
	w, fresh, _ := leftAloneWorld(t, nil)
	node, snapshot := w.Members("a", nil)[0], testsnapshot.NewTestSnapshotOrDie(t)
	pod := web("deleted", node.Name, doNotDisruptKey, "2h")
	pod.DeletionTimestamp = &metav1.Time{Time: start}
	add(t, snapshot, node, pod)
	ctx := &cacontext.AutoscalingContext{CloudProvider: w.Provider, ClusterSnapshot: snapshot,
		AutoscalingOptions: config.AutoscalingOptions{ScaleDownUnreadyEnabled: true}}
	list, err := fresh.GetScaleDownCandidates(ctx, []*corev1.Node{node})
	require.NoError(t, err)
	assert.Empty(t, list)
}

func TestAnnotatedNodeIsNoCandidate(t *testing.T) {
	w, fresh, _ := leftAloneWorld(t, nil)
	nodes := w.Members("a", nil)
	for at, value := range []string{"true", "4h", "false"} {
		nodes[at].Annotations = map[string]string{doNotDisruptKey: value}
	}
	assert.Equal(t, []string{nodes[1].Name, nodes[2].Name}, candidates(t, fresh, nodes...), "candidates, want all but the annotated one")
}

func TestPausedGroupHasNoCandidates(t *testing.T) {
	w, fresh, now := leftAloneWorld(t, map[string]string{group.TagPaused: "scale-down until=" + after(time.Minute).Format(time.RFC3339)})
	for _, want := range []int{0, 3} {
		assert.Lenf(t, candidates(t, fresh, w.Members("a", nil)...), want, "candidates at %s", now.Now())
		now.Step(time.Minute)
	}
}

func TestInvalidValueGetsOneEvent(t *testing.T) {
	events := record.NewFakeRecorder(20)
	handler, pod := Ignored(events), web("a", "n", doNotDisruptKey, "until lunch")
	same := pod.DeepCopy()
	same.Status.Phase = corev1.PodPending
	handler.OnAdd(pod, false)
	handler.OnUpdate(pod, same)
	handler.OnUpdate(same, web("a", "n", doNotDisruptKey, "4h"))
	for _, value := range []string{"4h", "true", "false", "replace"} { // of one node after the other, which cannot know a time
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{doNotDisruptKey: value, string(nodemeta.RemovalRequested): value}}}
		handler.OnAdd(node, false)
		handler.OnUpdate(node, node)
	}
	for _, value := range []string{"True", "yes", "true", "false", ""} {
		handler.OnAdd(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{eligibility.ScaleDownDisabledKey: value}}}, false)
	}
	for _, value := range []string{"False", "no", "true", "false", "on-completion", ""} {
		pod := web("a", "n", safeToEvict, value)
		handler.OnAdd(pod, false)
		handler.OnUpdate(pod, pod.DeepCopy())
	}
	handler.OnUpdate(web("a", "n", move.RestartToMove, "true"), web("a", "n", move.RestartToMove, "True"))
	close(events.Events)
	var got []string
	for e := range events.Events {
		got = append(got, e)
	}
	assert.ElementsMatch(t, []string{
		`Warning DoNotDisruptIgnored The annotation karpenter.sh/do-not-disrupt is ignored: "until lunch" is neither true nor a duration such as 4h`,
		`Warning AnnotationIgnored The annotation karpenter.sh/do-not-disrupt is ignored: "4h" is none of true, false`,
		`Warning AnnotationIgnored The annotation cluster-autoscaler.kubernetes.io/scale-down-requested is ignored: "4h" is none of true, replace, false`,
		`Warning AnnotationIgnored The annotation karpenter.sh/do-not-disrupt is ignored: "replace" is none of true, false`,
		`Warning AnnotationIgnored The annotation cluster-autoscaler.kubernetes.io/scale-down-disabled is ignored: "True" is none of true, false`,
		`Warning AnnotationIgnored The annotation cluster-autoscaler.kubernetes.io/scale-down-disabled is ignored: "yes" is none of true, false`,
		`Warning AnnotationIgnored The annotation cluster-autoscaler.kubernetes.io/safe-to-evict is ignored: "False" is none of true, false, on-completion`,
		`Warning AnnotationIgnored The annotation cluster-autoscaler.kubernetes.io/safe-to-evict is ignored: "no" is none of true, false, on-completion`,
		`Warning AnnotationIgnored The annotation asg-autoscaler.github.io/restart-to-move is ignored: "True" is none of true, false`,
	}, got)
}

func TestEventsOfIgnoredAnnotationsAreBounded(t *testing.T) {
	events := record.NewFakeRecorder(1000)
	handler := Ignored(events)
	for range 1000 { // of one Deployment
		handler.OnAdd(web("a", "n", safeToEvict, "False"), true)
	}
	assert.Truef(t, len(events.Events) >= 100 && len(events.Events) < 200, "%d events on a thousand pods", len(events.Events))
	pod := web("b", "n", "other", "a")
	assert.Zero(t, testing.AllocsPerRun(10, func() { handler.OnAdd(pod, true) }), "allocations for a pod without the annotations")
}
