package scaleup

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apiv1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/core/scaleup/orchestrator"
	"k8s.io/autoscaler/cluster-autoscaler/observers/nodegroupchange"
	"k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/plan"
)

// received is a plan that keeps what it receives.
type received struct{ nodes [][]string }

func (r *received) Asked(nodes ...plan.Node) {
	r.nodes = nil
	for _, n := range nodes {
		r.nodes = append(r.nodes, append([]string{n.Group}, names(n.Pods)...))
	}
}

// observer fails if the core hears of a raise.
type observer struct {
	nodegroupchange.NodeGroupChangeObserver
	t *testing.T
}

func (o observer) RegisterScaleUp(g cloudprovider.NodeGroup, delta int, _ time.Time) {
	o.t.Errorf("the core heard that %s grew by %d", g.Id(), delta)
}

func TestPodsTakeRoomOnNodesThatWereDecidedBefore(t *testing.T) {
	for _, tt := range []struct {
		name    string
		earlier string // group of the node decided before
		pods    []*apiv1.Pod
		asked   []string
		result  status.ScaleUpResult
		want    [][]string
	}{
		{name: "room for one", earlier: "a", pods: sized(2, 800), asked: []string{"a +1"}, result: status.ScaleUpSuccessful,
			want: [][]string{{"a", "900m-0", "800m-0"}, {"a", "800m-1"}}},
		{name: "room for all", earlier: "a", pods: sized(1, 800), result: status.ScaleUpNotNeeded, want: [][]string{{"a", "900m-0", "800m-0"}}},
		{name: "a group that is gone", earlier: "gone", pods: sized(1, 800), asked: []string{"a +1"}, result: status.ScaleUpSuccessful,
			want: [][]string{{"a", "800m-0"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, got := newWorld(t, map[string]zone{"a": {min: 1, max: 9, cpus: 2}}), &received{}
			w.processors.ScaleStateNotifier.Register(observer{t: t})
			o := New(Options{Core: orchestrator.New(), Most: 20, Plan: got, Clock: clock.RealClock{},
				Earlier: func() []plan.Node { return plan.Nodes(tt.earlier, [][]*apiv1.Pod{sized(1, 900)}) }})
			w.initialize(o)
			result, err := o.ScaleUp(tt.pods, nil, nil, w.nodeInfos, false)
			if err != nil || result.Result != tt.result {
				t.Errorf("result = %v, error %v, want %v", result.Result, err, tt.result)
			}
			if diff := cmp.Diff(tt.asked, w.asked); diff != "" {
				t.Errorf("launches (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.want, got.nodes); diff != "" {
				t.Errorf("nodes (-want +got):\n%s", diff)
			}
			if left, err := w.ctx.ClusterSnapshot.ListNodeInfos(); err != nil || len(left) != 0 {
				t.Errorf("%d nodes in the snapshot, error %v, want it as before", len(left), err)
			}
			if result, err := o.ScaleUpToNodeGroupMinSize(nil, w.nodeInfos); err != nil || result.Result != status.ScaleUpNotNeeded || len(w.asked) != len(tt.asked) {
				t.Errorf("minimum sizes: %v, %v, want them left to the leader", result, err)
			}
		})
	}
}
