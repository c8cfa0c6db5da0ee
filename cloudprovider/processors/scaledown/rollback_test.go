package scaledown

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	scaledownstatus "k8s.io/autoscaler/cluster-autoscaler/core/scaledown/status"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodes"
	"k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/autoscaler/cluster-autoscaler/simulator"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

// all lets every node go.
type all struct{ nodes.ScaleDownSetProcessor }

func (all) FilterUnremovableNodes(_ *cacontext.AutoscalingContext, _ *nodes.ScaleDownContext, candidates []simulator.NodeToBeRemoved) ([]simulator.NodeToBeRemoved, []simulator.UnremovableNode) {
	return candidates, nil
}

func TestRollbackReleasesNodesOfFailedRemovals(t *testing.T) {
	failed := scaledownstatus.NodeDeleteResult{ResultType: scaledownstatus.NodeDeleteErrorFailedToDelete, Err: errors.New("denied")}
	begun := []*scaledownstatus.ScaleDownNode{{Node: node("begun")}}
	type loop struct {
		chosen  []string
		status  scaledownstatus.ScaleDownStatus
		refused int    // requests that the API server refuses
		want    string // the nodes that are tainted then
	}
	for _, tt := range []struct {
		name  string
		loops []loop
	}{
		{"removals that go on", []loop{
			{chosen: []string{"begun"}, status: scaledownstatus.ScaleDownStatus{Result: scaledownstatus.ScaleDownNodeDeleteStarted, ScaledDownNodes: begun}, want: "begun other"},
			{want: "begun other"},
		}},
		{"not all could be tainted", []loop{
			{chosen: []string{"begun", "other"}, status: scaledownstatus.ScaleDownStatus{Result: scaledownstatus.ScaleDownError, ScaledDownNodes: begun}, want: "begun"},
		}},
		{"chosen by an earlier loop", []loop{
			{chosen: []string{"begun", "other"}, status: scaledownstatus.ScaleDownStatus{Result: scaledownstatus.ScaleDownInCooldown}, want: "begun other"},
			{status: scaledownstatus.ScaleDownStatus{Result: scaledownstatus.ScaleDownError}, want: "begun other"},
		}},
		{"a removal failed", []loop{
			{status: scaledownstatus.ScaleDownStatus{NodeDeleteResults: map[string]scaledownstatus.NodeDeleteResult{"other": failed, "gone": failed, "begun": {}}}, want: "begun"},
		}},
		{"the next removal has begun", []loop{
			{status: scaledownstatus.ScaleDownStatus{ScaledDownNodes: begun, NodeDeleteResults: map[string]scaledownstatus.NodeDeleteResult{"begun": failed}}, want: "begun other"},
			{want: "begun other"},
		}},
		{"the API server refuses", []loop{
			{status: scaledownstatus.ScaleDownStatus{NodeDeleteResults: map[string]scaledownstatus.NodeDeleteResult{"other": failed}}, refused: 1, want: "begun other"},
			{refused: 1, want: "begun other"},
			{want: "begun"},
			{want: "begun"},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			client := fake.NewClientset(node("begun"), node("other"))
			refused := 0
			client.PrependReactor("*", "nodes", func(action clienttesting.Action) (bool, runtime.Object, error) {
				if refused == 0 || action.GetVerb() == "list" {
					return false, nil, nil
				}
				refused--
				return true, nil, errors.New("the API server is unwell")
			})
			ctx := &cacontext.AutoscalingContext{AutoscalingOptions: config.AutoscalingOptions{CordonNodeBeforeTerminate: true}}
			ctx.ClientSet = client
			r := NewRollback(status.NewDefaultScaleDownStatusProcessor())
			watched := r.Watch(all{})
			for n, l := range tt.loops {
				var chosen []simulator.NodeToBeRemoved
				for _, name := range l.chosen {
					chosen = append(chosen, simulator.NodeToBeRemoved{Node: node(name)})
				}
				watched.FilterUnremovableNodes(ctx, nil, chosen)
				refused = l.refused
				r.Process(ctx, &l.status)
				list, err := client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
				if err != nil {
					t.Fatal(err)
				}
				tainted := map[string]bool{}
				for _, n := range list.Items {
					if taints.HasToBeDeletedTaint(&n) != n.Spec.Unschedulable {
						t.Errorf("%s has taints %v, and is cordoned: %t", n.Name, n.Spec.Taints, n.Spec.Unschedulable)
					}
					if n.Spec.Unschedulable {
						tainted[n.Name] = true
					}
				}
				if got := strings.Join(slices.Sorted(maps.Keys(tainted)), " "); got != l.want {
					t.Errorf("loop %d: tainted are %q, want %q", n, got, l.want)
				}
			}
		})
	}
}

// node is a node that the core has tainted and cordoned.
func node(name string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.NodeSpec{Unschedulable: true,
		Taints: []corev1.Taint{{Key: taints.ToBeDeletedTaint, Value: "1763860000", Effect: corev1.TaintEffectNoSchedule}}}}
}
