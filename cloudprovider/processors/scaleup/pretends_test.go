package scaleup

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apiv1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	"k8s.io/autoscaler/cluster-autoscaler/estimator"
	"k8s.io/autoscaler/cluster-autoscaler/observers/nodegroupchange"
	"k8s.io/autoscaler/cluster-autoscaler/processors/status"
	utiltest "k8s.io/autoscaler/cluster-autoscaler/utils/test"
)

// observer fails if it hears of a raise.
type observer struct {
	nodegroupchange.NodeGroupChangeObserver
	t *testing.T
}

func (o observer) RegisterScaleUp(g cloudprovider.NodeGroup, delta int, _ time.Time) {
	o.t.Errorf("an observer heard that %s grew by %d", g.Id(), delta)
}

func TestObserversDoNotHearOfRaisesThatAShadowPretends(t *testing.T) {
	w := newWorld(t, map[string]zone{"a": {min: 1, max: 9, cpus: 2}})
	w.processors.ScaleStateNotifier.Register(observer{t: t})
	w.pretended = map[string]int{}
	o := w.start(Options{Pretended: w.pretended})
	result := w.scaleUp(o, sized(1, 800), "a +1")
	assert.Equal(t, status.ScaleUpSuccessful, result.Result)
	assert.Empty(t, cmp.Diff(asked{"a": {{"800m-0"}}}, w.planned()), "nodes (-want +got)")
}

func TestLimitsOfTheClusterCountNodesOfEarlierLoopsOfAShadow(t *testing.T) {
	w := newWorld(t, map[string]zone{"a": {max: 9}}, func(o *config.AutoscalingOptions) { o.MaxNodesTotal = 3 })
	w.pretended = map[string]int{"a": 2}
	o := w.start(Options{Pretended: w.pretended})
	w.scaleUp(o, filling(3), "a +1")
}

// The core raises no group that lacks nodes of which it has not heard. The registry is the core's own.
func TestCoreRaisesGroupsThatOthersHaveJustRaised(t *testing.T) {
	thrice := []string{"a +1", "a +1", "a +1"}
	for _, tt := range []struct {
		name   string
		shadow bool
		least  int // the minimum size of the group
		there  int // registered nodes
		before int // nodes that the first loop finds, and that have not come
		own    int // that the first loop asks for
		raise  int // by another after it
		want   []string
		open   bool // a raise that the core waits for
	}{
		{name: "by a shadow itself", shadow: true, want: thrice},
		{name: "by the leader of a shadow", shadow: true, raise: 5, want: thrice, open: true},
		{name: "before the first loop of a shadow", shadow: true, before: 5, want: thrice, open: true},
		{name: "before the first loop of a leader", before: 5, want: thrice, open: true},
		{name: "nodes of the minimum before the first loop of a leader", least: 5, before: 5, want: thrice, open: true},
		{name: "few nodes of the minimum, and no other is there", least: 3, before: 3, want: thrice, open: true},
		{name: "few nodes that the minimum keeps although they never come", least: 3, there: 1, before: 2, want: thrice, open: true},
		{name: "by a person, while a leader runs", raise: 5, want: thrice, open: true},
		{name: "by a leader itself", own: 5, want: thrice, open: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, map[string]zone{"a": {min: tt.least, max: 9}}, func(o *config.AutoscalingOptions) {
				o.NodeGroupDefaults.MaxNodeProvisionTime, o.OkTotalUnreadyCount = time.Hour, 3
			})
			w.limits = []estimator.Threshold{estimator.NewStaticThreshold(1, 0)}
			if tt.shadow {
				w.pretended = map[string]int{}
			}
			o := w.start(Options{Pretended: w.pretended, Coming: func(string) int { return tt.before }})
			a, asked := w.provider.GetNodeGroup("a"), tt.before+tt.own+tt.raise
			var nodes []*apiv1.Node
			if w.resize("a", tt.there); tt.there > 0 { // then the others are not booked
				nodes = append(nodes, utiltest.BuildTestNode("there", 1000, 1<<30))
				utiltest.SetNodeReadyState(nodes[0], true, time.Now().Add(-time.Hour))
				w.provider.AddNode("a", nodes[0])
				asked -= tt.before
			}
			for _, raise := range []int{tt.before, tt.raise} {
				w.resize("a", raise)
				o.Refresh()
				require.NoError(t, w.state.UpdateNodes(nodes, w.nodeInfos, time.Now()))
				if w.resize("a", tt.own); tt.own > 0 {
					w.state.RegisterScaleUp(a, tt.own, time.Now())
				}
				tt.own = 0
			}
			w.scaleUp(o, filling(3), tt.want...)
			assert.Equal(t, tt.open, w.state.HasNodeGroupStartedScaleUp("a"), "the core waits for a raise")
			if !tt.shadow {
				asked += len(w.asked)
			}
			w.state.RegisterScaleUp(a, -asked, time.Now())
			assert.False(t, w.state.HasNodeGroupStartedScaleUp("a"), "the core waits for more nodes than were asked for")
		})
	}
}
