package scaledown

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/core/scaledown"
	scaledownstatus "k8s.io/autoscaler/cluster-autoscaler/core/scaledown/status"
	"k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/autoscaler/cluster-autoscaler/simulator"
	kubeutil "k8s.io/autoscaler/cluster-autoscaler/utils/kubernetes"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/record"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
)

// removing is the nodes that are being removed.
type removing struct {
	scaledown.Actuator
	scaledown.ActuationStatus
	nodes []string
}

func (r *removing) CheckStatus() scaledown.ActuationStatus         { return r }
func (r *removing) DeletionsInProgress() (empty, drained []string) { return r.nodes, nil }

// instances knows that the instance of one node is on its way out.
type instances struct{ cloudprovider.CloudProvider }

func (instances) HasInstance(node *corev1.Node) (bool, error) { return node.Name != "ending", nil }

// cluster is a node cache that is up to date.
type cluster struct {
	kubeutil.ListerRegistry
	*fake.Clientset
}

func (c cluster) AllNodeLister() kubeutil.NodeLister { return c }

func (c cluster) List() (nodes []*corev1.Node, err error) {
	list, err := c.CoreV1().Nodes().List(context.Background(), metav1.ListOptions{})
	for at := range list.Items {
		nodes = append(nodes, &list.Items[at])
	}
	return nodes, err
}

func (c cluster) Get(name string) (*corev1.Node, error) {
	node, err := c.Tracker().Get(corev1.SchemeGroupVersion.WithResource("nodes"), "", name)
	if err != nil {
		return nil, err
	}
	return node.(*corev1.Node), nil
}

