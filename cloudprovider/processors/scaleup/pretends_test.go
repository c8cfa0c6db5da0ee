package scaleup

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	"k8s.io/autoscaler/cluster-autoscaler/estimator"
	"k8s.io/autoscaler/cluster-autoscaler/observers/nodegroupchange"
	"k8s.io/autoscaler/cluster-autoscaler/processors/status"

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

// observer fails if it hears of a raise.
type observer struct {
	nodegroupchange.NodeGroupChangeObserver
	t *testing.T
}

func (o observer) RegisterScaleUp(g cloudprovider.NodeGroup, delta int, _ time.Time) {
	o.t.Errorf("an observer heard that %s grew by %d", g.Id(), delta)
}

func TestObserversDoNotHearOfRaisesThatAShadowPretends(t *testing.T) {
	w, got := newWorld(t, map[string]zone{"a": {min: 1, max: 9, cpus: 2}}), &received{}
	w.processors.ScaleStateNotifier.Register(observer{t: t})
	w.pretended = map[string]int{}
	o := w.start(Options{Plan: got, Pretended: w.pretended})
	w.ctx.ClusterStateRegistry = w.state
	result := w.scaleUp(o, sized(1, 800), "a +1")
	assert.Equal(t, status.ScaleUpSuccessful, result.Result)
	assert.Empty(t, cmp.Diff([][]string{{"a", "800m-0"}}, got.nodes), "nodes (-want +got)")
}

func TestLimitsOfTheClusterCountNodesOfEarlierLoopsOfAShadow(t *testing.T) {
	w := newWorld(t, map[string]zone{"a": {max: 9}}, func(o *config.AutoscalingOptions) { o.MaxNodesTotal = 3 })
	w.pretended = map[string]int{"a": 2}
	o := w.start(Options{Pretended: w.pretended})
	w.ctx.ClusterStateRegistry = w.state
	w.scaleUp(o, filling(3), "a +1")
}

// The core raises no group that lacks nodes of which it has not heard. The registry is the core's own.
func TestCoreRaisesGroupsThatOthersHaveJustRaised(t *testing.T) {
	thrice := []string{"a +1", "a +1", "a +1"}
	for _, tt := range []struct {
		name   string
		shadow bool
		before int // nodes that the first loop finds, and that have not come
		raise  int // by another after it
		want   []string
		open   bool // a raise that the core waits for
	}{
		{name: "by a shadow itself", shadow: true, want: thrice},
		{name: "by the leader of a shadow", shadow: true, raise: 5, want: thrice, open: true},
		{name: "before the first loop of a shadow", shadow: true, before: 5, want: thrice, open: true},
		{name: "before the first loop of a leader", before: 5, want: thrice, open: true},
		{name: "by nobody that a leader knows", raise: 5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, map[string]zone{"a": {max: 9}}, func(o *config.AutoscalingOptions) { o.NodeGroupDefaults.MaxNodeProvisionTime = time.Hour })
			w.limits = []estimator.Threshold{estimator.NewStaticThreshold(1, 0)}
			if tt.shadow {
				w.pretended = map[string]int{}
			}
			o := w.start(Options{Pretended: w.pretended, Coming: func(string) int { return tt.before }})
			w.ctx.ClusterStateRegistry = w.state
			for _, raise := range []int{tt.before, tt.raise} {
				w.resize("a", raise)
				o.Refresh()
				require.NoError(t, w.state.UpdateNodes(nil, w.nodeInfos, time.Now()))
			}
			w.scaleUp(o, filling(3), tt.want...)
			assert.Equal(t, tt.open, w.state.HasNodeGroupStartedScaleUp("a"), "the core waits for a raise")
		})
	}
}
