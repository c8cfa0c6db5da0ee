package scaleup

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
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

// observer fails if the core hears of a raise.
type observer struct {
	nodegroupchange.NodeGroupChangeObserver
	t *testing.T
}

func (o observer) RegisterScaleUp(g cloudprovider.NodeGroup, delta int, _ time.Time) {
	o.t.Errorf("the core heard that %s grew by %d", g.Id(), delta)
}

func TestTheCoreDoesNotHearOfRaisesThatAShadowPretends(t *testing.T) {
	w, got := newWorld(t, map[string]zone{"a": {min: 1, max: 9, cpus: 2}}), &received{}
	w.processors.ScaleStateNotifier.Register(observer{t: t})
	result := w.scaleUp(w.start(Options{Plan: got, Pretends: true}), sized(1, 800), "a +1")
	assert.Equal(t, status.ScaleUpSuccessful, result.Result)
	assert.Empty(t, cmp.Diff([][]string{{"a", "800m-0"}}, got.nodes), "nodes (-want +got)")
}