func TestRollbackReleasesNodesOfFailedRemovals(t *testing.T) {
	failed := func(names ...string) *scaledownstatus.ScaleDownStatus {
		s := &scaledownstatus.ScaleDownStatus{Result: scaledownstatus.ScaleDownNotTried, NodeDeleteResults: map[string]scaledownstatus.NodeDeleteResult{}}
		for _, name := range names {
			s.NodeDeleteResults[name] = scaledownstatus.NodeDeleteResult{ResultType: scaledownstatus.NodeDeleteErrorFailedToDelete, Err: errors.New("denied")}
		}
		return s
	}
	idle := failed()
	notAllTainted := &scaledownstatus.ScaleDownStatus{Result: scaledownstatus.ScaleDownError}
	removed := &scaledownstatus.ScaleDownStatus{Result: scaledownstatus.ScaleDownNotTried, NodeDeleteResults: map[string]scaledownstatus.NodeDeleteResult{"a": {}}}
	const everyNode = "a b ending interrupted"
	type loop struct {
		chosen   []string
		removing []string
		status   *scaledownstatus.ScaleDownStatus
		refuses  bool   // the API server does
		later    bool   // the next loop comes after the pause
		member   string // the tainted node whose instance counts in a group
		want     string // the nodes that are tainted then
	}
	const foreign = "another autoscaler drains the node"
	for _, tt := range []struct {
		name  string
		loops []loop
	}{
		{foreign, []loop{{status: idle, member: "a"}, {status: idle, member: "a"}, {status: idle, member: "a"}}},
		{"removals that go on", []loop{{chosen: []string{"a"}, removing: []string{"a"}, status: idle}, {removing: []string{"a"}, status: idle}}},
		{"a removal that succeeded", []loop{{status: removed}, {status: idle}}},
		{"not all could be tainted", []loop{{chosen: []string{"a", "b"}, status: notAllTainted}, {status: idle, want: "ending interrupted"}}},
		{"others are being removed", []loop{{chosen: []string{"a", "b"}, removing: []string{"a"}, status: notAllTainted},
			{removing: []string{"a"}, status: idle, want: "a ending interrupted"}}},
		{"chosen by an earlier loop", []loop{{chosen: []string{"a", "b"}, status: idle}, {status: notAllTainted}, {status: idle}}},
		{"a removal failed", []loop{{status: failed("a", "gone")}, {status: idle, want: "b ending interrupted"}}},
		{"the next removal has begun", []loop{{status: failed("a"), removing: []string{"a"}}, {status: idle}}},
		{"the next removal begins later", []loop{{status: failed("a")}, {removing: []string{"a"}, status: idle}, {status: idle}}},
		{"the instance is on its way out", []loop{{status: failed("ending")}, {status: idle}}},
		{"a warm pool gives the instance back", []loop{{status: removed}, {status: idle, member: "a", want: "b ending interrupted"}}},
		{"a warm pool takes the instance again", []loop{{status: idle, member: "a"}, {status: idle}, {status: idle}}},
		{"a warm pool gives back what is being removed again", []loop{{status: removed}, {removing: []string{"a"}, status: idle, member: "a"}}},
		{"the node of a member is being removed", []loop{{status: idle, member: "a"}, {removing: []string{"a"}, status: idle, member: "a"}}},
		{"a new leader could not take the taint back", []loop{{status: idle, member: "a"}, {status: idle, member: "a", refuses: true},
			{status: idle, member: "a", want: "b ending interrupted"}}},
		{"drained for an interruption", []loop{{status: failed("interrupted")}, {status: idle, want: "a b ending"}}},
		{"the API server refuses", []loop{{status: failed("a", "b")}, {status: idle, refuses: true}, {status: idle}, {status: idle, later: true},
			{status: idle, want: "ending interrupted"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			interrupted := node("interrupted")
			interrupted.Spec.Taints = append(interrupted.Spec.Taints, corev1.Taint{Key: interruption.Taint, Effect: corev1.TaintEffectNoSchedule})
			client := fake.NewClientset(node("a"), node("b"), node("ending"), interrupted)
			refuses := false
			client.PrependReactor("update", "nodes", func(clienttesting.Action) (bool, runtime.Object, error) {
				return refuses, nil, errors.New("the API server is unwell")
			})
			now := clocktesting.NewFakeClock(time.Now())
			removals := &removing{}
			ctx := &cacontext.AutoscalingContext{AutoscalingOptions: config.AutoscalingOptions{CordonNodeBeforeTerminate: true},
				CloudProvider: instances{}, ScaleDownActuator: removals}
			ctx.ClientSet, ctx.ListerRegistry = client, cluster{Clientset: client}
			r := Removals{report: status.NewDefaultScaleDownStatusProcessor(), rollback: newRollback(now)}
			if nodes, err := ctx.AllNodeLister().List(); assert.NoError(t, err) && tt.name != foreign { // which begins later
				r.KeepCordons(nodes)
			}
			for n, l := range tt.loops {
				r.rollback.isMember = func(n *corev1.Node) bool { return n.Name == l.member }
				var chosen []simulator.NodeToBeRemoved
				for _, name := range l.chosen {
					chosen = append(chosen, simulator.NodeToBeRemoved{Node: node(name)})
				}
				r.FilterUnremovableNodes(ctx, nil, chosen)
				removals.nodes, refuses = l.removing, l.refuses
				r.Process(ctx, l.status)
				now.Step(settled)
				if l.member != "" || l.later {
					now.Step(abandoned)
				}
				list, err := client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
				require.NoError(t, err)
				tainted := map[string]bool{}
				for _, n := range list.Items {
					if taints.HasToBeDeletedTaint(&n) {
						tainted[n.Name] = true
					}
					want := tainted[n.Name] || n.Name == "interrupted"
					assert.Equalf(t, want, n.Spec.Unschedulable, "%s has taints %v, and is cordoned", n.Name, n.Spec.Taints)
				}
				want := everyNode
				if l.want != "" {
					want = l.want
				}
				assert.Equalf(t, want, strings.Join(slices.Sorted(maps.Keys(tainted)), " "), "loop %d: tainted", n)
			}
		})
	}
}

// node is a node that the core has tainted and cordoned.
func node(name string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.NodeSpec{Unschedulable: true,
		Taints: []corev1.Taint{{Key: taints.ToBeDeletedTaint, Value: "1763860000", Effect: corev1.TaintEffectNoSchedule}}}}
}

