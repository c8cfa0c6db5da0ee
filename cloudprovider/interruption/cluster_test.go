package interruption_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption"
)

// state tags the group as owned by these clusters, and returns once the Cache has read the tags.
func (w *world) state(clusters ...string) {
	w.t.Helper()
	owned, tags := "owned", map[string]*string{}
	for _, name := range clusters {
		tags["kubernetes.io/cluster/"+name] = &owned
	}
	require.NoError(w.t, w.aws.SetTags("spot", tags))
	w.within(2*time.Minute, "the tags in a reading", func() bool {
		s := w.cache.Snapshot()
		return len(clusters) > 1 && len(s.Foreign()) == 1 || s.Group("spot") != nil && len(s.Group("spot").Stated) == len(clusters)
	})
}

// At least one of two owners is another cluster.
func TestInstanceOfAnotherClusterIsLeftAlone(t *testing.T) {
	w, warned := parallelWorld(t, scalingGroup(0, 2, 5))
	w.run(warned, "a")
	w.running()
	w.state("a", "b")
	w.send(warning(warned, time.Now()))
	w.wait("the message is put back for others", func() bool { return w.handled()["left-to-others spot-interruption"] > 0 })
	node := w.nodes()[warned]
	assert.Truef(t, node != nil && !node.Spec.Unschedulable, "its node became %v, want it as it was", node)
	if q := w.aws.Queues()[0]; w.terminations() != 0 || w.desired() != 2 || q.Visible+q.InFlight+q.Delayed == 0 {
		t.Errorf("%d terminations, desired %d, queue %+v, want no change and the message left", w.terminations(), w.desired(), q)
	}
}

func TestUnownedInstanceWithoutNodeIsLeftAlone(t *testing.T) {
	inBubble(scalingGroup(0, 2, 5), func(t *testing.T, w *world) {
		warned := w.inService()[0]
		w.state("b")
		w.unregister(warned)
		w.running()
		w.send(warning(warned, time.Now()))
		w.wait("the message is put back, and tried again", func() bool { return w.handled()["hand-back-failed spot-interruption"] > 1 })
		w.ended(0, 2, 0)
	})(t)
}

// The node runs pods, and nobody knows that it is the instance's.
func TestInstanceThatMayBeANodeWithoutEC2sProviderIDIsLeftToAWS(t *testing.T) {
	for _, tt := range []struct {
		name, outcome string
		message       func(instance string) string
		shown         bool          // a cloud controller manager states EC2's provider ID a moment later
		known         time.Duration // until EC2 shows that the instance is no such node
		ended         int
	}{
		{name: "warning", outcome: "no-node spot-interruption", message: func(id string) string { return warning(id, time.Now()) }},
		{name: "retirement", outcome: "no-node scheduled-change", message: later("RETIREMENT", 5*time.Minute)},
		{name: "provider ID that comes late", outcome: "drained spot-interruption", shown: true, ended: 1,
			message: func(id string) string { return warning(id, time.Now()) }},
		{name: "name that EC2 shows late", outcome: "no-node spot-interruption", known: 4 * time.Second, ended: 1,
			message: func(id string) string { return warning(id, time.Now()) }},
	} {
		t.Run(tt.name, inBubble(scalingGroup(0, 2, 5), func(t *testing.T, w *world) {
			w.silent()
			began := time.Now()
			ends := w.inService()[0]
			node := w.unregister(ends)
			w.running(func(o *interruption.Options) {
				o.Elsewhere = func(instance string) (cause, remedy string) {
					if instance == ends && (tt.known == 0 || time.Since(began) < tt.known) {
						return "it may be node k3s", "state its provider ID"
					}
					return "", ""
				}
			})
			w.send(tt.message(ends))
			time.Sleep(20 * time.Second)
			if tt.shown {
				w.register(node)
				w.run(ends, "a")
			}
			w.within(15*time.Minute, "handled", func() bool { return w.handled()[tt.outcome] == 1 })
			w.waitEmptyQueue()
			assert.Truef(t, w.terminations() == tt.ended && w.desired() == 2-tt.ended && (w.evictions("a") == 1) == tt.shown,
				"%d terminations, desired %d, %d evictions", w.terminations(), w.desired(), w.evictions("a"))
		}))
	}
}

// A new leader reads the queue before its first loop. The other cluster drains the instance, which has no node here.
func TestHookOfAnotherClusterIsLeftToIt(t *testing.T) {
	inBubble(hooked(scalingGroup(0, 1, 5)), func(t *testing.T, w *world) {
		w.state("b")
		w.unregister(w.inService()[0])
		w.running(func(o *interruption.Options) {
			o.SeeCluster = func() { w.cache.SeeCluster(t.Context(), ownership.Evidence{Network: "a"}) }
		})
		require.NoError(t, w.aws.SetDesired("spot", 0))
		w.wait("the message is put back for others", func() bool { return w.handled()["left-to-others lifecycle-terminate"] > 0 })
		assert.Zero(t, w.aws.Calls()["CompleteLifecycleAction"], "completed actions")
	})(t)
}

// The core asks another replica, so no loop of this one sees its nodes.
func TestInstanceIsTerminatedWhereNoLoopRuns(t *testing.T) {
	inBubble(scalingGroup(0, 2, 5), func(t *testing.T, w *world) {
		w.state("b")
		warned, nodes, began := w.inService()[0], slices.Collect(maps.Keys(w.nodes())), time.Now()
		w.running(func(o *interruption.Options) {
			o.SeeCluster = func() {
				if time.Since(began) > 10*time.Second { // they have registered
					w.cache.SeeCluster(t.Context(), ownership.Evidence{Nodes: nodes})
				}
			}
		})
		w.send(warning(warned, time.Now()))
		w.within(2*time.Minute, "the instance is gone", func() bool { return !slices.Contains(w.inService(), warned) })
		assert.Equal(t, 1, w.desired(), "desired")
	})(t)
}