func TestRollbackKeepsTheCordonOfOthers(t *testing.T) {
	for _, tt := range []struct {
		name      string
		cordoned  bool   // when it was chosen
		tainted   string // likewise
		cleanedUp bool   // by the core
		reopened  bool   // by somebody else, while it was tainted
		want      bool
	}{
		{name: "open"},
		{name: "open, the core has cleaned up", cleanedUp: true},
		{name: "cordoned", cordoned: true, want: true},
		{name: "cordoned, and the core has lifted that", cordoned: true, cleanedUp: true, want: true},
		{name: "cordoned, and reopened meanwhile", cordoned: true, reopened: true},
		{name: "left of an earlier removal", cordoned: true, tainted: taints.ToBeDeletedTaint},
		{name: "left of an earlier removal, the core has cleaned up", cordoned: true, tainted: taints.ToBeDeletedTaint, cleanedUp: true},
		{name: "drained for AWS and given up, the core has cleaned up", cordoned: true, tainted: interruption.Taint, cleanedUp: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			then, left := node("a"), node("a")
			then.Spec.Unschedulable, left.Spec.Unschedulable = tt.cordoned, !tt.cleanedUp && !tt.reopened
			then.Spec.Taints[0].Key = tt.tainted
			if tt.cleanedUp {
				left.Spec.Taints = nil
			}
			client := fake.NewClientset(left)
			now := clocktesting.NewFakeClock(time.Now())
			ctx := &cacontext.AutoscalingContext{AutoscalingOptions: config.AutoscalingOptions{CordonNodeBeforeTerminate: true},
				CloudProvider: instances{}, ScaleDownActuator: &removing{}}
			ctx.ClientSet, ctx.ListerRegistry = client, cluster{Clientset: client}
			r := Removals{report: status.NewDefaultScaleDownStatusProcessor(), rollback: newRollback(now)}
			r.FilterUnremovableNodes(ctx, nil, []simulator.NodeToBeRemoved{{Node: then}})
			r.Process(ctx, &scaledownstatus.ScaleDownStatus{Result: scaledownstatus.ScaleDownError})
			refuses := true
			client.PrependReactor("update", "nodes", func(clienttesting.Action) (bool, runtime.Object, error) {
				return refuses, nil, errors.New("the API server is unwell")
			})
			for range 2 {
				now.Step(unwell)
				r.Process(ctx, &scaledownstatus.ScaleDownStatus{Result: scaledownstatus.ScaleDownNotTried})
				refuses = false
			}
			got, err := client.CoreV1().Nodes().Get(t.Context(), "a", metav1.GetOptions{})
			require.NoError(t, err)
			assert.Truef(t, got.Spec.Unschedulable == tt.want && !taints.HasToBeDeletedTaint(got),
				"the node is cordoned: %t, want %t; taints %v, want none", got.Spec.Unschedulable, tt.want, got.Spec.Taints)
		})
	}
}

// The core of a new process lifts every cordon with its taint.
func TestRollbackKeepsTheCordonOfOthersOverARestart(t *testing.T) {
	tainted := time.Unix(1763860000, 0)
	for _, tt := range []struct {
		name     string
		cordoned bool // before the taint
		foreign  bool // the node is no member of a group
		refuses  bool // the API server refuses the core's clean-up
		want     bool
	}{
		{name: "cordoned by somebody else", cordoned: true, want: true},
		{name: "cordoned by somebody else, the clean-up is refused", cordoned: true, refuses: true, want: true},
		{name: "cordoned by the core"},
		{name: "of no group", cordoned: true, foreign: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			left := node("a")
			cordon := corev1.Taint{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule,
				TimeAdded: &metav1.Time{Time: tainted.Add(-time.Hour)}} // by another clock
			left.Spec.Taints = append(left.Spec.Taints, cordon)
			if tt.cordoned {
				slices.Reverse(left.Spec.Taints)
			}
			client := fake.NewClientset(left)
			now := clocktesting.NewFakeClock(tainted.Add(time.Minute))
			ctx := &cacontext.AutoscalingContext{AutoscalingOptions: config.AutoscalingOptions{CordonNodeBeforeTerminate: true},
				CloudProvider: instances{}, ScaleDownActuator: &removing{}}
			ctx.ClientSet, ctx.ListerRegistry = client, cluster{Clientset: client}
			r := Removals{report: status.NewDefaultScaleDownStatusProcessor(), rollback: newRollback(now)}
			r.rollback.isMember = func(*corev1.Node) bool { return !tt.foreign }
			r.KeepCordons([]*corev1.Node{left})
			if !tt.refuses {
				taints.CleanAllToBeDeleted([]*corev1.Node{left}, client, record.NewFakeRecorder(1), true)
			}
			for range 2 {
				r.Process(ctx, &scaledownstatus.ScaleDownStatus{Result: scaledownstatus.ScaleDownNotTried})
				now.Step(settled)
			}
			got, err := client.CoreV1().Nodes().Get(t.Context(), "a", metav1.GetOptions{})
			require.NoError(t, err)
			assert.Truef(t, got.Spec.Unschedulable == tt.want && !taints.HasToBeDeletedTaint(got),
				"the node is cordoned: %t, want %t; taints %v, want none of the core", got.Spec.Unschedulable, tt.want, got.Spec.Taints)
		})
	}
}

func TestDryRunLeavesTheTaintsOfTheLeader(t *testing.T) {
	w := awsworld.New(t, nil, awsworld.Group("a", "m5.large", 0, 1, 5, nil))
	for _, dry := range []bool{false, true} {
		r := NewRemovals(Options{Core: noneOf{}, Provider: w.Provider, DryRun: dry, Clock: clocktesting.NewFakeClock(time.Now())})
		assert.Equalf(t, !dry, r.rollback.isMember(w.Nodes("a")[0]), "a tainted node is put back into use, dry run %t", dry)
	}
}
